"""A TCP connection for asyncio: read, write, TLS, and whether input is waiting.

It uses asyncio's transports directly: asyncio's stream classes cannot report unread bytes, and an idle connection on
which the server has sent something must not be reused.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from missy.net.stream_errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

if TYPE_CHECKING:
    import ssl

HIGH_WATER_BYTES = 256 << 10  # unread bytes in the buffer above which reading from the socket is paused


class _Protocol(asyncio.Protocol):
    """Buffers received bytes until they are read."""

    def __init__(self) -> None:
        self.held: bytearray = bytearray()
        self.ended: bool = False
        self.error: Exception | None = None
        self._transport: Any = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        if len(self.held) > HIGH_WATER_BYTES:
            self._transport.pause_reading()
            self._full = True
        self._wake(self._reader)

    def eof_received(self) -> None:
        self.ended = True
        self._wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        self._wake(self._reader)
        self._wake(self._writer)

    def pause_writing(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._wake(self._writer)
        self._writer = None

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def read(self, most: int, seconds: float | None) -> bytes:
        if not self.held and not self.ended:
            self._reader = asyncio.get_running_loop().create_future()
            await _within(self._reader, seconds)
        if not self.held and self.error is not None:
            raise self.error
        data = bytes(self.held[:most])
        del self.held[:most]
        if self._full and len(self.held) <= HIGH_WATER_BYTES and not self.ended:
            self._full = False
            self._transport.resume_reading()
        return data

    async def drained(self, seconds: float | None) -> None:
        if self._writer is not None:
            await _within(self._writer, seconds)
        if self.error is not None:
            raise self.error


async def _within(waiter: asyncio.Future[None], seconds: float | None) -> None:
    """Wait for a future, with one timer: asyncio.timeout costs several times as much. Raises TimeoutError."""
    if seconds is None:
        return await waiter
    timer = asyncio.get_running_loop().call_later(seconds, _expire, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class AsyncSocket:
    """One connection. Timeouts are in seconds."""

    def __init__(self, transport: Any, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float) -> bytes:  # noqa: ASYNC109
        """Read available bytes. Raises ReadTimeout, ReadError."""
        try:
            return await self._protocol.read(max_bytes, timeout)
        except TimeoutError as error:
            raise ReadTimeout(str(error)) from error
        except OSError as error:
            raise ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float) -> None:  # noqa: ASYNC109
        """Write all of `buffer`. Raises WriteTimeout, WriteError."""
        try:
            self._transport.write(buffer)
            await self._protocol.drained(timeout)
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        except OSError as error:
            raise WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connection: send TLS close_notify, and do not wait for the reply."""
        self._transport.close()
        try:
            await asyncio.sleep(0)
        finally:
            with suppress(AttributeError):  # a closed TLS transport cannot be aborted
                self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str,
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncSocket:
        """Start TLS with a server name (SNI). Raises ConnectTimeout, ConnectError."""
        loop = asyncio.get_running_loop()
        if (
            self._protocol.held
        ):  # sent unencrypted by a proxy: after the handshake it would be taken for the origin's data
            self._transport.abort()
            raise ConnectError("bytes came before TLS began")
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    self._transport, self._protocol, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self._transport.abort()
            raise ConnectTimeout(str(error)) from error
        except OSError as error:  # ssl.SSLError is one
            self._transport.abort()
            raise ConnectError(str(error)) from error
        protocol = self._protocol
        protocol.connection_made(cast(asyncio.BaseTransport, transport))
        return AsyncSocket(transport, protocol)

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        return bool(self._protocol.held) or self._protocol.ended or self._transport.is_closing()

    def peer(self) -> Any:
        """Return the address of the peer as sockets do, None if it is not connected any more."""
        return self._transport.get_extra_info("peername")


async def connect(address: str, port: int, timeout: float) -> AsyncSocket:  # noqa: ASYNC109
    """Connect to an address. Raises ConnectTimeout, ConnectError."""
    try:
        async with asyncio.timeout(timeout):
            transport, protocol = await asyncio.get_running_loop().create_connection(_Protocol, address, port)
    except TimeoutError as error:
        raise ConnectTimeout(str(error)) from error
    except OSError as error:
        raise ConnectError(str(error)) from error
    return AsyncSocket(transport, protocol)
