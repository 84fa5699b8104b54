"""What is wrong with a key before it is sent, what a renewal may leave out, and what a subscription says of its limits."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.cases.conftest import Asker, chat, data, http, read_case

STOP = {"delta": {}, "finish_reason": "stop"}
SLIPS = {
    "'sk-secret-1234'": "quotes",
    '"sk-secret-1234"': "quotes",
    "sk-secret-1234'": "quotes",
    "\u201csk-secret-1234\u201d": "quotes",
    "$GROQ_SECRET_1234": "variable",
    "${GROQ_SECRET_1234}": "variable",
    "%GROQ_SECRET_1234%": "variable",
    "GROQ_API_KEY=sk-secret-1234": "NAME=key",
    "export GROQ_API_KEY=sk-secret-1234": "NAME=key",
    "api_key=sk-secret-1234": "NAME=key",
    "Bearer sk-secret-1234": "Bearer",
}


@pytest.mark.parametrize("key", SLIPS)
def test_a_slip_in_a_key_is_refused_before_it_is_sent(asker: Asker, key: str):
    """Exit 4, the cause is named, nothing goes out, and the key is not shown."""
    asker.serve(chat("hi", STOP), api_key="$MISSY_TRIAL_KEY")
    done = asker.missy("ask", "hi", env={"MISSY_TRIAL_KEY": key})
    assert (done.code, SLIPS[key] in done.err, "1234" in done.err) == (4, True, False), done.err
    assert asker.origin.requests == []


@pytest.mark.parametrize("key", ["sk-abc123", "YWJjZGVm==", "eyJh.eyJz.c2ln", "abc=", "gsk_a/b+c=", "k-one"])
def test_what_a_key_may_look_like_is_sent_as_it_is(asker: Asker, key: str):
    """A key may end in =, and hold points and slashes."""
    asker.serve(chat("hi", STOP), api_key="$MISSY_TRIAL_KEY")
    assert asker.missy("ask", "hi", env={"MISSY_TRIAL_KEY": key}).code == 0
    assert asker.origin.last.header("authorization") == f"Bearer {key}"


def renew(asker: Asker, token: Any) -> tuple[int, dict[str, Any], str]:
    """Ask with a token that the backend refuses; return exit code, the login file afterwards and stderr."""
    refused, answer, _ = read_case("renewal-with-empty-id-token")
    asker.serve(b"", codex=True)
    asker.origin.script[:] = [refused, http(json.dumps(token), "application/json"), answer]
    done = asker.missy.inside("ask", "hi")
    return done.code, json.loads((asker.missy.home / "secrets" / "openai-oauth.json").read_text()), done.err


@pytest.mark.parametrize(
    "odd",
    [
        {"id_token": ""}, {"id_token": 5}, {"id_token": None}, {"id_token": "a.b.c"}, {"id_token": {"x": 1}}, {"expires_in": "soon"},
        {"expires_in": -1}, {"scope": 7}, {"token_type": None}, {"refresh_token": ""}, {"refresh_token": 5},
        {"refresh_token": None}, {"refresh_token": "two words"}, {"refresh_token": []}, {"error": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_renewal_with_a_usable_access_token_is_kept(asker: Asker, odd: dict[str, Any]):
    """Whatever else is odd in it; an unusable refresh token leaves the old one in its place."""
    code, login, err = renew(asker, {"access_token": "AT2", "refresh_token": "RT2", "id_token": "x", **odd})
    assert (code, login["access_token"]) == (0, "AT2"), err
    assert login["refresh_token"] == ("rt" if "refresh_token" in odd else "RT2")


@pytest.mark.parametrize("access", ["", 5, None, "two words", []], ids=repr)
def test_a_renewal_without_an_access_token_keeps_the_new_refresh_token(asker: Asker, access: Any):
    """The old one is spent: what the issuer gave in its place is the login from now on."""
    code, login, _ = renew(asker, {"access_token": access, "refresh_token": "RT2"})
    assert (code, login["access_token"], login["refresh_token"]) == (5, "at", "RT2")


def test_the_limits_in_a_stream_are_noted_and_say_when_they_reset(asker: Asker):
    """`codex.rate_limits` before a refusal without a time: the time is known all the same."""
    reset = int(time.time()) + 3600
    limits = {"primary": {"used_percent": 100, "window_minutes": 300, "reset_at": reset}, "secondary": None}
    event = {"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": limits}
    failed = {
        "type": "response.failed",
        "response": {"error": {"code": "usage_limit_reached", "message": "No more."}},
    }
    asker.serve(http(data(event, failed)), codex=True)
    done = asker.missy.inside("ask", "hi")
    assert (
        done.code,
        "No more." in done.err,
        "it resets in 1 h" in done.err or "it resets in 59 min" in done.err,
    ) == (7, True, True)
    note = json.loads((asker.missy.home / "usage.json").read_text())
    assert note["limits"]["primary"] == {"used_percent": 100.0, "window_minutes": 300, "resets_at": reset}


def test_another_family_of_limits_is_read_from_the_headers(asker: Asker):
    """`x-codex-NAME-primary-…`: a refusal without a time in its body ends when that window begins anew."""
    reset = int(time.time()) + 7200
    headers = [
        f"x-codex-spark-primary-{name}: {value}"
        for name, value in (("used-percent", 100), ("reset-at", reset))
    ]
    body = json.dumps({"error": {"type": "usage_limit_reached", "message": "No more."}})
    asker.serve(http(body, "application/json", *headers, status=429), codex=True)
    done = asker.missy.inside("ask", "hi")
    assert (done.code, "it resets in 2 h" in done.err or "it resets in 1 h 59 min" in done.err) == (
        7,
        True,
    ), done.err
    note = json.loads((asker.missy.home / "usage.json").read_text())
    assert note["limits"]["primary"]["resets_at"] == reset


def test_a_wait_that_a_sentence_names_is_waited_and_answered(asker: Asker):
    """Within the timeout: the same request again, after the time that was asked for."""
    limit = {"error": {"message": "Too fast: try again in 300ms.", "code": "rate_limit_exceeded"}}
    asker.origin = asker._serve(http(json.dumps(limit), "application/json", status=429), chat("hi", STOP))
    asker.missy.entry(asker.origin.url, "m", max_retries=2, timeout=10)
    assert asker.missy.inside("ask", "hi").text == "hi\n"
    first, second = asker.origin.requests
    assert second.at - first.at >= 0.3
    assert first.body == second.body


def test_a_wait_in_a_header_alone_that_is_too_long_ends_at_once_with_its_time(asker: Asker):
    """Six minutes are more than the timeout: exit 7, one request, and the time."""
    _, raw = read_case("how-long-to-wait")
    asker.origin = asker._serve(raw)
    asker.missy.entry(asker.origin.url, "m", max_retries=2, timeout=10)
    done = asker.missy.inside("ask", "hi")
    assert (done.code, "it resets in 6 min (" in done.err, len(asker.origin.requests)) == (7, True, 1), (
        done.err
    )


def test_hidden_thinking_shows_life(asker: Asker):
    """Items of reasoning that only hold encrypted bytes hold a call up, as comments do."""
    import threading

    def slow(_request: Any, wire: Any) -> None:
        answer = read_case("renewal-with-empty-id-token")[1].replace(b"\r\n", b"\n").partition(b"\n\n")[2]
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for number in range(6):
            item = {"type": "reasoning", "id": f"r{number}", "encrypted_content": "x" * 50}
            wire.send(
                data({"type": "response.output_item.done", "output_index": number, "item": item}).encode()
            )
            threading.Event().wait(0.4)
        wire.send(answer)

    asker.serve(b"", codex=True, timeout=1.6)
    asker.origin.script[:] = [slow]
    done = asker.missy.inside("ask", "hi")
    assert (done.code, done.text) == (0, "Hello\n"), done.err
