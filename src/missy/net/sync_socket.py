"""A TCP connection for sync code: read, write, TLS, and whether input is waiting. Timeouts are in seconds."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any, Protocol

from missy.net.transport_errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

if TYPE_CHECKING:
    import ssl


class Wire(Protocol):
    """What a connection consists of, with TLS or without: `SyncSocket`, and `Tunnel` for TLS within TLS."""

    def read(self, max_bytes: int, timeout: float) -> bytes: ...  # noqa: D102
    def write(self, buffer: bytes, timeout: float) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def get_extra_info(self, info: str) -> Any: ...  # noqa: D102


class SyncSocket:
    """One connection. Errors are those of missy.net.transport_errors."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()

    def _set_timeout(self, timeout: float) -> None:
        if timeout != self._timeout:  # a system call each time
            self._sock.settimeout(timeout)
            self._timeout = timeout

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Read available bytes; b"" at the end. Raises ReadTimeout, ReadError."""
        try:
            self._set_timeout(timeout)
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise ReadTimeout(str(error)) from error
        except OSError as error:
            raise ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float) -> None:
        """Write all of `buffer`; the timeout is for each part that the system takes. Raises WriteTimeout, WriteError."""
        left = memoryview(buffer)
        try:
            self._set_timeout(timeout)
            while left:
                left = left[self._sock.send(left) :]
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        except OSError as error:
            raise WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def start_tls(self, context: ssl.SSLContext, name: str, timeout: float) -> SyncSocket:
        """Start TLS with a server name (SNI). Raises ConnectTimeout, ConnectError; the connection is closed then."""
        try:
            self._set_timeout(timeout)
            return SyncSocket(context.wrap_socket(self._sock, server_hostname=name))
        except TimeoutError as error:
            self.close()
            raise ConnectTimeout(str(error)) from error
        except OSError as error:  # ssl.SSLError is one
            self.close()
            raise ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Return `ssl_object` (None without TLS), `server_addr`, or `is_readable`: the peer has sent data, or closed."""
        if info == "ssl_object":
            return self._sock if hasattr(self._sock, "context") else None
        if info == "server_addr":
            return self._sock.getpeername()
        return _is_readable(self._sock) if info == "is_readable" else None


def _is_readable(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def connect(address: str, port: int, timeout: float) -> SyncSocket:
    """Connect to an address. Raises ConnectTimeout, ConnectError."""
    try:
        sock = socket.create_connection((address, port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError as error:
        raise ConnectTimeout(str(error)) from error
    except OSError as error:
        raise ConnectError(str(error)) from error
    return SyncSocket(sock)
