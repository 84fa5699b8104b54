"""HTTP/1.1 for a client (RFC 9112): request to bytes, bytes to response. Pure; the same for sync and async code.

It is strict where leniency could make one response pass for another: what is not certain ends the connection. A response
may use the chunked coding or a Content-Length, else it ends with the connection. There are no pipelines and no upgrades.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from missy.net.transport_errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 100 << 10  # of a status line with its headers, and of the trailers after a chunked body
MAX_CHUNK_LINE_BYTES = 4 << 10  # of the line before each chunk: its size, and extensions, which are ignored
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_VALUE = rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?"  # no white space at its ends, no control characters that end a line
_is_token = re.compile(_TOKEN).fullmatch
_is_value = re.compile(_VALUE).fullmatch
_is_target = re.compile(rb"[\x21-\x7e]+").fullmatch
_is_length = re.compile(rb"[0-9]{1,20}").fullmatch
_header = re.compile(rb"(%b):[ \t]*(%b)[ \t]*" % (_TOKEN, _VALUE)).fullmatch
_status_line = re.compile(rb"HTTP/([0-9]\.[0-9]) ([0-9]{3})(?: ([^\x00\r\n\f\v]*))?").fullmatch
_find_head_end = re.compile(rb"\n\r?\n").search
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*+|;[^\r\n]*+)\r\n").match


class Head(NamedTuple):
    """The status line and the headers of a response."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


# --- requests -------------------------------------------------------------------------------------


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """Return the request line and the headers as sent. Raises LocalProtocolError for what HTTP does not allow in them."""
    line = method.encode("ascii", "replace")
    if not _is_token(line) or not _is_target(target):
        raise LocalProtocolError("illegal request line")
    lines = [b"%b %b HTTP/1.1\r\n" % (line, target)]
    for name, value in headers:
        if not _is_token(name):
            raise LocalProtocolError("illegal header name")
        if not _is_value(value):
            raise LocalProtocolError(f"illegal value of the header {name.decode('ascii')}")
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"\r\n")
    return b"".join(lines)


class RequestBody:
    """Frames the pieces of a request's body as its headers announce it: a Content-Length, chunks, or no body."""

    def __init__(self, headers: Headers) -> None:
        framing = _framing(headers, LocalProtocolError)
        self._is_chunked = framing == "chunked"
        self._left = framing if isinstance(framing, int) else 0

    def frame(self, piece: bytes) -> bytes:
        """Return a piece as sent. Raises LocalProtocolError if it is more than was announced."""
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        self._left -= len(piece)
        if self._left < 0:
            raise LocalProtocolError("the body is longer than its Content-Length")
        return piece

    def end(self) -> bytes:
        """Return what ends the body. Raises LocalProtocolError if a part of it is missing."""
        if self._left > 0:
            raise LocalProtocolError("the body is shorter than its Content-Length")
        return b"0\r\n\r\n" if self._is_chunked else b""


# --- responses ------------------------------------------------------------------------------------


