"""One door for many at once: each request gets its own answer, and a connection that died is replaced."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from missy import AsyncMissy, Missy, MissyError
from missy.audit import verify
from missy.net.connection import AsyncConnection, Connection
from missy.net.gate import Attribution
from missy.net.http1 import ResponseReader
from missy.net.limits import Clock
from missy.net.messages import HttpRequest
from tests.net.conftest import SAFETY, send
from tests.servers import chat_stream, response


def own_answer(request, _wire) -> bytes:
    """Answer with the path, so that a mix-up shows."""
    return response(200, request.path.encode())


def test_threads_get_their_own_answers(make_door, serve, record):
    """Three hundred requests of eight threads over kept connections: no answer is another one's."""
    origin = serve(own_answer)
    door = make_door(origin.url)

    def fetch(number: int) -> bool:
        return door.request("GET", f"{origin.url}/{number}", timeout=SAFETY).body == f"/v1/{number}".encode()

    with ThreadPoolExecutor(8) as workers:
        assert all(workers.map(fetch, range(300)))
    assert origin.connections <= 8
    assert verify(record.path).ok


def test_tasks_get_their_own_answers(make_door, serve, record):
    """The same for three hundred tasks of one event loop."""
    origin = serve(own_answer)
    door = make_door(origin.url)

    async def fetch(number: int) -> bool:
        reply = await door.async_httpx_client(timeout=SAFETY).get(f"{origin.url}/{number}")
        return reply.content == f"/v1/{number}".encode()

    async def fetch_all() -> list[bool]:
        found = [await asyncio.gather(*map(fetch, range(at, at + 30))) for at in range(0, 300, 30)]
        await door.aclose()
        return [one for some in found for one in some]

    assert all(asyncio.run(fetch_all()))
    assert origin.connections <= 60
    assert verify(record.path).ok


def test_a_task_that_is_cancelled_leaves_no_one_elses_answer_behind(make_door, serve):
    """A request given up in the middle ends its connection: the next one never reads what was meant for it."""

    def slow(request, wire):
        if request.path.endswith("/slow"):
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwr")
            wire.wait_closed()
            return None
        return response(200, b"right")

    origin = serve(slow)
    door = make_door(origin.url)

    async def fetch() -> None:
        for _ in range(10):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(
                    door.async_httpx_client(timeout=SAFETY).get(f"{origin.url}/slow"), 0.02
                )
            assert (
                await door.async_httpx_client(timeout=SAFETY).get(f"{origin.url}/fast")
            ).content == b"right"
        await door.aclose()

    asyncio.run(fetch())


def test_an_answer_dropped_in_the_middle_does_not_disturb_the_next(write_config, serve):
    """Ten answers of which each is left after its first word; then one that is whole."""
    origin = serve(chat_stream("one", " two", " three"))
    with Missy.open(write_config(origin.url)) as missy:
        for _ in range(10):
            answer = missy.ask("hi")
            next(iter(answer))
            answer.close()
        assert missy.ask("hi").text() == "one two three"


def test_a_response_closed_twice_frees_its_connection_once(make_door, serve):
    """Closing again is no second connection to give away."""
    origin = serve(own_answer)
    door = make_door(origin.url)
    with door.httpx_client(timeout=SAFETY).stream("GET", origin.url) as reply:
        reply.read()
        reply.stream.close()
        reply.close()
        reply.stream.close()
    with (
        door.httpx_client(timeout=SAFETY).stream("GET", f"{origin.url}/a") as first,
        door.httpx_client(timeout=SAFETY).stream("GET", f"{origin.url}/b") as second,
    ):
        assert (first.read(), second.read()) == (b"/v1/a", b"/v1/b")


