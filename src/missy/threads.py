"""Calls that run in a thread to their end, also if the task that waits for them is cancelled.

A thread cannot be cancelled: whoever goes on before it has ended does not know what it has done, a lock taken for example.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the function returns. Raises what it raises, or CancelledError; it has ended in each case."""
    running = start(function, *args, **kwargs)
    await finish(running)
    return running.result()


def start(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin a call. Its future is not a task, so that nothing else cancels it."""
    call = partial(copy_context().run, function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(None, call)


async def finish(running: asyncio.Future[T]) -> None:
    """Wait until a call has ended. Raises CancelledError after that, however often this task was cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    running.exception()  # it is known here: asyncio need not report it
    if cancelled is not None:
        raise cancelled
