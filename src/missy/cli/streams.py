"""The three standard streams as the command needs them, on machines where one is closed, full or of a small alphabet.

What is said on stderr may be lost; it must never change what the command does, nor its exit code.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class LossyStream:
    """A text stream whose writes cannot fail: what does not go through, because its reader or disk is gone, is lost."""

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
    """Make the standard streams fit for a command, while it runs."""
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
    """Fill the places of closed standard streams, so that no file or socket of ours takes one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 it lives as long as the process


def _prepare(stream: TextIO | None) -> None:
    """Let a stream take any text and any amount of it."""
    with suppress(OSError, ValueError, AttributeError):
        if stream is not None:
            # A character that the encoding lacks is no reason to stop
            cast("Any", stream).reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
            if not os.get_blocking(
                stream.fileno()
            ):  # left so by whoever started us: half of a text would be lost
                os.set_blocking(stream.fileno(), True)
