"""HTTP/1.1 as Missy reads it, beside h11: never more than h11 accepts, never something else, wherever the bytes are cut."""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

import h11
import pytest

from missy import AsyncMissy, Missy
from missy.net.http1 import MAX_CHUNK_LINE_BYTES, MAX_HEAD_BYTES, RequestBody, ResponseParser, request_head
from missy.net.transport_errors import LocalProtocolError, RemoteProtocolError
from tests.servers import chat_answer, chunk

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "length twice": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length in a list": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "no length": OK + b"Content-Type: text/plain\r\n\r\nuntil the end",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "no headers": OK + b"\r\nbody",
    "no reason": b"HTTP/1.1 204\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
    "chunks": CHUNKED + chunk(b"hello ") + chunk(b"world") + b"0\r\n\r\n",
    "chunks in capitals": CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n",
    "chunk extension": CHUNKED + b"5;a=b; c\r\nhello\r\n0;x\r\n\r\n",
    "blanks after a size": CHUNKED + b"5  \r\nhello\r\n0\r\n\r\n",
    "trailers": CHUNKED + chunk(b"hello") + b"0\r\nA: b\r\nC: d\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a folded header": OK + b"A: b\r\n  c\r\nContent-Length: 1\r\n\r\nx",
    "informational": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx",
    "both framings": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello") + b"0\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "close": OK + b"Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok",
    "header text": OK + b"X: \xc3\xa9 \t tab\r\nEmpty:\r\nContent-Length: 0\r\n\r\n",
}  # fmt: skip
BAD = {
    "nothing": b"",
    "a half head": OK + b"Content-Len",
    "an empty line first": b"\r\n" + OK + b"\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a blank before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "a header without a colon": OK + b"Content-Length 5\r\n\r\nhello",
    "a zero byte": OK + b"A: b\x00c\r\n\r\n",
    "a bare carriage return": OK + b"A: b\rContent-Length: 5\r\n\r\nhello",
    "a continuation first": OK + b" A: b\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in a list": OK + b"Content-Length: 5, 6\r\n\r\nhello!",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a short body": OK + b"Content-Length: 5\r\n\r\nhell",
    "no last chunk": CHUNKED + chunk(b"hello"),
    "half a chunk": CHUNKED + b"5\r\nhel",
    "no end of trailers": CHUNKED + chunk(b"hello") + b"0\r\nA: b\r\n",
    "trailers that are none": CHUNKED + chunk(b"hello") + b"0\r\nwhat\r\n\r\n",
    "a chunk too long": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "a signed size": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with _": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
}


