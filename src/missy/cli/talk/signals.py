"""Signals during a conversation: Ctrl-C stops an answer and nothing else; SIGTERM and SIGHUP end the process, once."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Signals:
    """Handles signals until it is closed. A context manager.

    SIGINT raises KeyboardInterrupt once inside `stoppable`, calls the function of `reading` inside that, and is ignored
    elsewhere, so that it cannot interrupt the storing of an answer that was stopped.
    """

    def __init__(self) -> None:
        self._armed = False
        self._reader: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if callable(handler):
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._armed = False
        for number, handler in self._before.items():
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Raise KeyboardInterrupt for the first SIGINT, here only."""
        self._armed = True
        try:
            yield
        finally:
            self._armed = False

    @contextmanager
    def reading(self, reader: Callable[[], None]) -> Iterator[None]:
        """Call `reader` for SIGINT."""
        self._reader = reader
        try:
            yield
        finally:
            self._reader = None

    def _interrupt(self, _signum: int, _frame: Any) -> None:
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt
        if self._reader is not None:
            self._reader()

    def _end(self, signum: int, frame: Any) -> None:
        """End the process as before, but ignore a second signal: what came of an answer is being stored."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if number in self._before:
                signal.signal(number, signal.SIG_IGN)
        self._armed = False
        self._before[signum](signum, frame)
