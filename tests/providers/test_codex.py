"""The provider of a ChatGPT login: HTTP errors, the token and its renewal, models, and where it may go."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import missy as library
from missy import Message, Text
from missy.auth.login import Login, store
from missy.auth.usage import UsageCache
from missy.secrets.redact import Secret
from tests.providers.chatgpt import MODEL, MODELS, RESPONSES, Subscriber, ask_async, drain
from tests.simulator import Account, Fault, Script, Simulator
from tests.simulator.faults import CLOUDFLARE

pytest_plugins = ["tests.local.live"]

HELLO = "Hello from the simulator."
TOKEN = "/oauth/token"
ROUTES = "/backend-api/codex/responses", "/backend-api/codex/models"


def error(status: int, headers: dict[str, str] | None = None, **fields: Any) -> Fault:
    return Fault(status, {"error": fields}, headers or {})


EXPIRED = error(401, message="Provided authentication token is expired.", code="token_expired")
LIMIT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
WHEN = int(time.time()) + 3 * 86_400
LOCAL = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(WHEN))

# what POST /responses answers for ever -> exit code, words of the message, words of the next step, POSTs with two
# retries, renewals
ROWS: dict[str, tuple[Fault, int, str, str, int, int]] = {
    "usage limit": (
        error(429, **LIMIT, resets_at=WHEN, resets_in_seconds=60), 7, "usage limit has been reached", LOCAL, 1, 0),
    "usage limit, in seconds": (error(429, **LIMIT, resets_in_seconds=3600), 7, "usage limit", "resets in", 1, 0),
    "usage limit as 404": (error(404, **LIMIT, resets_at=WHEN), 7, "usage limit has been reached", LOCAL, 1, 0),
    "usage not included": (
        error(429, type="usage_not_included", message="Upgrade to Plus."), 7, "Upgrade to Plus", "plan of this", 1, 0),
    "rate limit": (
        error(429, {"retry-after": "0.1"}, code="rate_limit_exceeded", message="Slow."), 7, "Slow", "resets in", 3, 0),
    "rate limit, far away": (
        error(429, {"retry-after": "3600"}, code="rate_limit_exceeded", message="Slow."), 7, "Slow", "resets in", 1, 0),
    "bad request": (Fault(400, {"detail": "Input must be a list"}), 5, "Input must be a list", "see its message", 1, 0),
    "unsupported parameter": (Fault(400, {"detail": "Unsupported parameter: x"}), 5, "parameter: x", "see its message", 1, 0),
    "wrong workspace": (
        Fault(403, {"detail": {"code": "invalid_workspace_selected"}}, {"cf-ray": "ray-1"}), 4,
        "invalid_workspace_selected", "choose another workspace", 1, 0),
    "forbidden": (Fault(403, {"detail": "Forbidden"}), 4, "Forbidden", "missy auth login", 1, 0),
    "expired for ever": (EXPIRED, 4, "token is expired", "missy auth login", 2, 1),
    "invalidated for ever": (error(401, message="Gone.", code="token_invalidated"), 4, "Gone", "missy auth login", 2, 1),
    "401 without words": (Fault(401, b""), 4, "(401)", "missy auth login", 2, 1),
    "cloudflare": (CLOUDFLARE, 5, "Cloudflare", "another network", 1, 0),
    "a page": (Fault(502, b"<html>Bad gateway</html>"), 5, "web page", "try again later", 3, 0),
    "deactivated workspace": (
        Fault(402, {"detail": {"code": "deactivated_workspace"}}), 4, "deactivated_workspace", "another workspace", 1, 0),
    "not found": (Fault(404, {"detail": "Not Found"}), 5, "Not Found", "try again later", 1, 0),
    "server error": (Fault(500, {"error": {"message": "It broke."}}), 5, "It broke", "try again later", 3, 0),
    "overloaded": (
        error(503, code="server_is_overloaded", message="At capacity."), 5, "At capacity", "try again later", 3, 0),
    "slow down": (error(503, code="slow_down", message="Slow down."), 5, "Slow down", "try again later", 3, 0),
    "redirect": (
        Fault(307, b"", {"location": "https://evil.example/x"}), 5, "evil.example", "base_url", 1, 0),
    "too long": (
        error(400, code="context_length_exceeded", message="Too long."), 5, "Too long", "shorten", 1, 0),
    "nonsense": (Fault(418, b"\xff\xfe[[["), 5, "418", "see its message", 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_error_has_its_exit_code_words_and_next_step(person, row):
    """As many requests as help and no more; no token is renewed but for a 401; the login stays as it is."""
    fault, code, said, hint, posts, renewals = ROWS[row]
    person.set(max_retries=2)
    person.simulator.backend_faults.add(RESPONSES, fault, times=None)
    outcome = person.ask()
    assert outcome.code == code, outcome.error
    assert said in outcome.error.message
    assert hint in outcome.error.hint, outcome.error.hint
    assert outcome.error.status == fault.status
    assert (person.posts, person.simulator.renewals) == (posts, renewals)
    assert "<" not in outcome.error.message
    assert outcome.error.request_id == fault.headers.get("cf-ray")
    assert outcome.text == ""
    assert person.stored.account_id == Account().id


@pytest.mark.parametrize("row", ["rate limit", "server error", "overloaded", "a page"])
def test_what_passes_is_tried_again_and_answered(person, row):
    """The second request has the same body and the answer comes once."""
    person.set(max_retries=2)
    person.simulator.backend_faults.add(RESPONSES, ROWS[row][0])
    outcome = person.ask()
    assert (outcome.text, outcome.error, person.posts) == (HELLO, None, 2)


def test_a_limit_has_its_time(person):
    """In seconds since 1970, for programs, beside the local words."""
    person.simulator.backend_faults.add(RESPONSES, ROWS["usage limit"][0])
    failure = person.ask().error
    assert isinstance(failure, library.LimitError)
    assert failure.resets_at == WHEN


def test_a_parameter_that_is_refused_is_left_out(person):
    """One more request, without it."""
    refusal = Fault(400, {"detail": "Unsupported parameter: parallel_tool_calls"})
    person.simulator.backend_faults.add(RESPONSES, refusal, times=None)
    tools = [library.Tool("f", "", {"type": "object"})]
    assert person.ask(tools=tools).code == 5
    assert person.posts == 2
    assert "parallel_tool_calls" not in person.body
    person.simulator.backend_faults.clear()
    person.simulator.backend_faults.add(RESPONSES, refusal)
    assert person.ask(tools=tools).text == HELLO


# --- the token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifetime", [-5, 100, 290])
def test_a_token_near_its_end_is_renewed_before_it_is_sent(person, lifetime):
    """Five minutes before: one renewal, and the backend never sees the old token."""
    old = person.signs_in(lifetime)
    assert person.ask().text == HELLO
    assert (person.posts, person.simulator.renewals) == (1, 1)
    assert person.stored.access_token != old.access_token
    sent = {r.headers["authorization"] for r in person.simulator.backend_origin.journal}
    assert f"Bearer {old.access_token.reveal()}" not in sent


def test_a_token_with_time_left_is_used_as_it_is(person):
    """Six minutes are enough."""
    person.signs_in(360)
    assert person.ask().text == HELLO
    assert person.simulator.renewals == 0


def test_a_401_after_somebody_else_renewed_costs_no_renewal(person):
    """The file's newer token is taken: one reload, one more request, nothing spent; and if that is refused too, 4."""
    for whole in (True, False):
        come, go = threading.Event(), threading.Event()
        person.simulator.backend_faults.add(RESPONSES, Fault(**{**vars(EXPIRED), "seen": come, "hold": go}))
        if not whole:
            person.simulator.backend_faults.add(RESPONSES, EXPIRED, times=None)
        before = person.posts
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(person.ask)
            assert come.wait(60)
            person.signs_in()
            go.set()
            outcome = asked.result(60)
        assert outcome.code == (0 if whole else 4), outcome.error
        assert person.posts - before == 2
        person.simulator.backend_faults.clear()
    assert person.simulator.renewals == 0


