"""Response bodies: decompressed in small steps, limited in size, and recorded in the audit when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from missy.errors import BadReply
from missy.net import connection_errors
from missy.net.content_coding import Unpacker, coding_of
from missy.net.limits import MAX_ERROR, MAX_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from missy.net.gate import Gate, RequestContext
    from missy.net.http1 import ResponseReader


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

    def __init__(self, gate: Gate, context: RequestContext, response: ResponseReader) -> None:
        self._gate = gate
        self._passage = context
        self._status = response.status
        self._restart = context.attribution.live
        self._bytes = 0
        self._whole = False
        self._released = False
        self._most = MAX_STREAM if 200 <= response.status < 300 else MAX_ERROR
        gate.last_headers = response.headers
        self._unpacker = Unpacker(coding_of(response.headers))

    def count(self, length: int) -> None:
        self._bytes += length
        if self._bytes > self._most:
            raise BadReply(f"the reply ({self._status}) is longer than {self._most >> 20} MiB")
        if self._restart:
            self._passage.clock.reset_idle()

    def unpacked(self, chunk: bytes) -> list[bytes]:
        pieces = self._unpacker.feed(chunk)
        self.count(sum(map(len, pieces)))
        return pieces

    def hurry(self, seconds: float) -> None:
        """Limit the rest of the body to so many seconds in total: the reader has the whole answer already."""
        self._restart = False
        self._passage.clock.reset_idle(seconds)

    def failed(self, error: BaseException) -> NoReturn:
        tell(self._gate, self._passage, error, status=self._status)

    def ended(self, error: BaseException | None = None) -> None:
        """Finish the audit record: the response is complete, or `error` ended it."""
        self._gate.end(self._passage, status=self._status, error=error)


class SyncBody(_Body):
    """A response body for sync code."""

    def __init__(
        self,
        *args: Any,
        receive: Callable[[RequestContext], bytes],
        release: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._receive = receive
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        try:
            while not self._released and (chunk := self._receive(self._passage)):
                for piece in self.unpacked(chunk):  # noqa: UP028 as its twin for async code has it
                    yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failed(error)
        self._whole = True  # the reader reports the cause, or closes the body

    def close(self) -> None:
        """Return the connection to the pool or close it, and finish the audit record."""
        if not self._released:
            self._released = True
            self._release()
        self.ended(None if self._whole or self._passage.attribution.may_stop else BrokenOff())


class AsyncBody(_Body):
    """A response body for async code."""

    def __init__(
        self,
        *args: Any,
        receive: Callable[[RequestContext], Awaitable[bytes]],
        release: Callable[[], Awaitable[None]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._receive = receive
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while not self._released and (chunk := await self._receive(self._passage)):
                for piece in self.unpacked(chunk):
                    yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failed(error)
        self._whole = True  # the reader reports the cause, or closes the body

    async def aclose(self) -> None:
        """Return the connection to the pool or close it, and finish the audit record."""
        if not self._released:
            self._released = True
            await self._release()
        self.ended(None if self._whole or self._passage.attribution.may_stop else BrokenOff())
