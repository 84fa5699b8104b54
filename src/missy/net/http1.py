"""HTTP/1.1 without a connection (RFC 9112): the bytes of a request, and a reader of the bytes of its response.

llhttp, by the package httptools, parses. What it leaves open is decided here: how long a head may be, which codings a
body may have, and what comes after the end of a response.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httptools

from missy.net.stream_errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from missy.net.messages import Headers

MAX_OVERHEAD_BYTES = (
    100 << 10
)  # received without a byte of a body: a head, the extensions of a chunk, trailers
_OPENING = b"HTTP/1."
_TAIL_BYTES = 5  # an empty line, and the byte before it
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110, 5.5: a value has no control characters, and no space at its ends.
_LINES = re.compile(
    rb"(?:" + _TOKEN + rb": (?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\r\n)+"
)
_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_FIRST = re.compile(_TOKEN + rb" [\x21-\x7e]+ HTTP/1\.1")


class Upload:
    """The bytes of one request: its head, and the pieces of its body as the headers announce them."""

    __slots__ = ("_chunked", "_left", "head")

    def __init__(self, method: str, target: bytes, headers: Headers) -> None:
        first = b"%b %b HTTP/1.1" % (method.encode("latin-1", "replace"), target)
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if not _FIRST.fullmatch(first) or not _LINES.fullmatch(lines):
            raise LocalProtocolError(
                "its method, its target or one of its headers has characters that are not allowed"
            )
        self.head: bytes = b"%b\r\n%b\r\n" % (first, lines)
        self._chunked = False
        self._left = 0  # bytes of the body that are to come, by Content-Length
        lengths = 0
        for name, value in headers:
            if name.lower() == b"content-length":
                if not re.fullmatch(rb"[0-9]{1,18}", value):
                    raise LocalProtocolError("its Content-Length is not a number")
                self._left, lengths = int(value), lengths + 1
            elif name.lower() == b"transfer-encoding":
                if value.lower() != b"chunked" or self._chunked:
                    raise LocalProtocolError("its Transfer-Encoding is not chunked")
                self._chunked = True
        if lengths + self._chunked > 1:  # two servers could read it in two ways
            raise LocalProtocolError("the length of its body is given twice")

    def piece(self, data: bytes) -> bytes:
        """Return the bytes to send for the next piece of the body. Raises LocalProtocolError if it is too long."""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._left -= len(data)
        if self._left < 0:
            raise LocalProtocolError("its body is longer than its Content-Length")
        return data

    def end(self) -> bytes:
        """Return the bytes to send after the body. Raises LocalProtocolError if the body was too short."""
        if self._left:
            raise LocalProtocolError("its body is shorter than its Content-Length")
        return b"0\r\n\r\n" if self._chunked else b""


class _AfterEnd(Exception):
    """Another message begins, although only one response was asked for: a name for the parser, caught at once."""


class ResponseReader:
    """Reads one response. Feed it what was received, b"" for the end of the connection, and take the body from it.

    `status` is 0 until the head is complete. `is_complete`: nothing more will come. Then `keeps_alive` tells whether the
    connection can serve again, and `has_excess` whether bytes came after the end.
    """

    __slots__ = (
        "_error", "_head_only", "_is_chunked", "_is_final", "_is_framed", "_opening", "_overhead", "_parser",
        "_pieces", "_spoiled", "_tail", "has_excess", "headers", "is_complete", "keeps_alive", "reason", "status",
    )  # fmt: skip

    def __init__(self, method: str) -> None:
        self.status: int = 0
        self.reason: bytes = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete: bool = False
        self.keeps_alive: bool = False
        self.has_excess: bool = False
        self._head_only = method in ("HEAD", "CONNECT")  # RFC 9112, 6.3: their responses have no body
        self._is_final = False  # whether the head is complete, and not that of a 1xx
        self._is_framed = False  # whether the end of the body shows in the bytes
        self._is_chunked = False
        self._spoiled = False  # whether the connection must not be used again, whatever else it says
        self._pieces: list[bytes] = []
        self._opening = b""  # the first bytes received
        self._tail = b""  # the last bytes received
        self._overhead = 0
        self._error: RemoteProtocolError | None = None
        self._parser = httptools.HttpResponseParser(self)
        # As other clients read: a line of the head may end with a bare LF, spaces may follow the size of a chunk, and of two
        # lengths the chunks count (RFC 9112, 2.2, 7.1.1, 6.3), after which the connection is closed.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
            lenient_chunked_length=True,
        )

    def release(self) -> None:
        """Drop what refers to this reader: it goes then without a look of the garbage collector."""
        del self._parser
        self._error = None

    def take(self) -> bytes:
        """Return what came of the body since the last call. Raises RemoteProtocolError if nothing did, and never will."""
        if self._pieces:
            taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            return taken
        if self._error is not None:
            raise self._error
        return b""

    def feed(self, data: bytes) -> None:
        """Read the next bytes; b"" is the end of the connection. Raises RemoteProtocolError for a head that is none."""
        if not data:
            self._end()
        else:
            self._check_opening(data)
            self._overhead += len(data)
            self._tail = (
                data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self._tail + data)[-_TAIL_BYTES:]
            )
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                self._broke(error)
            if self.is_complete and not self._ends_with_the_message(data):
                self.keeps_alive, self.has_excess = False, True
            if self._overhead > MAX_OVERHEAD_BYTES and not self.is_complete:
                self._fail(f"more than {MAX_OVERHEAD_BYTES >> 10} KiB came without a part of the body")
        if self._error is not None and not self._is_final:
            raise self._error

    def _end(self) -> None:
        self.keeps_alive = False
        if not self._is_final:
            self._fail("Server disconnected without sending a response.")
        elif self._is_framed and not self.is_complete:
            self._fail("peer closed connection without sending complete message body (incomplete)")
        self.is_complete = True

    def _check_opening(self, data: bytes) -> None:
        """Raise RemoteProtocolError unless a response begins with `HTTP/1.`: llhttp reads other protocols too."""
        if len(self._opening) < len(_OPENING):
            self._opening = (self._opening + data)[: len(_OPENING)]
            if not _OPENING.startswith(self._opening):
                raise RemoteProtocolError("it does not begin with HTTP/1")

    def _ends_with_the_message(self, data: bytes) -> bool:
        """Tell whether nothing came after the response; llhttp skips line ends there.

        A body of a known length is the end of `data`; any other message ends with an empty line, and not with two.
        """
        body = b"".join(self._pieces)
        if body and not self._is_chunked:
            return data.endswith(body) and bool(body.strip(b"\r\n"))  # which, if blank, could be another's
        return self._tail.endswith(b"\r\n\r\n") and self._tail[:1] not in (b"\r", b"\n")

    def _broke(self, error: Exception) -> None:
        self.keeps_alive = False
        if self.is_complete:
            self.has_excess = True  # RFC 9112, 9.2: it must not be taken for the response of the next request
            return
        cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
        self._fail(str(cause if isinstance(cause, RemoteProtocolError) else error))

    def _fail(self, why: str) -> None:
        if self._error is None:
            self._error = RemoteProtocolError(why)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a response: the first, or the one after a 1xx."""
        if self.is_complete:
            raise _AfterEnd
        self.headers.clear()
        self.reason = b""
        self._is_framed = self._is_chunked = False
        self._overhead = 0

    def on_status(self, reason: bytes) -> None:
        """Keep a piece of the reason phrase."""
        if not _REASON.fullmatch(reason):
            raise RemoteProtocolError("its reason phrase has control characters")
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are dropped."""
        if self._is_final:
            return
        value = value.strip(b" \t")
        lower = name.lower()
        if lower == b"transfer-encoding":
            if value.lower() != b"chunked" or self._is_chunked:
                raise RemoteProtocolError("its Transfer-Encoding is not chunked")
            self._spoiled = self._spoiled or self._is_framed
            self._is_framed = self._is_chunked = True
        elif lower == b"content-length":
            self._spoiled = self._spoiled or self._is_framed
            self._is_framed = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise RemoteProtocolError("its version is not HTTP/1.1")
        status = self._parser.get_status_code()
        if not 100 <= status <= 999:
            raise RemoteProtocolError("its status is not between 100 and 999")
        if status == 101:
            raise RemoteProtocolError("it switches to another protocol, which was not requested")
        if status < 200:
            return  # RFC 9110, 15.2: the final response follows
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=False)
        self.status = status
        self._is_final = True
        self.keeps_alive = version == "1.1" and not self._spoiled and self._parser.should_keep_alive()
        if self._head_only:
            self.is_complete = True
            self.keeps_alive = False

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self.is_complete:
            raise _AfterEnd
        if not self._is_final:
            raise RemoteProtocolError("a 1xx has a body")
        self._pieces.append(data)
        self._overhead = 0

    def on_message_complete(self) -> None:
        """Note the end, unless it is that of a 1xx."""
        self.is_complete = self._is_final
