"""HTTP/1.1 as it is written and read: beside h11, another implementation, and byte by byte."""

from __future__ import annotations

from typing import NamedTuple

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missy.net.http1 import MAX_OVERHEAD_BYTES, ResponseReader, Upload
from missy.net.stream_errors import LocalProtocolError, RemoteProtocolError

OK = b"HTTP/1.1 200 OK\r\n"


class Seen(NamedTuple):
    """What a reader made of some bytes and the end of the connection."""

    status: int | None
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_whole: bool
    serves_again: bool


def read(pieces: list[bytes], method: str = "POST") -> Seen:
    """Read a response as a connection does."""
    reader, body, ended = ResponseReader(method), b"", False
    try:
        while True:
            while data := reader.take():
                body += data
            if reader.is_complete:
                break
            ended = not pieces
            reader.feed(pieces.pop(0) if pieces else b"")
    except RemoteProtocolError:
        return Seen(reader.status or None, [], body, False, False)
    headers = [(name.lower(), value) for name, value in reader.headers]
    return Seen(reader.status, headers, body, True, reader.keeps_alive and not ended)


def read_by_h11(pieces: list[bytes], method: str = "POST") -> Seen:
    """Read the same with h11."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_OVERHEAD_BYTES)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, headers, body, ended = None, [], b"", False
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                ended = not pieces
                connection.receive_data(pieces.pop(0) if pieces else b"")
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, list(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                return Seen(status, [], body, False, False)
    except h11.RemoteProtocolError:
        return Seen(status, [], body, False, False)
    serves_again = connection.their_state is h11.DONE and not connection.trailing_data[0] and not ended
    return Seen(status, headers, body, True, serves_again)


def cut(wire: bytes, at: list[int]) -> list[bytes]:
    """Cut bytes into pieces at some places, given as any numbers."""
    places = sorted(place % (len(wire) + 1) for place in at)
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True) if a < b]


BODIES = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"{}\r\n", b"\n\n", b"0\r\n\r\n", OK + b"\r\n"])
HEADERS = st.lists(
    st.sampled_from(
        [b"X: y", b"X:y", b"X:  y \t", b"X:", b"Connection: close", b"Connection: keep-alive", b"X: a\tb", b"X: \xff"]
    ),
    max_size=3,
)  # fmt: skip
BEFORE = st.sampled_from(
    [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"]
)
AFTER = st.sampled_from([b"", b"", b"\r\n", b"\n", b"X", b"\0", OK + b"Content-Length: 3\r\n\r\nbad"])
CUTS = st.lists(st.integers(0, 500), max_size=4)
METHODS = st.sampled_from(["POST", "POST", "GET", "HEAD"])
STATUS = st.sampled_from([b"200 OK", b"200 OK", b"200", b"204 No", b"304 Not", b"404 \xe9", b"599 a b"])


def chunked(parts: list[bytes], trailer: bytes = b"") -> bytes:
    """Return a body in chunks."""
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n" + trailer + b"\r\n"
    )


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Return a valid response, with its length in one of the three ways."""
    body, headers, version = draw(BODIES), draw(HEADERS), draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 "]))
    way = draw(st.sampled_from(["length", "chunks", "end"]))
    if way == "length":
        headers.append(b"Content-Length: %d" % len(body))
    elif way == "chunks":
        headers.append(b"Transfer-Encoding: chunked")
        body = chunked(draw(st.lists(BODIES, max_size=3)), draw(st.sampled_from([b"", b"X: y\r\n"])))
    head = version + draw(STATUS) + b"\r\n" + b"".join(line + b"\r\n" for line in headers)
    return head + b"\r\n" + body


@given(BEFORE, responses(), AFTER, CUTS, METHODS)
def test_what_is_valid_is_read_as_another_implementation_reads_it(before, response, after, cuts, method):
    """Status, headers, body, and whether the connection may serve again: all equal, wherever reads cut the bytes."""
    wire = before + response + after
    ours, theirs = read(cut(wire, cuts), method), read_by_h11(cut(wire, cuts), method)
    # A connection may be closed where it could serve again (here: after HEAD), and never the other way round.
    assert ours.serves_again <= theirs.serves_again
    assert ours._replace(serves_again=False) == theirs._replace(serves_again=False)


@given(responses(), st.integers(0, 400), CUTS)
def test_what_is_cut_off_is_whole_for_neither_or_for_both(response, at, cuts):
    """A response of known length that ends early is an error, whichever byte was the last."""
    wire = response[:at]
    ours, theirs = read(cut(wire, cuts)), read_by_h11(cut(wire, cuts))
    assert (ours.is_whole, ours.body) == (theirs.is_whole, theirs.body)


DAMAGE = [
    b"\0",
    b"\r",
    b"\x01",
    b"\x7f",
    b" ",
    b":",
    b"g",
    b"-",
    b"+",
    b"0x",
    b";",
    b",",
    b"\xff",
    b"HTTP/1.1",
    b"5",
]


@given(responses(), st.integers(0, 400), st.sampled_from(DAMAGE), st.booleans(), CUTS)
def test_nothing_is_whole_that_another_implementation_calls_broken(response, at, what, replace, cuts):
    """Bytes that are put in or changed anywhere never make a response that only the one here takes for whole."""
    place = at % len(response)
    wire = response[:place] + what + response[place + replace :]
    ours, theirs = read(cut(wire, cuts)), read_by_h11(cut(wire, cuts))
    assert ours.is_whole <= theirs.is_whole, (ours, theirs)
    if ours.is_whole:
        assert (ours.status, ours.body) == (theirs.status, theirs.body)


