"""How a connection is opened for a request: directly, or through a tunnel of `network.proxy`, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.net.http1 import ResponseParser, request_head
from missy.net.transport_errors import ProxyError
from missy.policy import parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from missy.net.gate import RequestContext
    from missy.net.http1 import Head
    from missy.net.streams import AsyncBackend, AsyncStream, Backend, Stream
    from missy.policy import Target

READ_BYTES = 64 << 10  # at most, of one read


def _connect_request(target: Target) -> bytes:
    """Return the request for a tunnel to a target (RFC 9110, 9.3.6)."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}".encode("ascii")
    return request_head("CONNECT", authority, [(b"Host", authority), (b"Accept", b"*/*")])


def _require_tunnel(head: Head, parser: ResponseParser) -> None:
    """Raise ProxyError if the proxy has refused the tunnel, or has sent something that the origin cannot have sent."""
    if not 200 <= head.status < 300:
        raise ProxyError(f"{head.status} {head.reason.decode('ascii', 'ignore')}")
    if parser.leftover:
        raise ProxyError("it sent bytes before TLS began")


class Direct:
    """Opens connections to the target itself, for sync code. `tls` returns the TLS context."""

    def __init__(self, backend: Backend, tls: Callable[[], ssl.SSLContext]) -> None:
        self._backend = backend
        self._tls = tls

    def open(self, context: RequestContext) -> Stream:
        """Open a connection. Raises PolicyError, ConnectionFailed, TimedOut, ConfigError for the trusted roots."""
        target = context.target
        tls = self._tls() if target.scheme == "https" else None
        stream = self._backend.connect_tcp(target.host, target.port, context)
        return stream if tls is None else stream.start_tls(tls, target.host, context)


class Tunnelled:
    """Opens connections through a proxy, for sync code: always with TLS to the target."""

    def __init__(self, backend: Backend, tls: Callable[[], ssl.SSLContext], proxy: str) -> None:
        self._backend = backend
        self._tls = tls
        self._proxy = parse(proxy)

    def open(self, context: RequestContext) -> Stream:
        """Open a connection. Raises as Direct does, and ProxyError."""
        tls, proxy, parser = self._tls(), self._proxy, ResponseParser()
        stream = self._backend.connect_tcp(proxy.host, proxy.port, context)
        if proxy.scheme == "https":
            stream = stream.start_tls(tls, proxy.host, context)
        try:
            parser.begin("CONNECT", keep_alive=True)
            stream.write(_connect_request(context.target), context)
            while (head := parser.head()) is None:
                parser.feed(stream.read(READ_BYTES, context))
            _require_tunnel(head, parser)
        except BaseException:
            stream.close()
            raise
        return stream.start_tls(tls, context.target.host, context)


class AsyncDirect:
    """The same as Direct for async code."""

    def __init__(self, backend: AsyncBackend, tls: Callable[[], ssl.SSLContext]) -> None:
        self._backend = backend
        self._tls = tls

    async def open(self, context: RequestContext) -> AsyncStream:
        """Open a connection. Raises PolicyError, ConnectionFailed, TimedOut, ConfigError for the trusted roots."""
        target = context.target
        tls = self._tls() if target.scheme == "https" else None
        stream = await self._backend.connect_tcp(target.host, target.port, context)
        return stream if tls is None else await stream.start_tls(tls, target.host, context)


class AsyncTunnelled:
    """The same as Tunnelled for async code."""

    def __init__(self, backend: AsyncBackend, tls: Callable[[], ssl.SSLContext], proxy: str) -> None:
        self._backend = backend
        self._tls = tls
        self._proxy = parse(proxy)

    async def open(self, context: RequestContext) -> AsyncStream:
        """Open a connection. Raises as Direct does, and ProxyError."""
        tls, proxy, parser = self._tls(), self._proxy, ResponseParser()
        stream = await self._backend.connect_tcp(proxy.host, proxy.port, context)
        if proxy.scheme == "https":
            stream = await stream.start_tls(tls, proxy.host, context)
        try:
            parser.begin("CONNECT", keep_alive=True)
            await stream.write(_connect_request(context.target), context)
            while (head := parser.head()) is None:
                parser.feed(await stream.read(READ_BYTES, context))
            _require_tunnel(head, parser)
        except BaseException:
            await stream.aclose()
            raise
        return await stream.start_tls(tls, context.target.host, context)
