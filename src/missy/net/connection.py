"""One HTTP/1.1 connection to one target, sync and async: opened with its first request, then reused.

`http1` knows the protocol; here are its reads and writes. One request at a time; `missy.net.pool` keeps idle ones.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.net.http1 import RequestBody, ResponseParser, request_head
from missy.net.transport_errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from missy.net.gate import RequestContext
    from missy.net.http1 import Head, Headers
    from missy.net.streams import AsyncStream, Stream

READ_BYTES = 64 << 10  # at most, of one read
KEEP_ALIVE_SECONDS = 60.0  # that an idle connection is kept


class Outgoing(NamedTuple):
    """A request with all its headers. `content` is bytes, None, or an iterable of bytes (for async code, an async one)."""

    method: str
    target: bytes
    headers: Headers
    content: Any


class _State:
    """Common part of both connections."""

    def __init__(self) -> None:
        self._parser = ResponseParser()
        self._expires: float | None = None  # when it is idle

    def _begin(self, request: Outgoing) -> bytes:
        """Return the first bytes of a request: all of it if its body is bytes."""
        self._expires = None
        head = request_head(request.method, request.target, request.headers)
        keep_alive = all(
            name.lower() != b"connection" or b"close" not in value.lower() for name, value in request.headers
        )
        self._parser.begin(request.method, keep_alive=keep_alive)
        if request.content is None or isinstance(request.content, bytes):
            body = RequestBody(request.headers)
            return head + body.frame(request.content or b"") + body.end()
        return head

    @property
    def is_available(self) -> bool:
        """Tell whether the connection is open and idle."""
        return self._expires is not None

    def _expire(self) -> bool:
        """Begin to be idle if another request may follow. Returns whether the connection must be closed instead."""
        self._expires = monotonic() + KEEP_ALIVE_SECONDS if self._parser.reusable else None
        return self._expires is None


class Connection(_State):
    """A connection for sync code. `open_stream` opens it for a request."""

    def __init__(self, open_stream: Callable[[RequestContext], Stream]) -> None:
        super().__init__()
        self._open = open_stream
        self._stream: Stream | None = None

    def send(self, request: Outgoing, context: RequestContext) -> Head:
        """Send a request, and return the head of its response. Raises TransportError; then the connection must be closed."""
        first = self._begin(request)
        if self._stream is None:
            self._stream = self._open(context)
        with suppress(WriteError):  # the server may have answered before it had all: the response tells why
            self._stream.write(first, context)
            if request.content is not None and not isinstance(request.content, bytes):
                self._send_body(request, self._stream, context)
        while (head := self._parser.head()) is None:
            self._parser.feed(self._stream.read(READ_BYTES, context))
        return head

    @staticmethod
    def _send_body(request: Outgoing, stream: Stream, context: RequestContext) -> None:
        body = RequestBody(request.headers)
        pieces = iter(request.content)
        try:
            for piece in pieces:
                stream.write(body.frame(piece), context)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        stream.write(body.end(), context)

    def read(self, context: RequestContext) -> bytes:
        """Return the next bytes of the response's body, b"" at its end. Raises TransportError."""
        while not (piece := self._parser.body()) and not self._parser.finished:
            assert self._stream is not None
            self._parser.feed(self._stream.read(READ_BYTES, context))
        return piece

    def finish(self) -> None:
        """End the exchange: the connection becomes idle if another request may follow, else it is closed."""
        if self._expire():
            self.close()

    @property
    def has_expired(self) -> bool:
        """Tell whether an idle connection was kept too long, or the server has closed it or sent something."""
        return (
            self._expires is None
            or self._stream is None
            or monotonic() > self._expires
            or self._stream.is_readable
        )

    def close(self) -> None:
        """Close the connection."""
        self._expires = None
        if self._stream is not None:
            self._stream.close()


class AsyncConnection(_State):
    """The same for async code."""

    def __init__(self, open_stream: Callable[[RequestContext], Awaitable[AsyncStream]]) -> None:
        super().__init__()
        self._open = open_stream
        self._stream: AsyncStream | None = None

    async def send(self, request: Outgoing, context: RequestContext) -> Head:
        """Send a request, and return the head of its response. Raises TransportError; then the connection must be closed."""
        first = self._begin(request)
        if self._stream is None:
            self._stream = await self._open(context)
        with suppress(WriteError):  # the server may have answered before it had all: the response tells why
            await self._stream.write(first, context)
            if request.content is not None and not isinstance(request.content, bytes):
                await self._send_body(request, self._stream, context)
        while (head := self._parser.head()) is None:
            self._parser.feed(await self._stream.read(READ_BYTES, context))
        return head

    @staticmethod
    async def _send_body(request: Outgoing, stream: AsyncStream, context: RequestContext) -> None:
        body = RequestBody(request.headers)
        pieces = aiter(request.content)
        try:
            async for piece in pieces:
                await stream.write(body.frame(piece), context)
        finally:
            if hasattr(pieces, "aclose"):
                await pieces.aclose()
        await stream.write(body.end(), context)

    async def read(self, context: RequestContext) -> bytes:
        """Return the next bytes of the response's body, b"" at its end. Raises TransportError."""
        while not (piece := self._parser.body()) and not self._parser.finished:
            assert self._stream is not None
            self._parser.feed(await self._stream.read(READ_BYTES, context))
        return piece

    async def finish(self) -> None:
        """End the exchange: the connection becomes idle if another request may follow, else it is closed."""
        if self._expire():
            await self.aclose()

    @property
    def has_expired(self) -> bool:
        """Tell whether an idle connection was kept too long, or the server has closed it or sent something."""
        return (
            self._expires is None
            or self._stream is None
            or monotonic() > self._expires
            or self._stream.is_readable
        )

    async def aclose(self) -> None:
        """Close the connection."""
        self._expires = None
        if self._stream is not None:
            await self._stream.aclose()
