"""Connections to checked addresses, sync and async.

A backend resolves the origin's name, has the addresses checked, and connects to one of them; TLS starts afterwards with
the origin's name, so SNI and host name verification are correct. Nothing else in the project opens a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from missy.errors import ConnectionFailed, MissyError, PolicyError
from missy.net import connection_errors, names, sync_socket
from missy.net.stream_errors import ConnectError, ConnectTimeout, ReadTimeout, StreamTimeout, WriteTimeout

if TYPE_CHECKING:
    import ssl

    from missy.net.async_socket import AsyncSocket
    from missy.net.gate import Gate, RequestContext
    from missy.net.limits import Clock
    from missy.net.sync_socket import SyncSocket
    from missy.net.tls_stream import TlsStream

SEND_CHUNK_BYTES = 16 << 10  # bytes that are sent at a time, each within the idle timeout


def _peer_differs(stream: Any, address: str) -> bool:
    """Tell whether a connection's peer is another address than the checked one."""
    peer = stream.peer()
    if not peer or peer[0] == address:
        return False
    import ipaddress

    return ipaddress.ip_address(peer[0]) != ipaddress.ip_address(address)


def _moved(host: str) -> PolicyError:
    return PolicyError(
        f"the connection to {host} reached an address that was not checked", rule="address", host=host
    )


class Stream:
    """A connection whose reads and writes use the clock of their request and are counted."""

    def __init__(self, inner: SyncSocket | TlsStream) -> None:
        self._inner = inner
        self.secured_for: str | None = None  # the server name of TLS that is already active

    def read(self, max_bytes: int, context: RequestContext) -> bytes:
        """Read available bytes, up to `max_bytes`. Raises TimedOut."""
        try:
            data = self._inner.read(max_bytes, context.clock.remaining())
        except StreamTimeout:
            raise context.clock.expired() from None
        context.bytes_in += len(data)
        return data

    def write(self, buffer: bytes, context: RequestContext) -> None:
        """Write all of `buffer`. Raises TimedOut."""
        for start in range(0, len(buffer), SEND_CHUNK_BYTES):
            piece = buffer[start : start + SEND_CHUNK_BYTES]
            try:
                self._inner.write(piece, context.clock.remaining())
            except StreamTimeout:
                raise context.clock.expired() from None
            context.bytes_out += len(piece)
            context.clock.reset_idle()  # sending a long prompt over a slow connection is not idle

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(self, ssl_context: ssl.SSLContext, name: str, context: RequestContext) -> Stream:
        """Start TLS with the origin's name. Raises ConnectionFailed for an invalid certificate."""
        if self.secured_for == name:
            return self
        from missy.net.tls_stream import TlsStream  # imported here: an http endpoint needs none of it

        left = context.clock.remaining()
        try:
            return Stream(TlsStream(self._inner, ssl_context, name, left))
        except Exception as error:
            raise _tls_failed(error, context, name) from error

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        return self._inner.is_readable()

    def tls_version(self) -> str:
        """Return the version of TLS, as `TLSv1.3`."""
        return self._inner.tls_version()

    def shut_down(self) -> None:
        """End both directions, for a thread that another one reads for. Raises OSError."""
        self._inner.shut_down()


class AsyncStream:
    """The same for asyncio."""

    def __init__(self, inner: AsyncSocket) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, context: RequestContext) -> bytes:
        """Read available bytes, up to `max_bytes`. Raises TimedOut."""
        try:
            data = await self._inner.read(max_bytes, context.clock.remaining())
        except ReadTimeout:
            raise context.clock.expired() from None
        context.bytes_in += len(data)
        return data

    async def write(self, buffer: bytes, context: RequestContext) -> None:
        """Write all of `buffer`. Raises TimedOut."""
        for start in range(0, len(buffer), SEND_CHUNK_BYTES):
            piece = buffer[start : start + SEND_CHUNK_BYTES]
            try:
                await self._inner.write(piece, context.clock.remaining())
            except WriteTimeout:
                raise context.clock.expired() from None
            context.bytes_out += len(piece)
            context.clock.reset_idle()  # sending a long prompt over a slow connection is not idle

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(self, ssl_context: ssl.SSLContext, name: str, context: RequestContext) -> AsyncStream:
        """Start TLS with the origin's name. Raises ConnectionFailed for an invalid certificate."""
        left = context.clock.remaining()
        try:
            return AsyncStream(await self._inner.start_tls(ssl_context, name, left))
        except Exception as error:
            raise _tls_failed(error, context, name) from error

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        return self._inner.is_readable()


