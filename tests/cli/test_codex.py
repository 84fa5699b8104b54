"""`missy` with a ChatGPT login, from outside: answers, errors, models, limits, and what never leaks."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest

from tests.command import Command
from tests.providers.chatgpt import MODEL, MODELS, RESPONSES, Subscriber
from tests.simulator import BACKEND_ROWS, Call, Fault, Say, Script, Simulator, Think

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


CODES = {**{row: code for row, (_, code) in BACKEND_ROWS.items()}, "deactivated-workspace": 4}


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
