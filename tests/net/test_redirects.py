"""Redirects: no answer sends a request to a second place, neither its headers nor its body."""

from __future__ import annotations

import json

import pytest

from missy import ProviderError
from tests.command import Command
from tests.configuration import load
from tests.net.conftest import ask, send
from tests.servers import chat_answer, response

STATUSES = (301, 302, 303, 307, 308)
KEY = "sk-canary-of-the-redirects"


def redirect(status: int, target: str) -> bytes:
    return response(status, b"moved", ("Location", target))


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("stream", [True, False])
def test_a_redirect_to_another_origin_sends_it_nothing(status, stream, way, write_config, serve):
    """Neither the key nor the prompt reaches the second server; the error names the target and is exit 5."""
    second = serve(chat_answer("stolen"))
    first = serve(redirect(status, f"{second.url}/chat/completions"))
    outcome = ask(way, write_config(first.url, api_key=KEY), stream=stream)
    assert second.connections == 0
    assert outcome.code == 5
    assert isinstance(outcome.error, ProviderError)
    assert second.url in outcome.error.message
    assert "base_url" in outcome.error.hint
    assert len(first.requests) == 1


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_to_an_allowed_origin_is_not_followed_either(status, way, write_config, serve):
    """That the second server is an entry of its own makes it no target for the first one's key."""
    second = serve(chat_answer("stolen"))
    first = serve(redirect(status, f"{second.url}/chat/completions"))
    path = write_config(first.url, api_key=KEY)
    value = json.loads(path.read_text())
    value["providers"]["other"] = {**value["providers"]["test"], "base_url": second.url}
    path.write_text(json.dumps(value))
    assert len(load(path).providers) == 2
    assert ask(way, path, provider="test").code == 5
    assert second.connections == 0


TARGETS = (
    "http://api.openai.com/v1/chat/completions", "https://127.0.0.1:1/", "http://127.0.0.1:1/", "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data", "//evil.com/x", "/v1/elsewhere", "file:///etc/passwd", "unix:///run/docker.sock",
    "https://user:password@evil.com/", "javascript:alert(1)", "http://[::1", "https://a b:99999/", "", "?", "\\\\evil.com\\x",
    "http://evil.com/" + "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=[target[:40] or "empty" for target in TARGETS])
def test_no_kind_of_target_is_followed(target, way, write_config, serve, tried):
    """Plain http, private addresses, other ports, no URL at all: one request, one connection, exit 5."""
    origin = serve(redirect(307, target))
    outcome = ask(way, write_config(origin.url, api_key=KEY))
    assert outcome.code == 5
    assert tried() == [f"127.0.0.1:{origin.port}"]
    assert len(origin.requests) == 1


@pytest.mark.parametrize("status", [*STATUSES, 300, 304, 305])
def test_a_redirect_without_a_target_is_an_error(status, way, write_config, serve):
    """A 3xx without a Location is no answer and no crash."""
    origin = serve(response(status))
    assert ask(way, write_config(origin.url)).code == 5


@pytest.mark.parametrize("status", STATUSES)
def test_the_door_itself_hands_a_redirect_back(status, way, make_door, serve, record):
    """Below the model calls too: a 3xx is a reply like any other, and its status is on record."""
    second = serve(response(200, b"stolen"))
    first = serve(redirect(status, second.url))
    door = make_door(first.url, second.url)
    got = send(way, door, first.url, method="POST", content=b"secret", headers={"x-api-key": KEY})
    assert (got.status, got.headers["location"]) == (status, second.url)
    assert second.connections == 0
    assert record.lines()[-1]["status"] == status


def test_the_users_own_client_follows_nothing(write_config, serve):
    """The real `openai.OpenAI` over the door does not follow a redirect, as the stock one would."""
    import openai

    from missy import Missy

    second = serve(chat_answer("stolen"))
    first = serve(redirect(307, f"{second.url}/chat/completions"))
    with Missy.open(write_config(first.url, api_key=KEY)) as missy, pytest.raises(openai.APIStatusError):
        missy.openai_client().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert second.connections == 0


def test_the_command_exits_5_and_names_the_target(missy: Command, serve):
    """What a user sees: the place that the endpoint wanted to send him to, and what to do if he trusts it."""
    second = serve(chat_answer("stolen"))
    first = serve(redirect(308, f"{second.url}/chat/completions"))
    missy.entry(first.url, api_key=KEY)
    done = missy("ask", "hi", "--json")
    assert done.code == 5
    assert second.url in done.json()["error"]["message"]
    assert KEY not in done.text + done.err
    assert second.connections == 0


def test_an_endpoints_cookie_goes_to_nobody(way, make_door, serve):
    """What one endpoint wants remembered is told to no other on the same host, and not to itself either."""
    first = serve(response(200, b"{}", ("Set-Cookie", "session=abc; Path=/")))
    second = serve(response(200, b"{}"))
    door = make_door(first.url, second.url)
    if way == "sync":
        for origin in (first, second, first):
            door.request("GET", origin.url, timeout=20)
    else:
        import asyncio

        async def send_all() -> None:
            for origin in (first, second, first):
                await door.async_httpx_client(timeout=5).get(origin.url)
            await door.aclose()

        asyncio.run(send_all())
    assert [r.header("cookie") for r in (*first.requests, *second.requests)] == [None] * 3