def _tls_failed(error: Exception, context: RequestContext, name: str) -> MissyError:
    if isinstance(error, StreamTimeout):
        return context.clock.expired()
    return connection_errors.untrusted(name, context.target.port, cast(Exception, error.__cause__ or error))


def _none_left(host: str, port: int, failures: list[Exception]) -> NoReturn:
    """Raise the error of the first address, which the system prefers."""
    first = failures[0]
    if isinstance(first, MissyError):
        raise first
    cause = first.__cause__
    while isinstance(cause, OSError) and not cause.errno and isinstance(cause.__cause__, OSError):
        cause = cause.__cause__  # asyncio only reports that all attempts failed
    if isinstance(cause, OSError):
        raise connection_errors.unreachable(host, port, cause) from first
    raise ConnectionFailed(f"could not connect to {host}:{port}", hint="check the network") from first


class Preconnected(Protocol):
    """A connection that was begun before its request: see missy.net.preconnect."""

    @property
    def place(self) -> tuple[str, int]: ...  # noqa: D102
    def claim(self, clock: Clock) -> Stream | None: ...  # noqa: D102
    def cancel(self) -> None: ...  # noqa: D102


class Backend:
    """Connects one pool. With `proxy`, every connection goes to the proxy, whose host the user named."""

    def __init__(self, gate: Gate, *, proxy: bool = False) -> None:
        self.gate = gate
        self._proxy = proxy
        self._preconnects: dict[tuple[str, int], Preconnected] = {}

    def adopt(self, preconnect: Preconnected) -> None:
        """Use a preconnect for the next connection to its host and port."""
        self._preconnects[preconnect.place] = preconnect

    def discard(self) -> None:
        """Close the preconnects that were not used."""
        while self._preconnects:
            self._preconnects.popitem()[1].cancel()

    def connect_tcp(self, host: str, port: int, context: RequestContext) -> Stream:
        """Connect to a checked address of `host`. Raises PolicyError, ConnectionFailed, TimedOut."""
        preconnect = self._preconnects.pop((host, port), None)
        begun = preconnect.claim(context.clock) if preconnect is not None else None
        if begun is not None:
            context.is_preconnected = True
            context.clock.reset_idle()
            return begun
        return self.connect(host, port, context)

    def connect(self, host: str, port: int, context: RequestContext) -> Stream:
        """Open a new connection to a checked address. Raises PolicyError, ConnectionFailed, TimedOut."""
        addresses = names.resolve(host, port, context.clock)
        if not self._proxy:
            self.gate.check_addresses(context, addresses)
        failures: list[Exception] = []
        for address in addresses:
            attempt = self.gate.attempt(context, host, address, port, proxy=self._proxy)
            try:
                inner = sync_socket.connect(address, port, context.clock.remaining())
            except (ConnectError, ConnectTimeout, MissyError) as error:
                self.gate.audit.finish(attempt, outcome="failed", error=type(error).__name__)
                failures.append(context.clock.expired() if isinstance(error, ConnectTimeout) else error)
                continue
            self.gate.audit.finish(attempt)
            if _peer_differs(inner, address):
                inner.close()
                raise _moved(host)
            context.clock.reset_idle()
            return Stream(inner)
        _none_left(f"the proxy {host}" if self._proxy else host, port, failures)


class AsyncBackend:
    """The same for asyncio."""

    def __init__(self, gate: Gate, *, proxy: bool = False) -> None:
        self._gate = gate
        self._proxy = proxy

    async def connect_tcp(self, host: str, port: int, context: RequestContext) -> AsyncStream:
        """Connect to a checked address of `host`. Raises PolicyError, ConnectionFailed, TimedOut."""
        from missy.net import async_socket

        addresses = await names.resolve_async(host, port, context.clock)
        if not self._proxy:
            self._gate.check_addresses(context, addresses)
        failures: list[Exception] = []
        for address in addresses:
            attempt = self._gate.attempt(context, host, address, port, proxy=self._proxy)
            try:
                inner = await async_socket.connect(address, port, context.clock.remaining())
            except (ConnectError, ConnectTimeout, MissyError) as error:
                self._gate.audit.finish(attempt, outcome="failed", error=type(error).__name__)
                failures.append(context.clock.expired() if isinstance(error, ConnectTimeout) else error)
                continue
            self._gate.audit.finish(attempt)
            if _peer_differs(inner, address):
                await inner.aclose()
                raise _moved(host)
            context.clock.reset_idle()
            return AsyncStream(inner)
        _none_left(f"the proxy {host}" if self._proxy else host, port, failures)
