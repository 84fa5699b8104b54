"""A TCP connection for sync code: read, write, and whether input is waiting. `async_socket` is the same for asyncio.

The system knows how long a call may wait, so a read or a write is one system call. It is below a second, since Ctrl-C must
end a command within one.
"""

from __future__ import annotations

import select
import socket
import struct
from time import monotonic
from typing import Any

from missy.net.stream_errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

MAX_CALL_SECONDS = 0.5  # that one system call waits: a signal that comes just before it waits for its end


class SyncSocket:
    """One connection. Timeouts are in seconds."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._limits: dict[int, float] = {}  # what the system was told, by option

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Read available bytes; b"" is the end. Raises ReadTimeout, ReadError."""
        ends = monotonic() + timeout
        try:
            while self._limit(socket.SO_RCVTIMEO, ends):
                try:
                    return self._sock.recv(max_bytes)
                except BlockingIOError:  # nothing came yet
                    continue
        except OSError as error:
            raise ReadError(str(error)) from error
        raise ReadTimeout("timed out")

    def write(self, buffer: bytes, timeout: float) -> None:
        """Write all of `buffer`. Raises WriteTimeout, WriteError."""
        ends, left = monotonic() + timeout, memoryview(buffer)
        try:
            while left:
                if not self._limit(socket.SO_SNDTIMEO, ends):
                    raise WriteTimeout("timed out")
                try:
                    left = left[self._sock.send(left) :]
                except BlockingIOError:  # the peer does not read yet
                    continue
        except OSError as error:
            raise WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        if self._sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def peer(self) -> Any:
        """Return the address of the peer as sockets do."""
        return self._sock.getpeername()

    def tls_version(self) -> str:
        """Return "": there is no TLS."""
        return ""

    def shut_down(self) -> None:
        """End both directions, for a thread that another one reads for. Raises OSError."""
        self._sock.shutdown(socket.SHUT_RDWR)

    def _limit(self, option: int, ends: float) -> bool:
        """Tell the system how long the next call may wait, unless it knows. Returns False if there is no time left."""
        seconds = min(ends - monotonic(), MAX_CALL_SECONDS)
        if seconds <= 0:
            return False
        if self._limits.get(option) != seconds:
            micros = max(1, int(seconds * 1e6))  # zero would be without end
            self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", 0, micros))
            self._limits[option] = seconds
        return True


def connect(address: str, port: int, timeout: float) -> SyncSocket:
    """Connect to an address. Raises ConnectTimeout, ConnectError."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect((address, port))  # an address, and no name: nothing is looked up
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(str(error)) from error
    except OSError as error:
        sock.close()
        raise ConnectError(str(error)) from error
    return SyncSocket(sock)
