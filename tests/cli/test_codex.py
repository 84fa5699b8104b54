"""`missy` with a ChatGPT login, from outside: answers, errors, models, limits, and what never leaks."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Command, Result, read_until
from tests.providers.chatgpt import MODEL, MODELS, RESPONSES, Subscriber, raw
from tests.simulator import BACKEND_ROWS, ISSUER_ROWS, Call, Fault, Say, Script, Simulator, Think

HELLO = "Hello from the simulator."
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture
def person(missy: Command, simulator: Simulator) -> Subscriber:
    one = Subscriber(missy, simulator)
    one.signs_in()
    return one


def test_an_answer_without_any_setting(person, missy):
    """No model is configured: the account's own list decides; the prompt comes back as plain text."""
    ran = missy("ask", "hi")
    assert (ran.code, ran.text, ran.err) == (0, HELLO + "\n", "")
    assert person.body["model"] == MODEL


def test_the_options_reach_the_body_and_what_cannot_go_is_said_once(person, missy, tmp_path):
    """Effort, instructions, an image; temperature and the longest answer are left out, with one line on stderr."""
    image = tmp_path / "a.png"
    image.write_bytes(PNG)
    ran = missy.inside("ask", "look", "--reasoning", "high", "--system", "Be brief.", "--attach", str(image),
                       "--temperature", "0.5", "--max-tokens", "9", "--no-stream", "--model", "gpt-6-luna")  # fmt: skip
    assert (ran.code, ran.text) == (0, HELLO + "\n"), ran.err
    assert len(ran.err.splitlines()) == 1
    assert "temperature" in ran.err
    assert "max_tokens" in ran.err
    body = person.body
    assert (body["model"], body["instructions"], body["stream"]) == ("gpt-6-luna", "Be brief.", True)
    assert body["reasoning"]["effort"] == "high"
    assert body["input"][0]["content"][1]["image_url"].startswith("data:image/png;base64,")


def test_json_holds_all_that_is_known(person, missy):
    """Text, reasoning, calls, usage, the request id; and as events, one a line."""
    script = Script((Think(("Hm, ", "so")), Say(("a", "b")), Call("f", '{"x": 1}', "c1")))
    person.simulator.backend.scripts.extend([script, script])
    one = missy.inside("ask", "hi", "--json").json()
    assert (one["text"], one["reasoning"], one["model"], one["request_id"]) == (
        "ab",
        "Hm, so",
        MODEL,
        "req_sim_1",
    )
    assert (one["finish_reason"], one["complete"], one["error"]) == ("tool_calls", True, None)
    assert [(call["id"], call["name"], call["arguments"]) for call in one["tool_calls"]] == [
        ("c1", "f", {"x": 1})
    ]
    assert one["usage"] == {
        "input_tokens": 120, "output_tokens": 14, "total_tokens": 134, "cached_tokens": 20, "reasoning_tokens": 4}  # fmt: skip
    events = missy.inside("ask", "hi", "--events").events()
    assert len(events) >= 6


@pytest.mark.parametrize("options", [(), ("--events",)])
def test_each_delta_is_out_before_the_next_arrives(person, missy, options):
    """Through the real command and a pipe: the server sends a piece only when the one before it was read."""
    pieces = tuple(f"piece{n} " for n in range(5))
    seen = threading.Semaphore(0)

    def before(number: int) -> None:
        assert not 4 < number <= 8 or seen.acquire(timeout=60)

    person.simulator.backend.scripts.append(Script((Say(pieces),), before=before))
    process = missy.start("ask", "hi", *options)
    for piece in pieces:
        assert piece.strip().encode() in read_until(process.stdout, piece.strip().encode())
        seen.release()
    process.communicate(timeout=60)
    assert process.returncode == 0


CODES = {**{row: code for row, (_, code) in BACKEND_ROWS.items()}, "deactivated-workspace": 4}


@pytest.mark.parametrize("row", BACKEND_ROWS)
def test_every_error_row_is_two_lines_and_an_exit_code(person, missy, row):
    """What happened, what to do, and the request id where there is one; the same in JSON; nothing on stdout."""
    fault = BACKEND_ROWS[row][0]
    person.simulator.backend_faults.add(RESPONSES, fault, times=None)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text) == (CODES[row], "")
    lines = ran.err.splitlines()
    assert lines[0].startswith("missy: ")
    assert lines[1].startswith("  ")
    assert len(lines) == 2 + ("cf-ray" in fault.headers)
    shown = missy.inside("ask", "hi", "--json")
    assert shown.code == CODES[row]
    failure = shown.json()["error"]
    assert (failure["status"], bool(failure["message"]), bool(failure["hint"])) == (fault.status, True, True)


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Pacific/Auckland"])
@pytest.mark.parametrize("status", [429, 404])
def test_a_used_up_limit_says_when_it_ends_in_local_words(person, missy, status, zone):
    """Exit 7, whatever the status that it came with."""
    when = int(time.time()) + 3 * 86_400
    body = {
        "error": {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "resets_at": when,
        }
    }
    person.simulator.backend_faults.add(RESPONSES, Fault(status, body))
    ran = missy("ask", "hi", env={"TZ": zone})
    assert ran.code == 7
    assert _local(when, zone) in ran.err, ran.err