def test_a_body_that_was_closed_reads_nothing_of_the_next_one(way, make_door, serve):
    """Its connection serves another response by then, which stays whole."""
    origin = serve(own_answer)
    door = make_door(origin.url)

    def request(path: str) -> tuple[HttpRequest, Attribution]:
        return HttpRequest("GET", origin.url.removesuffix("/v1"), path.encode(), []), Attribution(
            Clock(SAFETY)
        )

    async def fetch() -> tuple[bytes, bytes, bytes]:
        first = await door.async_core().send(*request("/a"))
        before = b"".join([piece async for piece in first.body])
        await first.body.aclose()
        second = await door.async_core().send(*request("/b"))
        after = b"".join([piece async for piece in first.body])
        rest = b"".join([piece async for piece in second.body])
        await second.body.aclose()
        await door.aclose()
        return before, after, rest

    if way == "async":
        found = asyncio.run(fetch())
    else:
        first = door.core().send(*request("/a"))
        before = b"".join(first.body)
        first.body.close()
        second = door.core().send(*request("/b"))
        found = before, b"".join(first.body), b"".join(second.body)
        second.body.close()
    assert found == (b"/a", b"", b"/b")
    assert origin.connections == 1


def test_a_connection_that_the_server_closed_is_replaced(way, make_door, serve):
    """A kept connection that died in the meantime costs a new one, not the request."""
    origin = serve(
        lambda request, wire: wire.send(response(200, b"ok"))
    )  # answers, then closes, without saying so
    door = make_door(origin.url)
    if way == "sync":
        for _ in range(3):
            assert door.request("GET", origin.url, timeout=SAFETY).body == b"ok"
            _wait_for_the_end(origin)
    else:

        async def fetch() -> None:
            for _ in range(3):
                assert (await door.async_httpx_client(timeout=SAFETY).get(origin.url)).content == b"ok"
                await asyncio.to_thread(_wait_for_the_end, origin)
            await door.aclose()

        asyncio.run(fetch())
    assert origin.connections == 3


def _wait_for_the_end(origin) -> None:
    """Wait until the server has closed all its connections."""
    import time

    ends = time.monotonic() + SAFETY
    while origin._sockets and time.monotonic() < ends:
        time.sleep(0.001)


def test_many_answers_at_once(write_config, serve):
    """Twenty answers of one AsyncMissy run side by side, each whole."""
    origin = serve(lambda request, _wire: chat_stream(request.json()["messages"][0]["content"]))

    async def ask_all() -> list[str]:
        async with AsyncMissy.open(write_config(origin.url)) as missy:
            return await asyncio.gather(*(missy.ask(f"prompt {n}").text() for n in range(20)))

    assert asyncio.run(ask_all()) == [f"prompt {n}" for n in range(20)]


def test_a_closed_door_opens_again(way, make_door, serve):
    """`close()` ends the connections, not the door."""
    origin = serve(response(200, b"ok"))
    door = make_door(origin.url)
    assert send(way, door, origin.url).body == b"ok"
    door.close()
    assert send(way, door, origin.url).body == b"ok"


def test_the_clients_of_a_door_refuse_what_follows_a_refusal_no_less(make_door, serve):
    """A refusal changes nothing for what is allowed, nor the other way round."""
    origin = serve(response(200, b"ok"))
    door = make_door(origin.url)
    for _ in range(5):
        assert door.request("GET", origin.url, timeout=SAFETY).status == 200
        with pytest.raises(MissyError):
            door.request("GET", "http://127.0.0.1:1/", timeout=SAFETY)


def test_what_a_response_took_goes_without_the_garbage_collector(way, make_door, serve):
    """A command that runs for days keeps nothing of a reply that was read in circles of references."""
    origin = serve(response(200, b"ok"))
    door = make_door(origin.url)
    send(way, door, origin.url)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            assert send(way, door, origin.url).body == b"ok"
        alive = sum(
            isinstance(one, ResponseReader | Connection | AsyncConnection) for one in gc.get_objects()
        )
    finally:
        gc.enable()
    assert alive <= 4
