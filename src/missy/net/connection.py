"""One HTTP/1.1 connection, sync and async: one request and its response at a time, over a stream of `missy.net.streams`.

A connection is opened by its first request, directly or through `network.proxy`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from missy.net.http1 import ResponseReader, Upload
from missy.net.stream_errors import ProxyError, RemoteProtocolError, WriteError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from missy.net.gate import RequestContext
    from missy.net.messages import Headers, HttpRequest
    from missy.net.streams import AsyncStream, Stream
    from missy.policy import Target

KEEP_ALIVE_SECONDS = 60.0  # seconds that an idle connection is kept
READ_BYTES = 64 << 10  # bytes read at a time


class Route(NamedTuple):
    """How connections are opened: by a backend of `missy.net.streams`, and through a proxy if there is one."""

    backend: Any
    tls: Callable[[], ssl.SSLContext]
    proxy: Target | None = None


class _Connection:
    """Common part of both: which response is being read, and whether the connection can serve again."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._stream: Any = None
        self._reader: ResponseReader | None = None  # of the response in progress
        self._is_sent = False  # whether all of the request in progress was sent
        self._expires = 0.0

    def finish(self) -> bool:
        """End the response in progress. Returns whether the connection can serve again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.release()
        self._expires = monotonic() + KEEP_ALIVE_SECONDS
        return self._is_sent and reader is not None and reader.is_complete and reader.keeps_alive

    def is_usable(self) -> bool:
        """Tell whether an idle connection is still open: the server has sent nothing, not even the end."""
        return monotonic() < self._expires and not self._stream.is_readable()

    def _begin(self, request: HttpRequest, headers: Headers) -> tuple[ResponseReader, Upload]:
        upload = Upload(request.method, request.target, headers)
        self._is_sent = False
        self._reader = ResponseReader(request.method)
        return self._reader, upload


def _tunnel_request(target: Target) -> bytes:
    """Return the request to a proxy for a connection to `target` (RFC 9110, 9.3.6)."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}".encode()
    return Upload("CONNECT", authority, [(b"Host", authority)]).head


def _check_tunnel(reader: ResponseReader) -> None:
    """Raise ProxyError or RemoteProtocolError unless the proxy agreed to a tunnel, and said no more."""
    if not 200 <= reader.status < 300:
        raise ProxyError(f"{reader.status} {reader.reason.decode('ascii', 'ignore')}")
    if reader.has_excess:  # sent in the clear: inside TLS it would be taken for the origin's
        raise RemoteProtocolError("bytes of the proxy came before TLS began")


class Connection(_Connection):
    """A connection for sync code."""

    def send(self, request: HttpRequest, headers: Headers, context: RequestContext) -> ResponseReader:
        """Send a request with all of its `headers`, and read the head of the response. Raises StreamError and others."""
        reader, upload = self._begin(request, headers)
        if self._stream is None:
            self._stream = self._open(context)
        stream: Stream = self._stream
        try:
            if isinstance(request.content, bytes):
                stream.write(upload.head + upload.piece(request.content), context)
            else:
                stream.write(upload.head, context)
                if request.content is not None:
                    for piece in request.content:
                        stream.write(upload.piece(piece), context)
            stream.write(upload.end(), context)
            self._is_sent = True
        except WriteError:
            pass  # a server may answer, and close, before it has read the whole request
        while not reader.status:
            reader.feed(stream.read(READ_BYTES, context))
        return reader

    def receive(self, context: RequestContext) -> bytes:
        """Return the next bytes of the body, b"" at its end. Raises the same."""
        reader = self._reader
        if reader is None:
            return b""
        while not (data := reader.take()) and not reader.is_complete:
            received = self._stream.read(READ_BYTES, context)
            if self._reader is not reader:  # closed meanwhile, by another thread or task
                return b""
            reader.feed(received)
        return data

    def close(self) -> None:
        """Close the connection."""
        self.finish()
        if self._stream is not None:
            self._stream.close()

    def _open(self, context: RequestContext) -> Stream:
        route, target = self._route, context.target
        if route.proxy is not None:
            stream = self._open_tunnel(route.proxy, context)
        else:
            stream = cast("Stream", route.backend.connect_tcp(target.host, target.port, context))
            if target.scheme == "http":
                return stream
        try:
            return stream.start_tls(route.tls(), target.host, context)
        except BaseException:
            stream.close()
            raise

    def _open_tunnel(self, proxy: Target, context: RequestContext) -> Stream:
        stream: Stream = self._route.backend.connect_tcp(proxy.host, proxy.port, context)
        try:
            if proxy.scheme == "https":
                stream = stream.start_tls(self._route.tls(), proxy.host, context)
            stream.write(_tunnel_request(context.target), context)
            reader = ResponseReader("CONNECT")
            while not reader.status:
                reader.feed(stream.read(READ_BYTES, context))
            reader.release()
            _check_tunnel(reader)
        except BaseException:
            stream.close()
            raise
        return stream


class AsyncConnection(_Connection):
    """The same for async code."""

    async def send(self, request: HttpRequest, headers: Headers, context: RequestContext) -> ResponseReader:
        """Send a request with all of its `headers`, and read the head of the response. Raises StreamError and others."""
        reader, upload = self._begin(request, headers)
        if self._stream is None:
            self._stream = await self._open(context)
        stream: AsyncStream = self._stream
        try:
            if isinstance(request.content, bytes):
                await stream.write(upload.head + upload.piece(request.content), context)
            else:
                await stream.write(upload.head, context)
                if request.content is not None:
                    async for piece in request.content:
                        await stream.write(upload.piece(piece), context)
            await stream.write(upload.end(), context)
            self._is_sent = True
        except WriteError:
            pass  # a server may answer, and close, before it has read the whole request
        while not reader.status:
            reader.feed(await stream.read(READ_BYTES, context))
        return reader

    async def receive(self, context: RequestContext) -> bytes:
        """Return the next bytes of the body, b"" at its end. Raises the same."""
        reader = self._reader
        if reader is None:
            return b""
        while not (data := reader.take()) and not reader.is_complete:
            received = await self._stream.read(READ_BYTES, context)
            if self._reader is not reader:  # closed meanwhile, by another thread or task
                return b""
            reader.feed(received)
        return data

    async def aclose(self) -> None:
        """Close the connection."""
        self.finish()
        if self._stream is not None:
            await self._stream.aclose()

    async def _open(self, context: RequestContext) -> AsyncStream:
        route, target = self._route, context.target
        if route.proxy is not None:
            stream = await self._open_tunnel(route.proxy, context)
        else:
            stream = cast("AsyncStream", await route.backend.connect_tcp(target.host, target.port, context))
            if target.scheme == "http":
                return stream
        try:
            return await stream.start_tls(route.tls(), target.host, context)
        except BaseException:
            await stream.aclose()
            raise

    async def _open_tunnel(self, proxy: Target, context: RequestContext) -> AsyncStream:
        stream: AsyncStream = await self._route.backend.connect_tcp(proxy.host, proxy.port, context)
        try:
            if proxy.scheme == "https":
                stream = await stream.start_tls(self._route.tls(), proxy.host, context)
            await stream.write(_tunnel_request(context.target), context)
            reader = ResponseReader("CONNECT")
            while not reader.status:
                reader.feed(await stream.read(READ_BYTES, context))
            reader.release()
            _check_tunnel(reader)
        except BaseException:
            await stream.aclose()
            raise
        return stream
