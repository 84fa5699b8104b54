"""Prepares the three standard streams: one may be closed, full, non-blocking, or unable to encode all characters.

Text on stderr may be lost. That must never change what the command does, nor its exit code.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class LossyStream:
    """A text stream whose writes never raise: what cannot be written is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Prepare the standard streams for the time that a command runs."""
    _fill_closed()
    for stream in (sys.stdout, sys.stderr):
        _prepare(stream)
    before = sys.stderr
    sys.stderr = cast("TextIO", LossyStream(before))
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before


def _fill_closed() -> None:
    """Open /dev/null for closed standard streams, so that no other file or socket gets their numbers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 it stays open as long as the process runs
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 it stays open as long as the process runs


def _prepare(stream: TextIO | None) -> None:
    """Make a stream accept any text, of any length."""
    with suppress(OSError, ValueError, AttributeError):
        if stream is not None:
            # A character that the encoding lacks must not be an error
            cast("Any", stream).reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
            if not os.get_blocking(
                stream.fileno()
            ):  # set by the parent process: part of a text would be lost
                os.set_blocking(stream.fileno(), True)
