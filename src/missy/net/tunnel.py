"""TLS through a TLS connection: an https origin behind an https proxy, for sync code.

An SSLSocket cannot be wrapped again, so the inner TLS works in memory.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.net.stream_errors import ReadError, ReadTimeout, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.net.sync_socket import SyncSocket

MAX_READ_BYTES = 64 << 10  # bytes taken from the outer connection at a time


class Tunnel:
    """The inner connection, after its handshake. Timeouts are in seconds, for a whole read or write."""

    def __init__(
        self, outer: SyncSocket | Tunnel, context: ssl.SSLContext, name: str, timeout: float
    ) -> None:
        self._outer = outer
        self._came, self._leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._leaves, server_hostname=name)
        try:
            self._turn(self._tls.do_handshake, timeout)
        except BaseException:
            outer.close()
            raise

    def _turn(self, act: Callable[[], Any], timeout: float) -> Any:
        """Run one TLS operation, with as many reads and writes of the outer connection as needed."""
        ends = monotonic() + timeout
        while True:
            try:
                result, waits = act(), False
            except ssl.SSLWantReadError:
                result, waits = None, True
            left = ends - monotonic()
            if left <= 0:
                raise ReadTimeout("timed out")
            if self._leaves.pending:
                self._outer.write(self._leaves.read(), left)
            if not waits:
                return result
            data = self._outer.read(MAX_READ_BYTES, left)
            if data:
                self._came.write(data)
            else:
                self._came.write_eof()

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Read available bytes, up to `max_bytes`; empty at the end."""
        try:
            data: bytes = self._turn(lambda: self._tls.read(max_bytes), timeout)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise ReadError(str(error)) from error
        return data

    def write(self, buffer: bytes, timeout: float) -> None:
        """Write all of `buffer`: a memory BIO accepts it at once."""
        try:
            if buffer:
                self._turn(lambda: self._tls.write(buffer), timeout)
        except ssl.SSLError as error:
            raise WriteError(str(error)) from error

    def close(self) -> None:
        """Close the outer connection."""
        self._outer.close()

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection."""
        return self._outer.is_readable()

    def peer(self) -> Any:
        """Return the address of the peer as sockets do."""
        return self._outer.peer()

    def tls_version(self) -> str:
        """Return the version of TLS, as `TLSv1.3`."""
        return str(self._tls.version())

    def shut_down(self) -> None:
        """End both directions, for a thread that another one reads for. Raises OSError."""
        self._outer.shut_down()
