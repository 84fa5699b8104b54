"""The event stream decoder, against the specification written down once more in the plainest way."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from missy.errors import BadReply
from missy.providers.payload import MAX_EVENT
from missy.providers.sse import UNFRAMED, Decoder


def reference(stream: bytes) -> list[tuple[str, str]]:
    """Read a whole stream as the HTML standard says, 9.2.6: decode, split, and interpret line by line.

    A stream that ends in CR may be in the middle of CRLF; the line is over all the same.
    """
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]  # the last has no end
    events: list[tuple[str, str]] = []
    data, name = "", ""
    for line in lines:
        if line == "":
            if data:
                events.append((name, data.removesuffix("\n")))
            data, name = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data += value + "\n"
            elif field == "event":
                name = value
    return events


def decode(*chunks: bytes) -> list[tuple[str, str]]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk) if event[0] != UNFRAMED]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at these places, in order, some perhaps twice."""
    ends = sorted(place % (len(stream) + 1) for place in places)
    return [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]


PIECES = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"x", b"{}", b"[DONE]", b"\xef\xbb\xbf",
     "é€😀".encode(), b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\xff", b"\x00", b"data: a\n\n", b"data:b\r\r", b"event: e\n", b"da", b"ta:"]
)  # fmt: skip
STREAMS = st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=60)


@settings(max_examples=500)
@given(STREAMS, st.lists(st.integers(0, 200), max_size=8))
@example(b"\xef\xbb\xbfdata: x\r\n\r\n", [1, 2, 10, 11, 12])
@example(b"data: a\r", [8])
@example(b"\r\n\r\ndata\n\n", [1])
@example(b"data: a\r\ndata: b\r\n\r\n", [8])
@example(b"data: a\n\ndata: b\r\r\ndata: c\n\n", [9])
@example(b"data: a\n\nxdata: b\n\ndata: c\n\n", [9, 10])
def test_any_stream_in_any_chunks_is_read_as_the_standard_says(stream, places):
    """However the bytes are cut into chunks, the events are those of the whole."""
    assert decode(*cut(stream, places)) == reference(stream)


@settings(max_examples=150)
@given(STREAMS)
@example(b"event: e\r\ndata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n")
def test_a_byte_at_a_time_is_no_different(stream):
    """The smallest chunks there are."""
    assert decode(*(bytes([byte]) for byte in stream)) == reference(stream)


# What servers send: events of one or more lines, comments between them, and line ends of every kind.
LINES = st.sampled_from(
    [b"data: a", b"data: {}", b"data:b", b"data", b"data: ", b"data:  c", b"data: [DONE]", b"event: error", b"event:", b"id: 1", b"retry: 9",
     b": OPENROUTER PROCESSING", b":", b": ping - 2026-11-22", "data: é€😀".encode(), b"data: \xff", b"\xef\xbb\xbfdata: d", b"x"]
)  # fmt: skip
BREAKS = st.sampled_from(
    [b"\n", b"\n\n", b"\n\n", b"\n\n", b"\n\n\n", b"\r\n", b"\r\n\r\n", b"\r", b"\r\r", b"\n\r"]
)
PACKETS = st.lists(st.tuples(LINES, BREAKS).map(b"".join), max_size=12)


@settings(max_examples=400)
@given(PACKETS, st.lists(st.booleans(), min_size=30, max_size=30))
@example([b"data: a\n", b"\n", b"data: b\n\n"], [True] * 30)
@example([b"event: error\n", b"data: a\n\n", b"data: b\n\n"], [True] * 30)
@example([b"data: a\n", b"data: b\n\n"], [True] * 30)
@example([b"data: a\r\r", b"\ndata: b\n\n"], [True] * 30)
@example([b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n"], [True] * 30)
@example([b"data: a\n\n", b"data: b\rdata: c\n\n"], [True] * 30)
def test_chunks_that_end_where_lines_end_are_read_as_the_standard_says(packets, cuts):
    """Servers flush after a line or an event, so that is where chunks end: with each cut or none, the events are the same."""
    lines = [line for packet in packets for line in re.split(rb"(?<=[\r\n])", packet) if line]
    chunks = [b""]
    for number, line in enumerate(lines):
        if cuts[number % len(cuts)]:
            chunks.append(b"")
        chunks[-1] += line
    expected = reference(b"".join(lines))
    assert decode(*chunks) == expected
    assert decode(*packets) == expected
    assert decode(*lines) == expected


COMMENT = b": OPENROUTER PROCESSING\n\n"


@pytest.mark.parametrize(
    "chunks",
    [
        (COMMENT, b"data: a\n\n"),
        (COMMENT + b"data: a\n\n",),
        (b"data: a\n\n" + COMMENT,),
        (b"data: a\n\n", COMMENT, COMMENT),
        (COMMENT[:-1], b"\ndata: a\n\n"),
        (COMMENT[:-2], b"\n\n", b"data: a\n\n"),
        (COMMENT + b"data: a\n", COMMENT[2:], b"\n"),
    ],
)
def test_a_comment_of_a_gateway_is_no_event(chunks):
    """A gateway sends comments while the model has not begun: they are neither data nor an end of it."""
    assert decode(*chunks) == [("", "a")]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("", "a")]),
        (b"data:a\n\n", [("", "a")]),
        (b"data:  a\n\n", [("", " a")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"data\n\n", [("", "")]),
        (b"data\ndata\n\n", [("", "\n")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("", "b")]),
        (b"event: lost\n\ndata: b\n\n", [("", "b")]),
        (b"id: 1\n\nretry: 5\n\n: c\n\ndata: b\n\n", [("", "b")]),
        (b"data: no end\n", []),
        (b"data: no end", []),
        (b"Data: a\n\n data: b\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [("", "a"), ("", "b"), ("", "c")]),
    ],
)
def test_the_examples_of_the_standard(stream, expected):
    """Fields, spaces, line ends, and what does not count."""
    assert decode(stream) == expected == reference(stream)


def test_an_event_is_given_out_with_its_last_byte():
    """Nothing waits for the next chunk, after a CR neither."""
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\r") == [("", "a")]
    assert decoder.feed(b"\ndata: b\n") == []
    assert decoder.feed(b"\n") == [("", "b")]


@pytest.mark.parametrize(
    "piece",
    [b"a" * 65536, b"data: abc\n" * 6000, b"data: " + "😀".encode() * 16_000 + b"\n"],
    ids=["a line", "lines", "wide characters"],
)
def test_an_event_without_end_is_an_error(piece):
    """One event is bounded, whether it is one long line or many short ones."""
    decoder = Decoder()
    with pytest.raises(BadReply, match="one event of the stream is longer"):
        for _ in range(10 * MAX_EVENT // len(piece)):
            assert decoder.feed(piece) == []


def test_the_longest_event_is_read():
    """What is just within the bound comes out whole."""
    text = b"a" * (MAX_EVENT - 100)
    assert decode(b"data: ", text, b"\n\n") == [("", text)]


@pytest.mark.parametrize("piece", [b"\r", b"\n", b"\r\n", b":\n", b"x", b"data: a\n\n", b"id\r"])
def test_no_flood_costs_more_than_its_length(piece):
    """Twice the bytes take twice the time: sixteen times as many do not take a hundred times as long."""

    def took(size: int) -> float:
        best = 60.0
        for _ in range(3):
            decoder, chunk = Decoder(), piece * (16384 // len(piece))
            started = time.perf_counter()
            for _ in range(size):
                decoder.feed(chunk)
            best = min(best, time.perf_counter() - started)
        return best

    assert took(16) < 100 * took(1) + 0.1
