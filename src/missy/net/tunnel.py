"""TLS through a TLS connection: an https origin behind an https proxy, for sync code.

httpcore2's own stream restarts its timeout with each byte received, so a slow server could block a call for ever; here
the timeout is for the whole operation.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpcore2

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READ_BYTES = 64 << 10  # bytes taken from the outer connection at a time


class Tunnel(httpcore2.NetworkStream):
    """The inner connection, after its handshake. Timeouts are in seconds, for a whole read or write."""

    def __init__(
        self, outer: httpcore2.NetworkStream, context: ssl.SSLContext, name: str | None, timeout: float
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
                raise httpcore2.ReadTimeout("timed out")
            if self._leaves.pending:
                self._outer.write(self._leaves.read(), left)
            if not waits:
                return result
            data = self._outer.read(MAX_READ_BYTES, left)
            if data:
                self._came.write(data)
            else:
                self._came.write_eof()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read available bytes, up to `max_bytes`; empty at the end."""
        assert timeout is not None
        try:
            data: bytes = self._turn(lambda: self._tls.read(max_bytes), timeout)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise httpcore2.ReadError(str(error)) from error
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`: a memory BIO accepts it at once."""
        assert timeout is not None
        try:
            if buffer:
                self._turn(lambda: self._tls.write(buffer), timeout)
        except ssl.SSLError as error:
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the outer connection."""
        self._outer.close()

    def get_extra_info(self, info: str) -> Any:
        """Return httpcore2's extra information; the TLS object is the inner one."""
        return self._tls if info == "ssl_object" else self._outer.get_extra_info(info)