def _local(when: int, zone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(when, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def test_an_answer_that_is_cut_keeps_its_text_and_is_6(person, missy):
    """The text so far on stdout, the reason on stderr; in JSON both, and not complete."""
    data = b"".join(Script().raw(MODEL))
    at = data.index(b"simulator.")
    for _ in range(2):
        person.simulator.backend_faults.add(RESPONSES, raw(data, cut=at))
    ran = missy.inside("ask", "hi", "--model", MODEL)
    assert (ran.code, ran.text.rstrip("\n")) == (6, "Hello from the ")
    assert "cut off" in ran.err
    shown = missy.inside("ask", "hi", "--json", "--model", MODEL)
    assert shown.code == 6
    one = shown.json()
    assert (one["text"], one["complete"], one["error"]["type"]) == ("Hello from the ", False, "incomplete")


# --- models and limits --------------------------------------------------------------------------------------------


def test_models_are_the_accounts_live_list(person, missy):
    """Best first, hidden ones left out; `models` again within minutes costs no request."""
    ran = missy.inside("models")
    assert ran.text.splitlines() == [MODEL, "gpt-6-luna"]
    assert missy.inside("models", "--json").json() == [MODEL, "gpt-6-luna"]
    assert person.lists == 1


def test_a_model_that_is_not_supported_shows_the_list(person, missy):
    """Exit 5, the server's words, and the models of this account."""
    ran = missy.inside("ask", "hi", "--model", "gpt-4o")
    assert ran.code == 5
    assert "'gpt-4o' model is not supported" in ran.err
    assert f"{MODEL}, gpt-6-luna" in ran.err
    assert missy.inside("ask", "hi", "--model", "gpt-5.5").text.strip() == HELLO


def test_status_shows_the_limits_of_the_last_answer_without_the_network(person, missy):
    """Null before; after an answer what its headers said; nothing is connected or looked up for it."""
    assert missy("auth", "status", "--json").json()[0]["limits"] is None
    assert missy("ask", "hi").code == 0
    sent = len(person.simulator.journal)
    missy.trace.unlink()
    limits = missy("auth", "status", "--json").json()[0]["limits"]
    assert limits["plan"] == "plus"
    assert limits["primary"] == {"used_percent": 12.5, "window_minutes": 300, "resets_at": 4_000_000_000}
    assert limits["secondary"]["window_minutes"] == 10_080
    assert "12.5 %" in missy("auth", "status").text
    assert missy.attempts() == []
    assert len(person.simulator.journal) == sent


LISTINGS = [
    ("providers",), ("providers", "--json"), ("doctor",), ("doctor", "--json"), ("auth", "status"),
    ("auth", "status", "--json"), ("net", "list"), ("config", "show"), ("config", "validate"),
    ("ask", "hi", "--dry-run"), ("audit", "recent"),
]  # fmt: skip


@pytest.mark.parametrize("args", LISTINGS, ids=" ".join)
@pytest.mark.parametrize("lifetime", [-5, 100])
def test_no_listing_spends_the_refresh_token(person, missy, args, lifetime):
    """Whatever the state of the login: it is not renewed, and its file is as it was."""
    person.signs_in(lifetime)
    before = person.path.read_bytes()
    missy.inside(*args)
    assert person.simulator.renewals == 0
    assert person.path.read_bytes() == before


def test_providers_tell_where_the_credential_comes_from(person, missy):
    """Oauth and ready; without a login not ready, and what to type."""
    row = missy.inside("providers", "--json").json()[0]
    assert (row["ready"], row["credential"], row["name"]) == (True, "oauth", "openai-codex")
    person.path.unlink()
    row = missy.inside("providers", "--json").json()[0]
    assert (row["ready"], row["credential"]) == (False, "none")
    assert "missy auth login" in row["reason"]


def test_dry_run_shows_the_request_and_sends_nothing(person, missy):
    """The token is masked; the body is what would go."""
    ran = missy.inside("ask", "hi", "--dry-run", "--json", "--model", "gpt-5.5")
    shown = ran.json()
    assert shown["url"] == f"{person.simulator.base_url}/responses"
    assert shown["headers"]["authorization"] == "Bearer ***"
    assert shown["headers"]["accept"] == "text/event-stream"  # as the backend's own client says for a stream
    assert shown["credential"] == "oauth"
    assert shown["body"]["store"] is False
    assert person.simulator.journal == []
    assert person.stored.access_token.reveal() not in ran.text


# --- where it may go ----------------------------------------------------------------------------------------------


def test_an_entry_opens_two_hosts_and_nothing_else(missy):
    """chatgpt.com:443 and auth.openai.com:443, by the policy's own list."""
    missy.config({"providers": {"openai-codex": {"name": "openai-codex"}}})
    rows = missy.inside("net", "list", "--json").json()
    assert {(row["host"], row["port"], row["scheme"]) for row in rows} == {
        ("chatgpt.com", 443, "https"), ("auth.openai.com", 443, "https")}  # fmt: skip
    assert set(missy.inside("providers", "--json").json()[0]["allowed_hosts"]) == {
        "chatgpt.com:443", "auth.openai.com:443"}  # fmt: skip
    for url, code in {
        "https://chatgpt.com/backend-api/codex/responses": 0, "https://auth.openai.com/oauth/token": 0,
        "https://gov.chatgpt.com/backend-api": 3, "https://chatgpt.com:8443/": 3, "http://chatgpt.com/": 3,
        "https://openai.com/": 3, "https://api.openai.com/v1": 3, "https://auth.openai.com.evil.example/": 3,
        "http://auth.openai.com/": 3, "https://ab.chatgpt.com/": 3, "http://127.0.0.1:1455/": 3,
    }.items():  # fmt: skip
        assert missy.inside("net", "explain", url).code == code, url


@pytest.mark.parametrize("field", ["base_url", "issuer"])
@pytest.mark.parametrize(
    "url", ["http://example.com/x", "http://10.0.0.1/x", "http://192.0.2.1:8080", "ftp://127.0.0.1/x"]
)
def test_plain_http_is_for_this_machine_alone(person, missy, field, url):
    """Refused as a config error or by the policy, before anything is looked up or sent; the login is not touched."""
    person.set(**{field: url})
    if field == "issuer":
        person.signs_in(-5)
        login = json.loads(person.path.read_text())
        person.path.write_text(json.dumps({**login, "issuer": url}))
    if missy.trace.exists():
        missy.trace.unlink()
    ran = missy("ask", "hi", "--model", MODEL)
    assert ran.code in (2, 3), ran.err
    assert missy.attempts() == []
    assert person.simulator.journal == []


def test_the_command_works_under_the_true_names_behind_a_proxy(missy, tmp_path):
    """Renewal, models, answer and limits: TLS inside CONNECT, to two hosts; the proxy alone looks their names up."""
    with Simulator(tls_folder=tmp_path) as simulator:
        person = Subscriber(missy, simulator)
        person.signs_in(-5)
        assert missy("models").text.splitlines() == [MODEL, "gpt-6-luna"]
        assert missy("ask", "hi").text.strip() == HELLO
        assert missy("auth", "status", "--refresh", "--json").json()[0]["limits"]["plan"] == "plus"
        assert set(simulator.proxy.asked) == {"auth.openai.com:443", "chatgpt.com:443"}
        assert not [line for line in missy.attempts() if ".com" in line]  # no name is looked up here


# --- what never leaks ---------------------------------------------------------------------------------------------


def _failures() -> dict[str, Callable[[Subscriber], tuple[str, ...]]]:
    """Ways to fail, each of which sets the simulator up and gives the command to run."""
    ways: dict[str, Callable[[Subscriber], tuple[str, ...]]] = {}

    def answers(name: str, fault: Fault) -> None:
        def way(person: Subscriber) -> tuple[str, ...]:
            person.simulator.backend_faults.add(RESPONSES, fault, times=None)
            return ("ask", "hi", "--model", MODEL)

        ways[f"answer {name}"] = way

    def lists(name: str, fault: Fault) -> None:
        def way(person: Subscriber) -> tuple[str, ...]:
            person.simulator.backend_faults.add(MODELS, fault, times=None)
            return ("models",)

        ways[f"models {name}"] = way

    def renewals(name: str, fault: Fault) -> None:
        def way(person: Subscriber) -> tuple[str, ...]:
            person.signs_in(-5)
            person.simulator.issuer_faults.add("/oauth/token", fault, times=None)
            return ("ask", "hi", "--model", MODEL)

        ways[f"renewal {name}"] = way

    for name, (fault, _) in BACKEND_ROWS.items():
        answers(name, fault)
    for name, (fault, _) in ISSUER_ROWS.items():
        renewals(name, fault)
    for name in ("token-expired", "wrong-workspace", "cloudflare", "server-error", "usage-limit"):
        lists(name, BACKEND_ROWS[name][0])
    lists("no json", Fault(200, b"{"))
    for name, script in {
        "failed": Script(end="failed"), "error": Script(end="error"), "incomplete": Script(end="incomplete"),
        "cut": Script(cut=900), "stopped": Script(stop=900), "empty": Script(()),
        "broken call": Script((Call("f", '{"x":'),)),
    }.items():  # fmt: skip
        answers(f"stream {name}", raw(b"".join(script.raw(MODEL))[: script.stop], cut=script.cut))

    def echo(person: Subscriber) -> tuple[str, ...]:
        login = person.stored
        said = f"bad token {login.access_token.reveal()} and {login.refresh_token.reveal()}"
        person.simulator.backend_faults.add(RESPONSES, Fault(400, {"detail": said}), times=None)
        return ("ask", "hi", "--model", MODEL)

    def stream_echo(person: Subscriber) -> tuple[str, ...]:
        said = {"code": "server_error", "message": f"token {person.stored.access_token.reveal()}"}
        person.simulator.backend_faults.add(
            RESPONSES, raw(b"".join(Script(end="failed", error=said).raw(MODEL)))
        )
        return ("ask", "hi", "--model", MODEL, "--json")

    def refused(person: Subscriber) -> tuple[str, ...]:
        person.set(base_url="http://192.0.2.1/x")
        return ("ask", "hi", "--model", MODEL)

    return {**ways, "the server repeats the token": echo, "in a stream": stream_echo, "refused": refused}


FAILURES = _failures()


def test_there_are_enough_failures():
    """At least fifty runs that fail."""
    assert len(FAILURES) >= 50


@pytest.mark.parametrize("way", FAILURES)
def test_no_failing_run_shows_a_token(person, missy, simulator, way):
    """With --debug: no token in stdout, stderr, the traceback, the audit, or any file but the login's own."""
    args = FAILURES[way](person)
    ran = missy.inside("--debug", *args)
    assert ran.code != 0, ran.text
    assert "Traceback" in ran.err or "--json" in args
    assert_no_token(person, ran)


def assert_no_token(person: Subscriber, ran: Result) -> None:
    """Look for every token that the issuer ever gave out, and for its parts."""
    issuer = person.simulator.issuer
    canaries = [*issuer.refresh_tokens, *issuer.access_tokens]
    canaries += [part for token in issuer.access_tokens for part in token.split(".")[1:]]
    assert canaries
    places = {"stdout": ran.text, "stderr": ran.err}
    for path in person.command.home.rglob("*"):
        if path.is_file() and path != person.path:
            places[str(path)] = path.read_bytes().decode("utf-8", "replace")
    assert any(name.endswith("audit.jsonl") for name in places) or "refused" in ran.err
    for place, text in places.items():
        assert not [canary for canary in canaries if canary in text], place


@pytest.mark.parametrize("way", ["answer token-expired", "renewal reused", "in a stream"])
def test_no_failing_process_shows_a_token(person, missy, way):
    """The same as a process of its own: other tests' secrets are not there to be masked."""
    ran = missy("--debug", *FAILURES[way](person))
    assert ran.code != 0
    assert_no_token(person, ran)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("lifetime", [3600, -5], ids=["asking", "renewing"])
def test_a_running_command_has_no_token_in_its_arguments_environment_or_children(person, missy, lifetime):
    """Seen from outside, while the server keeps it waiting."""
    person.signs_in(lifetime)
    come, go = threading.Event(), threading.Event()
    place = person.simulator.backend_faults if lifetime > 0 else person.simulator.issuer_faults
    place.add(RESPONSES if lifetime > 0 else "/oauth/token", Fault(500, seen=come, hold=go))
    process = missy.start("--debug", "ask", "hi", "--model", MODEL)
    try:
        assert come.wait(60)
        proc = Path(f"/proc/{process.pid}")
        text = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        children = [path.read_text().split() for path in proc.glob("task/*/children")]
    finally:
        go.set()
        process.communicate(timeout=60)
    issuer = person.simulator.issuer
    assert not [t for t in [*issuer.refresh_tokens, *issuer.access_tokens] if t.encode() in text]
    assert [child for found in children for child in found] == []


def test_the_audit_names_the_login_and_every_request(person, missy):
    """Renewal, list and answer are recorded under the entry, with `oauth` for the credential; the chain holds."""
    person.signs_in(-5)
    assert missy.inside("ask", "hi").code == 0
    records = [json.loads(line) for line in (missy.home / "audit.jsonl").read_text().splitlines()]
    requests = [r for r in records if r["event"] == "request"]
    assert [r["path"] for r in requests] == ["/oauth/token", MODELS, RESPONSES]
    assert {r["entry"] for r in requests} == {"openai-codex"}
    assert {r["credential"] for r in requests[1:]} == {"oauth"}
    assert missy.inside("audit", "verify").code == 0
