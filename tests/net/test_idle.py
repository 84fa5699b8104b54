"""Connections that serve again, and servers that close them just then: the answer comes all the same, over a new one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from missy import AsyncMissy, ConnectionFailed, Missy, MissyError, PolicyError, TimedOut
from tests.net.conftest import SAFETY, Table, send
from tests.net.test_ahead import begin
from tests.servers import chat_answer, response
from tests.servers.fickle import Fickle

HOW = {
    "closed after the request": {},
    "reset after the request": {"reset": True},
    "closed at its first byte": {"reads": 1},
    "reset at its first byte": {"reads": 1, "reset": True},
    "closed in the middle of its body": {"reads": 200_000},
    "reset in the middle of its body": {"reads": 200_000, "reset": True},
}
LONG = "word " * 800_000  # more than the buffers of two sockets hold
REPLY = chat_answer("hello")


@pytest.fixture(params=["ask", "lent"])
def asks(request: pytest.FixtureRequest, way: str) -> Any:
    """Ask two times over one connection, by the library's own way or by a lent client, sync or async."""
    lent = request.param == "lent"

    def ask_twice(path: Path, second: str) -> list[str]:
        if way == "async":
            return asyncio.run(_async_twice(path, second, lent=lent))
        with Missy.open(path) as m:
            if lent:
                client = m.openai_client()
                return [_text(client.chat.completions.create(**_body(text))) for text in ("one", second)]
            return [m.ask(text, stream=False).text() for text in ("one", second)]

    return ask_twice


async def _async_twice(path: Path, second: str, *, lent: bool) -> list[str]:
    async with AsyncMissy.open(path) as m:
        if lent:
            client = m.openai_client()
            return [_text(await client.chat.completions.create(**_body(text))) for text in ("one", second)]
        return [await m.ask(text, stream=False).text() for text in ("one", second)]


def _body(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def _text(reply: Any) -> str:
    return str(reply.choices[0].message.content)


def records(home: Path) -> list[dict[str, Any]]:
    """Return the audit's records, oldest first."""
    return [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_kept_connection_that_closes_costs_no_answer(
    how, tls, asks, write_config, home, certify, ca_bundle
):
    """With no retry allowed, the second question is answered over a second connection, and both are on record."""
    context = certify("127.0.0.1") if tls else None
    with Fickle(REPLY, tls=context, **HOW[how]) as server:
        path = write_config(server.url, max_retries=0, network={"ca_bundle": str(ca_bundle)} if tls else {})
        assert asks(path, LONG if "middle" in how else "two") == ["hello", "hello"]
        assert (server.connections, server.requests, server.spoilt) == (2, 2, 1)
    events = [line["event"] for line in records(home) if line["event"] != "end"]
    assert events == ["request", "connect", "request", "connect"]
    ends = [line for line in records(home) if line["event"] == "end" and line["method"]]
    assert [(line["outcome"], line["status"]) for line in ends] == [("ok", 200)] * 2
    assert ends[1]["bytes_out"] > ends[0]["bytes_out"]  # what was sent twice counts twice


def test_a_new_connection_that_closes_is_an_error_at_once(way, make_door, record):
    """Nothing was kept, so nothing is sent again: one connection, one error."""
    with Fickle(response(200, b"ok"), answers=0, first=9) as server:
        door = make_door(server.url)
        with pytest.raises(ConnectionFailed, match="without an answer"):
            send(way, door, server.url)
        assert server.connections == 1
    assert record.lines()[-1]["error"] == "connection"


def test_it_is_sent_again_once_and_not_more(make_door):
    """When the new connection closes too, that is the error."""
    with Fickle(response(200, b"ok"), first=9) as server:
        door = make_door(server.url)
        door.request("GET", server.url, timeout=SAFETY)
        server._how = (0, None, False, False, 9)
        with pytest.raises(ConnectionFailed):
            door.request("GET", server.url, timeout=SAFETY)
        assert (server.connections, server.spoilt) == (2, 2)


def test_silence_on_a_kept_connection_is_a_timeout(way, write_config):
    """A server that keeps the connection and says nothing is not asked again."""
    with Fickle(REPLY, silent=True) as server:
        path = write_config(server.url, timeout=0.5)
        with pytest.raises(TimedOut):
            _ask_both(way, path)
        assert (server.connections, server.spoilt) == (1, 1)


def _ask_both(way: str, path: Path) -> None:
    if way == "async":
        asyncio.run(_async_twice(path, "two", lent=False))
        return
    with Missy.open(path) as m:
        for text in ("one", "two"):
            m.ask(text, stream=False).text()


def test_not_after_a_byte_of_the_answer(way, write_config, serve):
    """Where the reply has begun, nothing is sent again, kept connection or not."""

    def half(_request, wire):
        wire.send(b"HTTP/1.1 200")

    origin = serve(REPLY, half, REPLY)
    with pytest.raises(MissyError):
        _ask_both(way, write_config(origin.url))
    assert (len(origin.requests), origin.connections) == (2, 1)


def test_a_body_that_cannot_be_read_twice_gets_a_new_connection(make_door):
    """A generator's bytes can be sent once only, so they are not risked on a kept connection."""
    with Fickle(response(200, b"ok"), first=9) as server:
        door = make_door(server.url)
        assert door.httpx_client(timeout=SAFETY).get(server.url).content == b"ok"
        reply = door.httpx_client(timeout=SAFETY).post(
            server.url, content=iter([b"once"]), headers={"Content-Length": "4"}
        )
        assert reply.content == b"ok"
        assert (server.connections, server.spoilt) == (2, 0)


NAME = "api.idle.example"


def test_the_new_connection_is_checked_like_any_other(make_door, table: Table):
    """What the name leads to by now decides: a private address is refused, although the kept connection was allowed."""
    with Fickle(response(200, b"ok")) as server:
        table.names[NAME] = ["127.0.0.1"]
        url = f"http://{NAME}:{server.port}/v1"
        door = make_door(url, allowed_cidrs=("127.0.0.1/32",))
        door.request("GET", url, timeout=SAFETY)
        table.names[NAME] = ["10.0.0.1"]
        with pytest.raises(PolicyError, match=r"10\.0\.0\.1"):
            door.request("GET", url, timeout=SAFETY)
        assert server.connections == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_begun_ahead_that_closes_is_replaced(
    reset, make_door, record, table, certify, ca_bundle
):
    """It was idle until the request came, so it may be gone by then: one more connection, and the answer."""
    table.names[NAME] = ["127.0.0.1"]
    with Fickle(response(200, b"ok"), answers=0, reads=1, reset=reset, tls=certify(NAME)) as server:
        url = f"https://{NAME}:{server.port}/v1"
        door = make_door(url, ca_bundle=ca_bundle, allowed_cidrs=("127.0.0.1/32",))
        begin(door, url)
        assert door.request("GET", url, timeout=SAFETY, entry="e0").body == b"ok"
        assert (server.connections, server.spoilt) == (2, 1)
    assert [event for event, _ in record.kinds() if event != "end"] == ["connect", "request", "connect"]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("rest", [chat_answer("poison"), b"\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_bytes_after_a_response_are_never_the_next_one(rest, tls, asks, write_config, certify, ca_bundle):
    """A server, or somebody before it, that sends more than it announced gets no second answer read from it."""
    with Fickle(REPLY, rest=rest, answers=1000, tls=certify("127.0.0.1") if tls else None) as server:
        path = write_config(server.url, max_retries=0, network={"ca_bundle": str(ca_bundle)} if tls else {})
        assert asks(path, "two") == ["hello", "hello"]
        assert server.connections == 2
