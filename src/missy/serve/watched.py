"""Ends the work for a caller that has left, and for all callers when the gateway must stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from missy.serve.asgi import Gone, gone

if TYPE_CHECKING:
    from types import TracebackType

    from missy.serve.asgi import Receive


class Ending(Exception):
    """The gateway stops, and does not wait for the rest of an answer."""


class Watched:
    """A context in which the current task is cancelled when the caller leaves: it ends with Gone, or with Ending."""

    def __init__(self, receive: Receive, active: set[Watched]) -> None:
        self._receive = receive
        self._active = active
        self._reason: Exception | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watch = asyncio.create_task(gone(self._receive))
        self._watch.add_done_callback(lambda _: self._end(Gone()))
        self._active.add(self)
        return self

    def stop(self) -> None:
        """End the work because the gateway stops."""
        self._end(Ending())

    def release(self) -> None:
        """Let the work go on to its end from here, whatever the caller does."""
        self._is_over = True
        self._active.discard(self)
        self._watch.cancel()

    def _end(self, reason: Exception) -> None:
        if not self._is_over:
            self._is_over = True
            self._reason = reason
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.release()
        if self._reason is None:
            return
        if not isinstance(error, asyncio.CancelledError):
            try:  # the cancellation has not been delivered yet
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
        self._task.uncancel()
        if error is None or isinstance(error, asyncio.CancelledError):
            raise self._reason from None
