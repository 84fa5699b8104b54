"""Reads lines that a person types or pastes while the command also waits for something else.

Reads the file descriptor with `select`, so that the reader can be stopped at any time.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable

_MAX_LINE_BYTES = 64 * 1024


class StdinLineReader:
    """Calls `on_line` with each line of stdin, and with None at the end of the input, from a thread, until `close`."""

    def __init__(self, on_line: Callable[[str | None], None]) -> None:
        self._on_line = on_line
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._read, name="stdin lines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading, and wait for the thread."""
        os.close(self._stopper)
        self._thread.join()
        os.close(self._stop)

    def _read(self) -> None:
        buffer = b""
        while True:
            data = self._next()
            if data is None:
                return
            if not data:
                if buffer:
                    self._give(buffer)
                self._on_line(None)
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                self._give(line)
            buffer = buffer[:_MAX_LINE_BYTES]

    def _next(self) -> bytes | None:
        """Return the next bytes, b"" at the end of the input, None after `close`."""
        try:
            source = sys.stdin.fileno()
            ready = select.select([source, self._stop], [], [])[0]
            return None if self._stop in ready else os.read(source, 4096)
        except (AttributeError, OSError, ValueError):  # no stdin at all
            return b""

    def _give(self, line: bytes) -> None:
        self._on_line(line.decode("utf-8", "replace").strip())
