"""Servers over HTTP: every request by the policy and on record, the key at its origin alone, whatever the server says."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from missy import Missy, MissyError, Toolbox
from missy.audit import Audit
from missy.config.load import load
from missy.kinds import KINDS
from missy.mcp.servers import new_door
from missy.net.one_origin import OneOrigin
from missy.secrets.redact import Secret
from tests.servers import chat_stream, json_response, response
from tests.toolbox.conftest import calls, results

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
KEY = "mcp-secret-canary-1"
TOOL = {"name": "echo", "description": "Says it", "inputSchema": {"type": "object"}}


def reply(request):
    """Answer a message of the client as an honest server does."""
    message = request.json()
    number = message.get("id")
    if number is None:
        return response(202, b"")
    results_ = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "h", "version": "1"},
        },
        "tools/list": {"tools": [TOOL]},
        "tools/call": {"content": [{"type": "text", "text": "from afar"}]},
    }
    if message["method"] not in results_:
        return json_response({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no"}})
    return json_response({"jsonrpc": "2.0", "id": number, "result": results_[message["method"]]})


def posts(answer):
    """Return a handler: `answer` for each POST, no stream of events, no end of sessions."""

    def handle(request, _wire):
        return answer(request) if request.method == "POST" else response(405, b"")

    return handle


@pytest.fixture
def remote(missy, serve, monkeypatch):
    """The server `r` at a loopback endpoint that a test scripts, with a key."""
    monkeypatch.setenv("REMOTE_KEY", KEY)

    def start(answer, **fields):
        site = serve(posts(answer))
        make.server = {
            "url": f"http://127.0.0.1:{site.port}/mcp",
            "key": "$REMOTE_KEY",
            "seconds": 10,
            **fields,
        }
        configure("http://127.0.0.1:9")
        return site

    make: Any = start

    def configure(url):
        missy.config(
            {
                "providers": {"test": {"name": "openai", "model": "m", "base_url": url, "max_retries": 0}},
                "mcp": {"r": make.server},
            }
        )

    def call():
        model = serve(calls(("r__echo", {})), chat_stream("done"))
        configure(model.url)
        with Missy.open() as m:
            make.answer = m.ask("go", toolbox=Toolbox(use=(), mcp=["r"]), approve=lambda _: True)
            make.answer.text()
        return results(model.last)[0]

    make.call = call
    make.approve = lambda: missy.inside("mcp", "approve", "r", "--yes")
    return make


def test_a_call_over_http(remote, missy):
    """The call is answered; each request has a line of its own under the category tool, with the key's name and not the key."""
    site = remote(reply)
    assert remote.approve().code == 0
    assert remote.call().endswith("from afar")
    assert {request.header("authorization") for request in site.requests} == {f"Bearer {KEY}"}
    assert all(request.header("cookie") is None for request in site.requests)
    rows = [
        row
        for row in missy("audit", "recent", "-n", "99", "--json").json()
        if row["entry"] == "mcp:r" and row["event"] == "request"
    ]
    assert len(rows) == len(site.requests)
    assert {(row["category"], row["rule"], row["credential"]) for row in rows} == {
        ("tool", "mcp:r", "env:REMOTE_KEY")
    }
    assert {row["outcome"] for row in rows} == {"ok"}
    assert KEY not in (missy.home / "audit.jsonl").read_text()
    assert KEY not in missy("config", "show").text


# What a server answers -> nothing of it reaches the second origin
ELSEWHERE = {
    "redirect-307": lambda other: response(307, b"", ("Location", f"{other}/steal")),
    "redirect-302": lambda other: response(302, b"", ("Location", f"{other}/steal")),
    "redirect-port": lambda other: response(308, b"", ("Location", f"{other}/mcp")),
    "metadata": lambda other: response(
        401, b"", {"WWW-Authenticate": f'Bearer resource_metadata="{other}/.well-known/oauth"'}
    ),
    "forbidden": lambda other: response(
        403, b"", {"WWW-Authenticate": f'Bearer error="insufficient_scope", resource_metadata="{other}/m"'}
    ),
    "link": lambda other: response(
        404, b"", {"Link": f"<{other}/x>; rel=canonical", "Refresh": f"0; url={other}"}
    ),
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_nothing_reaches_a_second_origin(remote, serve, way):
    """A redirect elsewhere, a 401 with a metadata URL elsewhere: no connection, no byte and no key there."""
    other = serve(response(200, b"{}"))
    site = remote(lambda _: ELSEWHERE[way](other.url))
    done = remote.approve()
    assert done.code != 0
    assert KEY not in done.err + done.text
    assert (other.connections, len(other.requests)) == (0, 0)
    assert len(site.requests) >= 1


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [
        (401, {}, ("refused the key (HTTP 401)", "mcp.r.key")),
        (403, {}, ("does not allow this with the key (HTTP 403)", "mcp.r.key")),
        (401, {"key": None}, ("wants a key (HTTP 401)", "set mcp.r.key: $ENV_VAR")),
    ],
)
def test_a_key_that_is_refused_is_told_as_that(remote, status, fields, told):
    """401 and 403 are exit code 4, and the hint names the key of the configuration."""
    remote(lambda _: response(status, b""), **fields)
    done = remote.approve()
    assert done.code == 4
    assert all(text in done.err for text in told), done.err
    assert KEY not in done.err