def test_a_401_after_another_account_logged_in_is_refused(person):
    """The prompt does not go out under somebody else's name."""
    come, go = threading.Event(), threading.Event()
    person.simulator.backend_faults.add(RESPONSES, Fault(**{**vars(EXPIRED), "seen": come, "hold": go}))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(person.ask)
        assert come.wait(60)
        person.signs_in(account=Account("5d2c2a6e-0000-4000-8000-000000000002", "bob@example.com"))
        go.set()
        outcome = asked.result(60)
    assert (outcome.code, "another account" in outcome.error.message) == (4, True)
    assert (person.posts, person.simulator.renewals) == (1, 0)


@pytest.mark.parametrize(
    "fault", [Fault(500), error(401, code="refresh_token_expired", message="x"), CLOUDFLARE]
)
def test_a_renewal_that_fails_after_a_401_is_the_error(person, fault):
    """One request, one renewal, and what the issuer said; the login stays on disk."""
    before = person.path.read_bytes()
    person.forget_token()
    person.simulator.issuer_faults.add(TOKEN, fault, times=None)
    outcome = person.ask()
    assert outcome.code == (4 if fault.status == 401 else 5)
    assert (person.posts, person.simulator.renewals) == (1, 1)
    assert person.path.read_bytes() == before


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_nothing_but_a_401_renews(person, status):
    """Above all no 403, and no page in front of the backend."""
    for fault in (
        Fault(status, {"detail": "token_expired"}),
        Fault(status, b"<html>Just a moment...</html>"),
    ):
        person.simulator.backend_faults.add(RESPONSES, fault)
        assert person.ask().code != 0
    assert person.simulator.renewals == 0


