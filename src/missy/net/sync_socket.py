"""A TCP connection for sync code: read, write, TLS, and whether input is waiting. `async_socket` is the same for asyncio.

The socket does not block: a system call is made first, and waited for only if it must be.
"""

from __future__ import annotations

import select
import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, cast

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
    from collections.abc import Callable

    _T = TypeVar("_T")


class SyncSocket:
    """One connection. Timeouts are in seconds, for a whole read, write or handshake."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Read available bytes; b"" is the end. Raises ReadTimeout, ReadError."""
        try:
            return self._complete(partial(self._sock.recv, max_bytes), select.POLLIN, monotonic() + timeout)
        except TimeoutError as error:
            raise ReadTimeout(str(error)) from error
        except OSError as error:
            raise ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float) -> None:
        """Write all of `buffer`. Raises WriteTimeout, WriteError."""
        ends, left = monotonic() + timeout, memoryview(buffer)
        try:
            while left:
                left = left[self._complete(partial(self._sock.send, left), select.POLLOUT, ends) :]
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        except OSError as error:
            raise WriteError(str(error)) from error

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str, timeout: float) -> SyncSocket:
        """Start TLS with a server name (SNI). Raises ConnectTimeout, ConnectError."""
        ends, made = monotonic() + timeout, self
        try:
            wrapped = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            made = SyncSocket(wrapped)  # which owns the connection now
            made._complete(wrapped.do_handshake, select.POLLIN, ends)
        except TimeoutError as error:
            made.close()
            raise ConnectTimeout(str(error)) from error
        except OSError as error:  # ssl.SSLError is one
            made.close()
            raise ConnectError(str(error)) from error
        return made

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    @property
    def is_secured(self) -> bool:
        """Whether TLS was started."""
        return hasattr(self._sock, "do_handshake")

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        return self._sock.fileno() < 0 or self._wait(select.POLLIN, 0)

    def peer(self) -> Any:
        """Return the address of the peer as sockets do."""
        return self._sock.getpeername()

    def tls_version(self) -> str:
        """Return the version of TLS, as `TLSv1.3`."""
        return str(cast("ssl.SSLSocket", self._sock).version())

    def shut_down(self) -> None:
        """End both directions, for a thread that another one reads for. Raises OSError."""
        self._sock.shutdown(socket.SHUT_RDWR)

    def _complete(self, call: Callable[[], _T], event: int, ends: float) -> _T:
        """Make a system call, waiting for `event` as often as it is needed. Raises TimeoutError at `ends`."""
        while True:
            try:
                return call()
            except BlockingIOError:
                wanted = event
            except OSError as error:
                wanted = _wanted_by_tls(error)
                if not wanted:
                    raise
            left = ends - monotonic()
            if left <= 0 or not self._wait(wanted, left):
                raise TimeoutError("timed out")

    def _wait(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._sock, event)
        return bool(poll.poll(seconds * 1000))


def _wanted_by_tls(error: OSError) -> int:
    """Return the event that TLS waits for, 0 if the error is another one."""
    import ssl

    if isinstance(error, ssl.SSLWantReadError):
        return select.POLLIN
    return select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else 0


def connect(address: str, port: int, timeout: float) -> SyncSocket:
    """Connect to an address. Raises ConnectTimeout, ConnectError."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect((address, port))  # an address, and no name: nothing is looked up
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(str(error)) from error
    except OSError as error:
        sock.close()
        raise ConnectError(str(error)) from error
    return SyncSocket(sock)
