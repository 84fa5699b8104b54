"""TLS for sync code, over a connection or over another TLS connection (an https origin behind an https proxy).

It works in memory: what it reads and writes goes through the connection below, whose timeouts so hold here too.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.net.stream_errors import ReadError, ReadTimeout, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.net.sync_socket import SyncSocket

MAX_READ_BYTES = 64 << 10  # bytes taken from the connection below at a time


class TlsStream:
    """The connection after its handshake. Timeouts are in seconds, for a whole read or write.

    Raises ssl.SSLError, StreamError and StreamTimeout if the handshake fails; the connection below is closed then.
    """

    def __init__(
        self, below: SyncSocket | TlsStream, context: ssl.SSLContext, name: str, timeout: float
    ) -> None:
        self._below = below
        self._came, self._leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._leaves, server_hostname=name)
        try:
            self._turn(self._tls.do_handshake, timeout)
        except BaseException:
            below.close()
            raise

    def _turn(self, act: Callable[[], Any], timeout: float) -> Any:
        """Run one TLS operation, with as many reads and writes of the connection below as needed."""
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
                self._below.write(self._leaves.read(), left)
            if not waits:
                return result
            data = self._below.read(MAX_READ_BYTES, left)
            if data:
                self._came.write(data)
            else:
                self._came.write_eof()

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Read available bytes; b"" is the end, also where the peer did not say so. Raises ReadTimeout, ReadError."""
        try:
            data: bytes = self._turn(lambda: self._tls.read(max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise ReadError(str(error)) from error
        return data

    def write(self, buffer: bytes, timeout: float) -> None:
        """Write all of `buffer`: a memory BIO accepts it at once. Raises WriteTimeout, WriteError."""
        try:
            if buffer:
                self._turn(lambda: self._tls.write(buffer), timeout)
        except ssl.SSLError as error:
            raise WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection below."""
        self._below.close()

    def is_readable(self) -> bool:
        """Tell whether the peer has sent data or closed the connection; what was received and not read counts too."""
        return bool(self._tls.pending() or self._came.pending) or self._below.is_readable()

    def peer(self) -> Any:
        """Return the address of the peer as sockets do."""
        return self._below.peer()

    def tls_version(self) -> str:
        """Return the version of TLS, as `TLSv1.3`."""
        return str(self._tls.version())

    def shut_down(self) -> None:
        """End both directions, for a thread that another one reads for. Raises OSError."""
        self._below.shut_down()