THREADS = 8


@pytest.mark.parametrize("near", [False, True], ids=["401", "near its end"])
def test_many_threads_renew_once(person, near):
    """Eight answers at once over one token that is no longer good: one renewal, eight answers."""
    if near:
        person.signs_in(60)
    else:
        person.forget_token()
        together = threading.Barrier(THREADS)  # every first request is in before one is answered
        fault = Fault(hold=together, only_delay=True)
        person.simulator.backend_faults.add(RESPONSES, fault, times=THREADS)
    with library.Missy.open() as missy, ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(lambda: drain(missy.ask("hi", model=MODEL))) for _ in range(THREADS)]
        outcomes = [one.result(60) for one in asked]
    assert [outcome.text for outcome in outcomes] == [HELLO] * THREADS, [o.error for o in outcomes]
    assert person.simulator.renewals == 1
    assert person.posts == (THREADS if near else 2 * THREADS)


def test_many_threads_that_are_refused_for_ever_stop(person):
    """Two requests each, one renewal for each token that was refused at most, and 4."""
    person.simulator.backend_faults.add(RESPONSES, EXPIRED, times=None)
    with library.Missy.open() as missy, ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(lambda: drain(missy.ask("hi", model=MODEL))) for _ in range(THREADS)]
        outcomes = [one.result(60) for one in asked]
    assert {outcome.code for outcome in outcomes} == {4}
    assert person.posts == 2 * THREADS
    assert 1 <= person.simulator.renewals <= THREADS


def test_without_a_login_nothing_is_sent(missy, simulator):
    """4, and what to type."""
    person = Subscriber(missy, simulator)
    outcome = person.ask()
    assert (outcome.code, "missy auth login" in outcome.error.hint) == (4, True)
    assert simulator.journal == []


def test_the_stock_client_has_the_login_too(person):
    """`openai_client` streams the format's own events over the same door."""
    with library.Missy.open() as missy:
        client = missy.openai_client("openai-codex")
        stream = client.responses.create(
            model=MODEL, instructions="x", input=[{"role": "user", "content": "hi"}], store=False, stream=True
        )
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(texts) == HELLO


# --- models and limits --------------------------------------------------------------------------------------------


def test_the_default_model_is_the_lists_best(person):
    """Nothing of the list is a constant of ours: another list, another default; a hidden model is never it."""
    assert person.ask(model=None).text == HELLO
    assert person.body["model"] == MODEL
    person.simulator.backend.models = [
        {**one, "slug": f"new-{n}", "priority": n} for n, one in enumerate(person.simulator.backend.models)
    ]
    person.simulator.backend.models[0]["visibility"] = "hide"
    age_the_list(person)
    assert person.ask(model=None).text == HELLO
    assert person.body["model"] == "new-1"


def age_the_list(person: Subscriber) -> None:
    """Make the list on disk ten minutes old."""
    import json

    path = person.command.home / "models" / "codex.json"
    known = json.loads(path.read_text())
    for note in known.values():
        note["at"] -= 600
    path.write_text(json.dumps(known))


