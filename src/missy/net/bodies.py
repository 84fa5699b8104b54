"""Response bodies: decompressed in small steps, limited in size, and recorded in the audit when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from missy.errors import BadReply
from missy.net import connection_errors
from missy.net.content_coding import Unpacker, coding_of
from missy.net.limits import MAX_ERROR, MAX_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.net.gate import Gate, RequestContext
    from missy.net.http1 import Head
    from missy.net.pool import Pool


def tell(gate: Gate, context: RequestContext, error: BaseException, *, status: int | None = None) -> NoReturn:
    """Record how a request failed in the audit, and raise it as a typed error."""
    told = connection_errors.translate(error, context.target.host, context.target.port)
    gate.end(context, status=status, error=told)
    if told is error:
        raise error
    raise told from error


class BrokenOff(Exception):
    """The reader closed the response early: a name for the audit, never raised."""


class _Body:
    """Common part of both bodies: decompression, the size limit, and the audit record at the end."""

    def __init__(self, gate: Gate, context: RequestContext, head: Head, pool: Pool, connection: Any) -> None:
        self._gate = gate
        self._context = context
        self._pool = pool
        self._connection = connection
        self._status = head.status
        self._restart = context.attribution.live
        self._bytes = 0
        self._whole = False
        self._closed = False
        self._most = MAX_STREAM if 200 <= head.status < 300 else MAX_ERROR
        gate.last_headers = head.headers
        self._unpacker = Unpacker(coding_of(head.headers))
        self._pieces: list[bytes] = []  # decompressed, and not read yet

    def _take(self, chunk: bytes) -> None:
        """Decompress and count bytes. Raises BadReply for too many, and for a corrupt stream."""
        self._pieces = self._unpacker.feed(chunk)
        self._bytes += sum(map(len, self._pieces))
        if self._bytes > self._most:
            raise BadReply(f"the reply ({self._status}) is longer than {self._most >> 20} MiB")
        if self._restart:
            self._context.clock.reset_idle()

    def hurry(self, seconds: float) -> None:
        """Limit the rest of the body to so many seconds in total: the reader has the whole answer already."""
        self._restart = False
        self._context.clock.reset_idle(seconds)

    def failed(self, error: BaseException) -> NoReturn:
        tell(self._gate, self._context, error, status=self._status)

    def ended(self, error: BaseException | None = None) -> None:
        """Finish the audit record: the response is complete, or `error` ended it."""
        self._gate.end(self._context, status=self._status, error=error)


class SyncBody(_Body):
    """A response body for sync code: `read`, or iterate over it, and close it."""

    def read(self) -> bytes | None:
        """Return the next bytes, None at the end. Raises a typed MissyError, which the audit records."""
        if self._closed:
            raise RuntimeError("the response is closed")
        while not self._pieces:
            try:
                chunk = self._connection.read(self._context)
                if not chunk:
                    self._whole = True  # the reader reports the cause, or closes the body
                    return None
                self._take(chunk)
            except BaseException as error:
                self._connection.close()
                self.failed(error)
        return self._pieces.pop(0)

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self.read()) is not None:
            yield piece

    def close(self) -> None:
        """Return the connection to the pool or close it, and finish the audit record."""
        if not self._closed:
            self._closed = True
            self._connection.finish()
            if not self._pool.give(self._context.target, self._connection):
                self._connection.close()
        self.ended(None if self._whole or self._context.attribution.may_stop else BrokenOff())


class AsyncBody(_Body):
    """The same for async code."""

    async def read(self) -> bytes | None:
        """Return the next bytes, None at the end. Raises a typed MissyError, which the audit records."""
        if self._closed:
            raise RuntimeError("the response is closed")
        while not self._pieces:
            try:
                chunk = await self._connection.read(self._context)
                if not chunk:
                    self._whole = True  # the reader reports the cause, or closes the body
                    return None
                self._take(chunk)
            except BaseException as error:
                await self._connection.aclose()
                self.failed(error)
        return self._pieces.pop(0)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self.read()) is not None:
            yield piece

    async def aclose(self) -> None:
        """Return the connection to the pool or close it, and finish the audit record."""
        if not self._closed:
            self._closed = True
            await self._connection.finish()
            if not self._pool.give(self._context.target, self._connection):
                await self._connection.aclose()
        self.ended(None if self._whole or self._context.attribution.may_stop else BrokenOff())