def test_a_redirect_within_the_origin_is_followed(remote):
    """The same scheme, host and port is the same server."""
    remote(
        lambda request: (
            reply(request) if request.path == "/mcp/" else response(307, b"", ("Location", "/mcp/"))
        )
    )
    assert remote.approve().code == 0
    assert remote.call().endswith("from afar")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * (6 << 20) + b'"}', "application/json"),
        (b"data: " + b"x" * (6 << 20) + b"\n\n", "text/event-stream"),
        (b"<html>", "text/html"),
        (b"{", "application/json"),
        (b"", "text/event-stream"),
    ],
    ids=["huge", "huge-event", "html", "broken", "empty-stream"],
)
def test_a_reply_that_cannot_be_used_is_an_error(remote, body, kind):
    """A reply that is too long, no JSON or no answer is an error in time, with exit code 5."""
    remote(lambda _: response(200, body, kind=kind))
    done = remote.approve()
    assert done.code == 5
    assert "the MCP server r" in done.err or "longer than" in done.err


def test_a_host_that_is_not_allowed_gets_nothing(missy):
    """Plain http beyond loopback is refused by the policy before a byte leaves: exit code 3."""
    missy.config({"mcp": {"r": {"url": "http://192.0.2.1/mcp"}}})
    done = missy.inside("mcp", "approve", "r", "--yes")
    assert done.code == 3
    assert "https is required" in done.err


def test_names_that_change_reach_no_other_address(missy, serve, monkeypatch):
    """A name that gives another address each time, 1,000 times: no connection to the address that is not allowed."""
    other = serve(response(200, b"{}"))
    asked = [0]

    def flip(_host, port, *_args, **_more):
        asked[0] += 1
        address = "127.0.0.2" if asked[0] % 2 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    url = f"https://flip.example:{other.port}/mcp"
    network = {"allowed_cidrs": ["127.0.0.2/32"]}  # where nobody listens
    config = load(missy.config({"mcp": {"r": {"url": url}}, "network": network}), KINDS)

    async def ask_often() -> int:
        door = new_door(config, Audit(missy.home / "audit.jsonl"))
        link = OneOrigin(door, url, category="tool", entry="mcp:r", timeout=5, key=Secret(KEY))
        failed = 0
        async with link.client() as client:
            for _ in range(1000):
                try:
                    await client.get(url)
                except MissyError:
                    failed += 1
        await door.aclose()
        return failed

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", flip)
        assert asyncio.run(ask_often()) == 1000
    assert asked[0] >= 1000
    assert (other.connections, len(other.requests)) == (0, 0)


def test_a_session_outlives_the_limit_of_a_request(missy, serve):
    """Each request has a clock of its own: a session goes on long after the time that one request may take."""

    def talk(_request, _wire):
        threading.Event().wait(0.5)  # of the 1.2 seconds that each request has
        return response(200, b"{}")

    site = serve(talk)
    url = f"http://127.0.0.1:{site.port}/mcp"
    config = load(missy.config({"mcp": {"r": {"url": url}}}), KINDS)

    async def ask_often() -> list[int]:
        door = new_door(config, Audit(missy.home / "audit.jsonl"))
        link = OneOrigin(door, url, category="tool", entry="mcp:r", timeout=1.2)
        async with link.client() as client:
            codes = [(await client.get(url)).status_code for _ in range(4)]
        await door.aclose()
        return codes

    assert asyncio.run(ask_often()) == [200] * 4
    rows = missy("audit", "recent", "-n", "99", "--json").json()
    assert [row["outcome"] for row in rows if row["event"] == "request"] == ["ok"] * 4