def test_the_list_is_kept_for_a_while_and_then_asked_for_by_its_etag(person):
    """One request; then none; then one that is answered 304; then one that brings a new list."""
    with library.Missy.open() as missy:
        first = missy.models()
        assert first == [MODEL, "gpt-6-luna"]
        assert (missy.models(), person.lists) == (first, 1)
        age_the_list(person)
        assert (missy.models(), person.lists) == (first, 2)
        asked = person.simulator.backend_origin.journal[-1]
        assert asked.headers["if-none-match"].startswith('W/"')
        assert (missy.models(), person.lists) == (first, 2)
        age_the_list(person)
        person.simulator.backend.models.pop(0)
        assert (missy.models(), person.lists) == ([MODEL], 3)
    path = person.command.home / "models" / "codex.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_broken_list_on_disk_is_asked_for_again(person):
    """And another account has a list of its own."""
    path = person.command.home / "models" / "codex.json"
    with library.Missy.open() as missy:
        for junk in (b"", b"{", b"[]", b'{"a": 5}', b"\xff"):
            missy.models()
            path.write_bytes(junk)
        assert missy.models() == [MODEL, "gpt-6-luna"]
        assert person.lists == 6
        for name, junk in (("models", None), ("etag", "a\r\nb: c"), ("etag", 'W/"\u00e9"'), ("etag", {})):
            known = json.loads(path.read_text())
            for note in known.values():
                note |= {"at": note["at"] - 600, name: junk}
            path.write_text(json.dumps(known))
            assert missy.models() == [MODEL, "gpt-6-luna"]
            assert "if-none-match" not in person.simulator.backend_origin.journal[-1].headers
    assert person.lists == 10
    person.signs_in(account=Account("5d2c2a6e-0000-4000-8000-000000000002"))
    with library.Missy.open() as missy:
        missy.models()
    assert person.lists == 11


LISTS = {
    "no object": (Fault(200, []), "not a list of models"), "no list": (Fault(200, {"models": 5}), "not a list of models"),
    "a page": (Fault(200, b"<html>hotel</html>"), "not JSON"), "deep": (Fault(200, b"[" * 100_000), "not JSON"),
    "too long": (Fault(200, b'{"models": "' + b"x" * (5 << 20) + b'"}'), "longer than"),
    "cut": (Fault(200, b'{"models": []}' * 9, cut=5), ""), "500": (Fault(500), "says"),
}  # fmt: skip


@pytest.mark.parametrize("case", LISTS)
def test_a_list_that_is_none_is_an_error_and_is_not_kept(person, case):
    """5; the next one is asked for anew."""
    fault, said = LISTS[case]
    person.simulator.backend_faults.add(MODELS, fault)
    with library.Missy.open() as missy:
        with pytest.raises(library.ProviderError) as failure:
            missy.models()
        assert said in failure.value.message
        assert missy.models()


@pytest.mark.parametrize("items", [[], [5, None, {}], [{"slug": "x", "visibility": "hide"}]])
def test_a_list_without_a_model_asks_for_a_name(person, items):
    """An account that is shown nothing may still name one."""
    person.simulator.backend_faults.add(MODELS, Fault(200, {"models": items}))
    outcome = person.ask(model=None)
    assert (outcome.code, "--model" in outcome.error.hint, person.posts) == (5, True, 0)
    assert person.ask(model="gpt-5.5").text == HELLO


def test_odd_entries_of_the_list_are_passed_over(person):
    """What has no name is none; a priority that is no number comes last; an id serves for a slug."""
    items = [
        5,
        {"slug": ""},
        {"slug": "b", "priority": "x"},
        {"id": "c", "priority": 2},
        {"slug": "a", "priority": 1},
    ]
    person.simulator.backend_faults.add(MODELS, Fault(200, {"models": items}))
    with library.Missy.open() as missy:
        assert missy.models() == ["a", "c", "b"]


def test_a_401_on_the_list_renews_once_as_well(person):
    """And for ever: two requests, one renewal, 4."""
    person.forget_token()
    with library.Missy.open() as missy:
        assert missy.models() == [MODEL, "gpt-6-luna"]
        assert (person.lists, person.simulator.renewals) == (2, 1)
        age_the_list(person)
        person.simulator.backend_faults.add(MODELS, EXPIRED, times=None)
        with pytest.raises(library.CredentialError):
            missy.models()
    assert (person.lists, person.simulator.renewals) == (4, 2)


def test_a_model_that_is_not_the_accounts_shows_those_that_are(person):
    """The server's words stay; the list is the next step; one that is not listed but answers is let through."""
    outcome = person.ask(model="gpt-4o")
    assert outcome.code == 5
    assert (
        "The 'gpt-4o' model is not supported when using Codex with a ChatGPT account."
        in outcome.error.message
    )
    assert outcome.error.hint == f"this account's models: {MODEL}, gpt-6-luna"
    assert outcome.error.__cause__ is not outcome.error
    assert person.ask(model="gpt-5.5").text == HELLO
    assert person.lists == 1