BROKEN = {
    "nothing": b"",
    "a page without a head": b"<html></html>",
    "another protocol": b"SSH-2.0-OpenSSH_9\r\n",
    "a protocol that llhttp reads": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a later version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a version of two digits": b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
    "an empty line first": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "only a 1xx": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a 1xx with a body": b"HTTP/1.1 199 X\r\nContent-Length: 2\r\n\r\nab" + OK + b"Content-Length: 0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked([b"ab"]),
    "chunked twice": OK
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked([b"ab"]),
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\nab",
    "a length that overflows": OK + b"Content-Length: 18446744073709551618\r\n\r\nab",
    "a chunk that overflows": OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n",
    "a chunk with a sign": OK + b"Transfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n",
    "a chunk without its end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab",
    "a name with a space": OK + b"X : y\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a value": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a lone CR in a value": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "a head without end": OK + b"X: y\r\n" * (MAX_OVERHEAD_BYTES // 6),
    "a header without end": OK + b"X: " + b"y" * MAX_OVERHEAD_BYTES,
    "an extension without end": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_OVERHEAD_BYTES,
    "trailers without end": OK
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    + b"X: y\r\n" * (MAX_OVERHEAD_BYTES // 6),
}


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_an_error(name, size):
    """In whatever pieces it comes."""
    wire = BROKEN[name]
    seen = read([wire[at : at + size] for at in range(0, len(wire), size)])
    assert not seen.is_whole


def test_what_came_before_the_damage_is_given_out_first():
    """A chunk that is no chunk costs the rest, not what is there."""
    seen = read([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"])
    assert (seen.body, seen.is_whole) == (b"hello", False)


@pytest.mark.parametrize("rest", [b"\r\n", b"\n", b"\r", b"X", OK, b"\r\n\r\n"])
@pytest.mark.parametrize(
    "response",
    [
        OK + b"Content-Length: 2\r\n\r\nok",
        OK + b"Content-Length: 0\r\n\r\n",
        OK + b"Content-Length: 2\r\n\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"ok"]),
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"ok"], b"X: y\r\n"),
        b"HTTP/1.1 204 No\r\n\r\n",
    ],
)
def test_after_bytes_that_nobody_asked_for_a_connection_is_not_used_again(response, rest):
    """Not even after an empty line, and wherever the reads cut them."""
    wire = response + rest
    for at in range(len(response) + 1):
        if at < len(response):  # else the rest is still unread, and the socket tells
            assert not read([wire[:at], wire[at:]] if at else [wire]).serves_again
        blank = response.endswith(b"\r\n\r\n\r\n")  # a body of a line end: not worth a rule of its own
        assert (
            read([response[:at], response[at:]] if 0 < at < len(response) else [response]).serves_again
            or blank
        )


def test_a_length_beside_chunks_does_not_count_and_ends_the_connection():
    """RFC 9112, 6.3: the chunks are the body; the connection is not trusted with another response."""
    seen = read([OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"hello"])])
    assert (seen.body, seen.is_whole, seen.serves_again) == (b"hello", True, False)


TEXT = st.text(st.characters(max_codepoint=255), max_size=12).map(lambda text: text.encode("latin-1"))


@given(st.sampled_from(["GET", "POST", "G T", "GET\r", ""]), TEXT, TEXT, TEXT)
def test_no_header_can_begin_another_one(method, target, name, value):
    """A request is written as one head with the headers that it was given, or not at all."""
    seen: list[object] = []

    class Reader:
        def on_url(self, url: bytes) -> None:
            seen.append(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            seen.append((name, value))

    try:
        head = Upload(method, b"/" + target, [(b"Host", b"x"), (name, value)]).head
    except LocalProtocolError:
        return
    httptools.HttpRequestParser(Reader()).feed_data(head)
    assert seen == [b"/" + target, (b"Host", b"x"), (name, value)]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", b"2"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"2"), (b"content-length", b"2")],
        [(b"Content-Length", b"+2")],
        [(b"Content-Length", b"")],
        [(b"Transfer-Encoding", b"gzip")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    ],
)
def test_a_request_gives_the_length_of_its_body_once(headers):
    """What two servers could read in two ways is not sent."""
    with pytest.raises(LocalProtocolError):
        Upload("POST", b"/", [(b"Host", b"x"), *headers])


def test_a_body_is_as_long_as_announced():
    """More is not sent, and less is an error at the end; in chunks any number of pieces goes."""
    upload = Upload("POST", b"/", [(b"Host", b"x"), (b"Content-Length", b"3")])
    assert upload.piece(b"ab") == b"ab"
    with pytest.raises(LocalProtocolError, match="shorter"):
        upload.end()
    with pytest.raises(LocalProtocolError, match="longer"):
        upload.piece(b"cd")
    chunks = Upload("POST", b"/", [(b"Host", b"x"), (b"Transfer-Encoding", b"chunked")])
    assert chunks.piece(b"hello") + chunks.piece(b"") + chunks.end() == chunked([b"hello"])
