"""`door.httpx_client`: the door for a library that brings calls of its own, sync and async."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from missy import PolicyError
from missy.net.door import Door
from tests.command import SAFETY
from tests.servers import CUT, Gate, event_stream, response


def fetch(way: str, door: Door, url: str, *, read: int | None = None, **options: Any) -> bytes:
    """GET a URL through a client of the door; with `read`, close the response after so many pieces."""

    async def run() -> bytes:
        try:
            async with (
                door.async_httpx_client(timeout=SAFETY, **options) as client,
                client.stream("GET", url) as got,
            ):
                if read is None:
                    return await got.aread()
                pieces = got.aiter_raw()
                return b"".join([await anext(pieces) for _ in range(read)])
        finally:
            await door.aclose()

    if way == "async":
        return asyncio.run(run())
    with door.httpx_client(timeout=SAFETY, **options) as client, client.stream("GET", url) as got:
        if read is None:
            return got.read()
        pieces = got.iter_raw()
        return b"".join(next(pieces) for _ in range(read))


def last(record) -> dict[str, Any]:
    return [line for line in record.lines() if line["event"] == "done" or "outcome" in line][-1]


def test_a_request_is_on_the_account_that_was_named(way, make_door, record, serve):
    """Category and entry of the client stand in the record of each of its requests."""
    origin = serve(response(200, b"hello"))
    door = make_door(allowed_hosts=(f"127.0.0.1:{origin.port}",), allowed_cidrs=("127.0.0.0/8",))
    assert fetch(way, door, origin.url, category="tool", entry="search") == b"hello"
    begun = next(line for line in record.lines() if line["event"] == "request")
    assert (begun["category"], begun["entry"]) == ("tool", "search")


def test_a_response_that_its_reader_closes_early_is_ok_on_record(way, make_door, record, serve):
    """Whoever reads may stop when enough has come: that is no failure."""
    gate = Gate()
    origin = serve(event_stream(b"data: 1\n\n", gate))
    door = make_door(origin.url)
    assert fetch(way, door, origin.url, read=1).startswith(b"data: 1")
    gate.open()
    assert last(record)["outcome"] == "ok"


def test_a_response_that_is_cut_is_a_failure_on_record(way, make_door, record, serve):
    """A reply that its server breaks off is no early close of the reader."""
    origin = serve(event_stream(b"data: 1\n\n", CUT))
    door = make_door(origin.url)
    with pytest.raises(Exception, match="broke off"):
        fetch(way, door, origin.url)
    assert last(record)["outcome"] == "failed"


def test_what_the_policy_refuses_is_refused(way, make_door, record, tried):
    """The client reaches what the policy allows, and nothing else: no name is looked up for the rest."""
    door = make_door("https://api.example.com/v1")
    with pytest.raises(PolicyError):
        fetch(way, door, "https://other.example.com/")
    assert tried() == []
    assert record.lines()[-1]["event"] == "refused"


def test_each_request_has_a_clock_of_its_own(make_door, serve):
    """One client serves request after request; none inherits the time that another has used."""
    origin = serve(response(200, b"hello"))
    door = make_door(origin.url)
    with door.httpx_client(timeout=SAFETY) as client:
        calls = [client._transport._attribution_of(client.build_request("GET", origin.url)) for _ in range(2)]
        assert [client.get(origin.url).content for _ in range(3)] == [b"hello"] * 3
    assert calls[0].clock is not calls[1].clock
    assert calls[0].clock.total_remaining() is None