def test_a_list_that_fails_too_does_not_hide_the_error(person):
    """The first failure is the one that counts."""
    person.simulator.backend_faults.add(MODELS, Fault(500), times=None)
    outcome = person.ask(model="gpt-4o")
    assert "'gpt-4o' model is not supported" in outcome.error.message
    assert outcome.error.hint


def noted(person: Subscriber) -> dict[str, Any] | None:
    return UsageCache(person.command.home / "usage.json").read(person.stored.account_id)


def test_the_limits_of_an_answer_are_kept(person):
    """From its headers, when it begins; and from those of a refusal."""
    assert person.ask().code == 0
    window = {"used_percent": 12.5, "window_minutes": 300, "resets_at": 4_000_000_000}
    assert noted(person) == {
        "plan": "plus", "limit_reached": False, "primary": window, "credits": {
            "has_credits": False, "unlimited": False, "balance": None},
        "secondary": {"used_percent": 40.0, "window_minutes": 10_080, "resets_at": 4_000_000_000}}  # fmt: skip
    full = person.simulator.backend.limit_headers(Account()) | {
        "x-codex-primary-used-percent": "100", "x-codex-rate-limit-reached-type": "primary"}  # fmt: skip
    person.simulator.backend_faults.add(RESPONSES, error(429, full, **LIMIT))
    assert person.ask().code == 7
    assert noted(person)["primary"]["used_percent"] == 100
    assert noted(person)["limit_reached"] is True


@pytest.mark.parametrize(
    ("headers", "primary"),
    [
        ({"x-codex-primary-used-percent": "0", "x-codex-primary-reset-at": ""}, None),
        ({"x-codex-primary-used-percent": "nan", "x-codex-primary-reset-at": "-1"}, None),
        ({"x-codex-primary-used-percent": "x", "x-codex-primary-window-minutes": "1e400"}, None),
        (
            {"x-codex-primary-used-percent": "7"},
            {"used_percent": 7.0, "window_minutes": None, "resets_at": None},
        ),
    ],
)
def test_odd_limits_do_no_harm(person, headers, primary):
    """What is no number is no number."""
    script = Script()
    body = b"".join(script.raw(MODEL))
    person.simulator.backend_faults.add(
        RESPONSES, Fault(200, body, {"content-type": "text/event-stream", **headers})
    )
    assert person.ask().text == HELLO
    assert (noted(person) or {"primary": None})["primary"] == primary


def test_a_reset_that_is_told_in_seconds_from_now_is_noted_as_a_moment(person):
    """As older backends do it."""
    headers = {"x-codex-primary-used-percent": "7", "x-codex-primary-reset-after-seconds": "7200"}
    fault = Fault(200, b"".join(Script().raw(MODEL)), {"content-type": "text/event-stream", **headers})
    person.simulator.backend_faults.add(RESPONSES, fault)
    before = int(time.time())
    assert person.ask().text == HELLO
    assert before + 7200 <= noted(person)["primary"]["resets_at"] <= time.time() + 7200


# --- where it may go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_moves_neither_token_nor_prompt(person, status):
    """On answers, models and renewal: the other origin sees no connection at all."""
    with Simulator() as other:
        place = {"location": f"{other.base_url}/responses"}
        for path in ROUTES:
            person.simulator.backend_faults.add(path, Fault(status, b"", place))
        outcome = person.ask()
        assert outcome.code == 5
        assert other.base_url in outcome.error.message
        assert person.ask(model=None).code == 5
        person.signs_in(-5)
        person.simulator.issuer_faults.add(TOKEN, Fault(status, b"", place))
        assert person.ask().code == 5
        assert other.journal == []
    assert len(person.simulator.journal) == 3


def test_no_answer_of_a_server_names_another_place(person):
    """Headers and fields that point elsewhere are read by nobody."""
    with Simulator() as other:
        headers = {
            "location": other.base_url, "content-location": other.base_url, "link": f"<{other.base_url}>; rel=next",
            "alt-svc": f'h2="127.0.0.1:{other.backend_origin.port}"', "refresh": f"0; url={other.base_url}",
            "content-type": "text/event-stream", "x-openai-account-routing-override": "us",
        }  # fmt: skip
        body = b"".join(Script().raw(MODEL)).replace(
            b'"store": false', b'"base_url": "%b"' % other.base_url.encode()
        )
        person.simulator.backend_faults.add(RESPONSES, Fault(200, body, headers))
        models = [{**one, "base_url": other.base_url} for one in person.simulator.backend.models]
        person.simulator.backend_faults.add(
            MODELS, Fault(200, {"models": models, "base_url": other.base_url}, headers)
        )
        with library.Missy.open() as missy:
            for _ in range(2):
                assert missy.ask("hi").text() == HELLO
        assert other.journal == []