class ResponseParser:
    """Parses the responses of one connection, one after the other: `begin`, `head`, then `body` until `finished`.

    `feed` gives it bytes, b"" for the end of the connection. All errors are RemoteProtocolError.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_framing",
        "_keep_alive",
        "_left",
        "_method",
        "_needs_crlf",
        "_scanned",
        "finished",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self.begin("", keep_alive=False)

    def begin(self, method: str, *, keep_alive: bool) -> None:
        """Expect the response to a request with this method; `keep_alive`: the request lets the connection be reused."""
        self._method = method
        self._keep_alive = keep_alive
        self._scanned = 0  # bytes without the end of a head
        self._framing: str | int = ""
        self._left = 0  # bytes to come of the body, or of the chunk
        self._needs_crlf = False  # a chunk is complete, but for its line end
        self._ended = False  # the connection has ended
        self.finished = False  # the response is complete

    @property
    def reusable(self) -> bool:
        """Tell whether another request may follow on this connection: nothing is left to come, and nothing came after."""
        return self.finished and self._keep_alive and not self._buffer and not self._ended

    @property
    def leftover(self) -> bool:
        """Tell whether bytes came that no response has claimed yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection; b"" is its end."""
        if data:
            self._buffer = self._buffer + data if self._buffer else data
        else:
            self._ended = True

    def head(self) -> Head | None:
        """Return the head of the response, None if more bytes are needed. Informational responses (1xx) are skipped."""
        while True:
            block = self._block()
            if block is None:
                if self._ended:
                    raise RemoteProtocolError("the server disconnected without sending a response")
                return None
            first, *rest = block
            line = _status_line(first)
            if line is None:
                raise RemoteProtocolError(f"illegal status line: {first[:100]!r}")
            headers, status = _headers(rest), int(line[2])
            if status >= 200 or status == 101:
                self._begin_body(status, line[1], headers)
                return Head(status, line[3] or b"", headers)
            _framing(headers, RemoteProtocolError)

    def _block(self) -> list[bytes] | None:
        """Take lines up to an empty one; None if it has not come."""
        buffer = self._buffer
        if buffer and buffer[0] < 0x21:  # an empty line, or no text: no status line begins so
            raise RemoteProtocolError("illegal status line")
        found = _find_head_end(buffer, self._scanned)
        if found is None:
            if len(buffer) > MAX_HEAD_BYTES:
                raise RemoteProtocolError(f"headers of more than {MAX_HEAD_BYTES >> 10} KiB")
            self._scanned = max(0, len(buffer) - 2)
            return None
        if found.end() > MAX_HEAD_BYTES:
            raise RemoteProtocolError(f"headers of more than {MAX_HEAD_BYTES >> 10} KiB")
        self._buffer, self._scanned = buffer[found.end() :], 0
        return [line[:-1] if line.endswith(b"\r") else line for line in buffer[: found.start()].split(b"\n")]

    def _begin_body(self, status: int, version: bytes, headers: Headers) -> None:
        framing = _framing(headers, RemoteProtocolError)
        said = {
            word.strip().lower()
            for name, value in headers
            if name.lower() == b"connection"
            for word in value.split(b",")
        }
        self._keep_alive = self._keep_alive and version >= b"1.1" and b"close" not in said and status != 101
        is_tunnel = self._method == "CONNECT" and 200 <= status < 300
        if status in (101, 204, 304) or self._method == "HEAD" or is_tunnel:
            framing = 0
        if isinstance(framing, int):
            self._left, self.finished = framing, not framing
        elif framing == "close" or any(name.lower() == b"content-length" for name, _ in headers):
            self._keep_alive = False  # the second: both framings are named (RFC 9112, 6.3)
        self._framing = framing

    def body(self) -> bytes:
        """Return all that has come of the body; b"" if more bytes are needed, or if the response is `finished`."""
        piece = b""
        if self._framing == "chunked":
            piece = self._chunks()
        elif self._framing == "close":
            piece, self._buffer = self._buffer, b""
            self.finished = self._ended
        elif self._left:
            piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
            self._left -= len(piece)
            self.finished = not self._left
        if self._framing == "trailers" and not self.finished:
            self._trailers(may_fail=not piece)
        if self._ended and not self.finished and not piece:
            raise RemoteProtocolError("the peer closed the connection with an incomplete body")
        return piece

    def _chunks(self) -> bytes:
        """Take every chunk that has come, and the part that is there of one that has not come whole."""
        buffer, at, size = self._buffer, 0, len(self._buffer)
        pieces: list[bytes] = []
        while at < size:
            if self._left:
                piece = buffer[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._needs_crlf = not self._left
            elif self._needs_crlf:
                if not buffer.startswith(b"\r\n", at):
                    if buffer[at:] != b"\r" and not pieces:
                        raise RemoteProtocolError("a chunk is longer than its size")
                    break
                self._needs_crlf = False
                at += 2
            else:
                line = _chunk_line(buffer, at)
                if line is None:
                    if not pieces:
                        _require_chunk_line(buffer[at : at + MAX_CHUNK_LINE_BYTES])
                    break
                at, self._left = line.end(), int(line[1], 16)
                if not self._left:
                    self._framing = "trailers"
                    break
        self._buffer = buffer[at:]
        return b"".join(pieces)

    def _trailers(self, *, may_fail: bool) -> None:
        """Take the lines after the last chunk; they are ignored, but must be headers. `may_fail`: raise if they are not."""
        for empty in (b"\r\n", b"\n"):
            if self._buffer.startswith(empty):
                self._buffer, self.finished = self._buffer[len(empty) :], True
                return
        if may_fail and self._buffer not in (b"", b"\r"):
            lines = self._block()
            if lines is not None:
                _headers(lines)
                self.finished = True


def _require_chunk_line(begun: bytes) -> None:
    """Raise unless this may be the beginning of a chunk's line that has not come whole."""
    if b"\r\n" in begun or len(begun) >= MAX_CHUNK_LINE_BYTES or not re.match(rb"[0-9A-Fa-f]", begun):
        raise RemoteProtocolError(f"illegal line before a chunk: {begun[:40]!r}")


def _headers(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Parse header lines; one that begins with white space continues the one before (obsolete, RFC 9112, 5.2)."""
    headers: list[tuple[bytes, bytes]] = []
    unfolded: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if not unfolded:
                raise RemoteProtocolError("a continuation line before any header")
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            unfolded.append(line)
    for line in unfolded:
        found = _header(line)
        if found is None:
            raise RemoteProtocolError(f"illegal header line: {line[:100]!r}")
        headers.append((found[1], found[2]))
    return headers


def _framing(headers: Headers, error: type[Exception]) -> str | int:
    """Return how a body is framed: "chunked", its length, or "close" if neither is named. Raises `error` on a conflict."""
    length: bytes | None = None
    is_chunked = False
    for name, value in headers:
        lower = name.lower()
        if lower == b"transfer-encoding":
            if is_chunked or value.lower() != b"chunked":
                raise error("a Transfer-Encoding other than chunked")
            is_chunked = True
        elif lower == b"content-length":
            values = {word.strip() for word in value.split(b",")}
            word = values.pop()
            if values or not _is_length(word) or (length is not None and length != word):
                raise error("conflicting or illegal Content-Length headers")
            length = word
    if is_chunked:
        return "chunked"
    return "close" if length is None else int(length)