class Read(NamedTuple):
    """What a parser made of bytes: `whole` if the response was complete, else what came before the error."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    reusable: bool


def ours(pieces: list[bytes], method: str = "POST") -> Read:
    parser, head, body = ResponseParser(), None, b""
    parser.begin(method, keep_alive=True)
    try:
        for piece in [*pieces, b""]:
            parser.feed(piece)
            head = head or parser.head()
            while head is not None and (part := parser.body()):
                body += part
            if parser.finished:
                break
    except RemoteProtocolError:
        return Read(head.status if head else 0, head.headers if head else [], body, False, False)
    assert head is not None
    return Read(head.status, head.headers, body, parser.finished, parser.reusable)


def theirs(pieces: list[bytes], method: str = "POST") -> Read:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, headers, body = 0, [], b""
    try:
        for piece in [*pieces, b""]:
            connection.receive_data(piece)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    status, headers = event.status_code, event.headers.raw_items()
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, (h11.EndOfMessage, h11.PAUSED)):
                    reusable = connection.their_state is h11.DONE and connection.trailing_data == (b"", False)
                    return Read(status, headers, body, True, reusable)
    except h11.RemoteProtocolError:
        pass
    return Read(status, headers, body, False, False)


def cuts(data: bytes) -> list[list[bytes]]:
    """Return the bytes whole, one by one, and cut in two at each place."""
    single = [data[at : at + 1] for at in range(len(data))]
    return [[data], single, *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize("case", GOOD)
def test_a_response_is_read_as_h11_reads_it(case):
    """Status, headers and body are the same, whole and however they are cut."""
    known = theirs([GOOD[case]])
    assert known.whole
    for pieces in cuts(GOOD[case]):
        read = ours(pieces)
        assert (read.status, read.body, read.whole) == (known.status, known.body, True)
        assert [value for _, value in read.headers] or not known.headers
        assert read.reusable == (known.reusable and case != "both framings")


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_whole_response_never_passes_for_one(case):
    """It is an error for h11 and for Missy, however it is cut; what came before it is the same."""
    for pieces in cuts(BAD[case]):
        known, read = theirs(pieces), ours(pieces)
        assert not known.whole
        assert not read.whole
        assert b"hello!".startswith(read.body)


def test_nothing_is_accepted_that_h11_refuses():
    """Over thousands of damaged responses: what Missy takes as whole, h11 takes too, as the same."""
    source, taken = random.Random(1), 0
    for _ in range(6000):
        data = bytearray(source.choice([*GOOD.values(), *BAD.values()]))
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(data) + 1)
            data[at : at + source.randint(0, 2)] = source.choice(
                [b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x00", b"\x0b", b"0", b"a", b":", b";", b"-", b"\xff", b"5\r\n"]
            )  # fmt: skip
        read = ours([bytes(data)])
        if read.whole:
            taken += 1
            known = theirs([bytes(data)])
            assert (known.status, known.body, known.whole) == (read.status, read.body, True), bytes(data)
            assert known.reusable or not read.reusable, bytes(data)
    assert taken > 500


def test_no_body_follows_where_http_has_none():
    """A response to HEAD, and one with status 304, ends with its headers, whatever length they name."""
    data = OK + b"Content-Length: 5\r\n\r\n"
    assert ours([data], "HEAD") == theirs([data], "HEAD")
    assert ours([data.replace(b"200", b"304")]).whole


@pytest.mark.parametrize(
    "flood",
    [
        OK + b"A: " + b"a" * MAX_HEAD_BYTES,
        OK + b"A: b\r\n" * MAX_HEAD_BYTES,
        CHUNKED + b"5;" + b"a" * MAX_CHUNK_LINE_BYTES,
        CHUNKED + chunk(b"hello") + b"0\r\n" + b"A: b\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["a long header", "many headers", "a long chunk extension", "many trailers"],
)
def test_what_has_no_end_is_refused_at_its_limit(flood):
    """Headers, trailers and chunk extensions are bounded: a server cannot fill the memory with them."""
    parser, head = ResponseParser(), None
    parser.begin("POST", keep_alive=True)
    with pytest.raises(RemoteProtocolError):
        for at in range(0, len(flood), 1000):
            parser.feed(flood[at : at + 1000])
            head = head or parser.head()
            while head is not None and parser.body():
                pass


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET /", b"/", (b"A", b"b")),
        ("GET", b"/ HTTP/1.1\r\nA: b", (b"A", b"b")),
        ("GET", b"/a b", (b"A", b"b")),
        ("GET", b"", (b"A", b"b")),
        ("GET", b"/", (b"A:", b"b")),
        ("GET", b"/", (b"", b"b")),
        ("GET", b"/", (b"A", b"b\r\nC: d")),
        ("GET", b"/", (b"A", b"b\nC: d")),
        ("GET", b"/", (b"A", b"b\x00")),
        ("GET", b"/", (b"A", b" b")),
    ],
)
def test_a_request_holds_nothing_but_what_it_says(method, target, header):
    """No method, target or header can bring in a second header or a second request."""
    with pytest.raises(LocalProtocolError):
        request_head(method, target, [header])


def test_a_body_is_as_long_as_its_headers_say():
    """A body of another length than announced is an error, since the rest would be the next request."""
    with pytest.raises(LocalProtocolError):
        RequestBody([(b"Content-Length", b"3")]).frame(b"four")
    with pytest.raises(LocalProtocolError):
        RequestBody([(b"Host", b"x")]).frame(b"any")
    body = RequestBody([(b"Content-Length", b"3")])
    assert body.frame(b"ab") == b"ab"
    with pytest.raises(LocalProtocolError):
        body.end()
    body = RequestBody([(b"Transfer-Encoding", b"chunked")])
    assert body.frame(b"ab") + body.frame(b"") + body.end() == b"2\r\nab\r\n0\r\n\r\n"


@pytest.fixture
def overlong(serve):
    """A server that sends a second response, to nobody's request, right after its first."""
    forged = chat_answer("forged")
    return serve(chat_answer("first") + forged, chat_answer("second"))


def test_a_connection_with_more_than_its_answer_is_not_used_again(overlong, home, write_config):
    """What a server sends beyond a response is never taken for the response to the next request."""
    with Missy.open(write_config(overlong.url)) as missy:
        assert [missy.ask("hi").text(), missy.ask("hi").text()] == ["first", "second"]
    assert len({request.connection for request in overlong.requests}) == 2


def test_nor_in_async_code(overlong, home, write_config):
    """The same for AsyncMissy."""

    async def twice():
        async with AsyncMissy.open(write_config(overlong.url)) as missy:
            return [await missy.ask("hi").text(), await missy.ask("hi").text()]

    assert asyncio.run(twice()) == ["first", "second"]
    assert len({request.connection for request in overlong.requests}) == 2