def test_the_token_goes_to_the_backend_alone(person):
    """The issuer is sent the refresh token and no bearer; the backend the bearer and no refresh token."""
    old = person.signs_in(-5)
    assert person.ask(model=None).text == HELLO
    spent, new = old.refresh_token.reveal(), person.stored
    for request in person.simulator.issuer_origin.journal:
        assert "authorization" not in request.headers
    for request in person.simulator.backend_origin.journal:
        assert request.headers["authorization"] == f"Bearer {new.access_token.reveal()}"
        everything = repr(vars(request))
        assert spent not in everything
        assert new.refresh_token.reveal() not in everything


# --- async --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_async_errors_are_the_same(person, row):
    """Exit code, words, next step, requests and renewals."""
    fault, code, said, hint, posts, renewals = ROWS[row]
    person.set(max_retries=2)
    person.simulator.backend_faults.add(RESPONSES, fault, times=None)
    [outcome] = ask_async(person, "hi")
    assert outcome.code == code, outcome.error
    assert said in outcome.error.message
    assert hint in outcome.error.hint
    assert (person.posts, person.simulator.renewals) == (posts, renewals)


# --- the true host names ------------------------------------------------------------------------------------------


def test_under_the_true_names_all_goes_through_the_proxy(missy, tmp_path):
    """TLS inside CONNECT for the renewal, the list and the answer, sync and async; two hosts are asked for."""
    with Simulator(tls_folder=tmp_path) as simulator:
        person = Subscriber(missy, simulator)
        person.signs_in(-5)
        first = person.ask(model=None)
        assert first.text == HELLO, first.error
        person.signs_in(-5)
        assert ask_async(person, "hi")[0].text == HELLO
        assert (simulator.renewals, person.posts, person.lists) == (2, 2, 1)
        assert set(simulator.proxy.asked) == {"auth.openai.com:443", "chatgpt.com:443"}
        assert {r.headers["host"] for r in simulator.backend_origin.journal} == {"chatgpt.com"}
        assert {r.headers["host"] for r in simulator.issuer_origin.journal} == {"auth.openai.com"}


def test_an_unknown_root_is_refused_before_anything_is_sent(missy, tmp_path):
    """Without network.ca_bundle the simulator's certificate is a stranger's."""
    with Simulator(tls_folder=tmp_path) as simulator:
        person = Subscriber(missy, simulator)
        person.set(network={"proxy": simulator.proxy_url, "ca_bundle": None})
        person.signs_in()
        assert person.ask().code == 5
        assert simulator.journal == []


def test_the_environment_changes_nothing(person, monkeypatch):
    """The request is the same with a key, a base URL, proxies and roots in the environment."""
    person.ask()
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CODEX_API_KEY"):
        monkeypatch.setenv(name, "sk-from-the-environment")
    for name in ("OPENAI_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-evil: 1")
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    assert person.ask().text == HELLO
    first, second = (r for r in person.simulator.backend_origin.journal)
    assert (first.headers, first.body) == (second.headers, second.body)


# --- a real server of the format ----------------------------------------------------------------------------------


@pytest.mark.live
def test_a_real_server_of_the_format_answers_two_turns(missy, local_server):
    """llama.cpp speaks the format too, and takes back what it said."""
    entry = {"name": "openai-codex", "base_url": local_server.base_url, "timeout": 120, "max_retries": 0}
    missy.config({"providers": {"openai-codex": entry}})
    (missy.home / "secrets").mkdir(mode=0o700)
    key, path = local_server.key, missy.home / "secrets" / "openai-oauth.json"
    store(path, Login("https://auth.openai.com", key, Secret("rt_none"), "nobody", last_refresh=time.time()))
    turns = [Message("user", "Say hello.")]
    with library.Missy.open() as assistant:
        for _ in range(2):
            outcome = drain(assistant.ask(turns, model="smollm2-135m"))
            assert outcome.error is None or outcome.code == 6, outcome.error  # a small model may never end
            assert len(outcome.all(Text)) > 1
            replay = outcome.events[-1].replay if outcome.code == 0 else ()
            turns += [Message("assistant", outcome.text, replay=replay), Message("user", "And goodbye.")]
