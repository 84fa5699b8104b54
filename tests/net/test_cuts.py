"""Cuts: a reply that breaks off at any byte is never taken for a whole one, and what had come of it is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from missy import AsyncMissy, Missy, MissyError
from tests.servers import chunk

pytestmark = pytest.mark.slow

CHUNKS = (
    {"choices": [{"index": 0, "delta": {"content": "Hé"}}]},
    {"choices": [{"index": 0, "delta": {"content": "llo"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 1}},
)
EVENTS = [f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode() for value in CHUNKS] + [
    b"data: [DONE]\n\n"
]
TEXTS = ["Hé", "llo", "", "", ""]  # what each event adds to the answer
FINISHED = 3  # events after which the answer is whole
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


class Way:
    """A reply as it goes over the wire, and how much of its body each cut of it delivers."""

    def __init__(self, head: bytes, pieces: list[tuple[bytes, int, int]]) -> None:
        self.wire = head + b"".join(framed for framed, _, _ in pieces)
        self._head = len(head)
        self._pieces = pieces

    def delivered(self, cut: int) -> int:
        """Return the bytes of the body that the first `cut` bytes of the wire hold."""
        left, body = cut - self._head, 0
        for framed, before, size in self._pieces:
            body += min(max(left - before, 0), size)
            left -= len(framed)
        return body


def framed(data: bytes) -> tuple[bytes, int, int]:
    whole = chunk(data)
    return whole, whole.index(b"\r\n") + 2, len(data)


WAYS = {
    "chunked": Way(
        STREAM + b"Transfer-Encoding: chunked\r\n\r\n", [*map(framed, EVENTS), (b"0\r\n\r\n", 0, 0)]
    ),
    "a length": Way(
        STREAM + b"Content-Length: %d\r\n\r\n" % len(b"".join(EVENTS)), [(e, 0, len(e)) for e in EVENTS]
    ),
    "closed at the end": Way(STREAM + b"\r\n", [(e, 0, len(e)) for e in EVENTS]),
}


def events_in(count: int) -> int:
    """Return how many events are whole in the first `count` bytes of the body."""
    return b"".join(EVENTS)[:count].count(b"\n\n")


def cutting(wire: bytes, cuts: list[int]):
    """Answer one request after the other, each cut one byte later."""
    turn: Iterator[int] = iter(cuts)

    def talk(_request, line) -> None:
        line.send(wire[: next(turn)])

    return talk


def check(way: Way, cut: int, text: str, error: MissyError | None) -> None:
    count = events_in(way.delivered(cut))
    assert text == "".join(TEXTS[:count]), f"cut at {cut}"
    if count >= FINISHED:
        assert error is None, f"cut at {cut}: {error}"
    else:
        assert error is not None, f"cut at {cut}: a part passed for the whole"
        assert error.exit_code in ((6,) if text else (5, 6)), f"cut at {cut}: {error!r}"


@pytest.mark.parametrize("name", WAYS)
def test_a_stream_cut_at_every_byte_is_never_silently_whole(name, write_config, serve):
    """Complete if the finish reason had come, else exit 6 with the text so far, or 5 where nothing had."""
    way = WAYS[name]
    cuts = list(range(len(way.wire) + 1))
    origin = serve(cutting(way.wire, cuts))
    with Missy.open(write_config(origin.url)) as missy:
        for cut in cuts:
            answer, error = missy.ask("hi"), None
            try:
                answer.text()
            except MissyError as raised:
                error = raised
            check(way, cut, answer.so_far, error)
    assert len(origin.requests) == len(cuts)


@pytest.mark.parametrize("name", WAYS)
def test_a_stream_cut_at_every_byte_is_never_silently_whole_for_async_code(name, write_config, serve):
    """The same for the async library."""
    way = WAYS[name]
    cuts = list(range(len(way.wire) + 1))
    origin = serve(cutting(way.wire, cuts))

    async def ask_all() -> None:
        async with AsyncMissy.open(write_config(origin.url)) as missy:
            for cut in cuts:
                answer, error = missy.ask("hi"), None
                try:
                    await answer.text()
                except MissyError as raised:
                    error = raised
                check(way, cut, answer.so_far, error)

    asyncio.run(ask_all())


def drain(answer) -> tuple[int, list[dict[str, str]]]:
    """Read an answer to its end; return the exit code that it means, and its tool calls."""
    try:
        answer.text()
        code = 0
    except MissyError as error:
        code = error.exit_code
    return code, [call.arguments for call in answer.tool_calls]


CALL = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
WHOLE = json.dumps(
    {
        "choices": [
            {"index": 0, "message": {"content": "hello", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}
        ]
    }
).encode()


@pytest.mark.parametrize("length", [True, False], ids=["a length", "closed at the end"])
def test_a_whole_answer_cut_at_every_byte_is_an_error(length, write_config, serve):
    """A reply in one piece counts when it is all there, and not before."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(WHOLE) if length else b"\r\n"
    wire = head + WHOLE
    cuts = list(range(len(wire) + 1))
    origin = serve(cutting(wire, cuts))
    with Missy.open(write_config(origin.url)) as missy:
        for cut in cuts:
            answer = missy.ask("hi", stream=False)
            code, calls = drain(answer)
            if cut == len(wire):
                assert (code, calls) == (0, [{"city": "Paris"}])
            else:
                assert code in (5, 6), f"cut at {cut}"
                assert calls == []


def test_a_tool_call_is_never_given_out_from_a_part(write_config, serve):
    """Arguments in pieces, cut anywhere: the call comes out whole, once the finish reason is there, or not at all."""
    text = CALL["function"]["arguments"]
    deltas = [{**CALL, "function": {"name": "f", "arguments": ""}}]
    deltas += [{"index": 0, "function": {"arguments": letter}} for letter in text]
    values = [{"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]} for delta in deltas]
    values.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    events = [f"data: {json.dumps(value)}\n\n".encode() for value in values]
    ends = [sum(map(len, events[: n + 1])) for n in range(len(events))]
    cuts = sorted({end + step for end in ends for step in (-1, 0)})
    wire = STREAM + b"\r\n"
    origin = serve(cutting(wire + b"".join(events), [len(wire) + cut for cut in cuts]))
    with Missy.open(write_config(origin.url)) as missy:
        for cut in cuts:
            code, calls = drain(missy.ask("hi"))
            assert (code == 0) == (cut == ends[-1]), f"cut at {cut}"
            assert calls == ([{"city": "Paris"}] if code == 0 else [])
