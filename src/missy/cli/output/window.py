"""The size of the terminal's window."""

from __future__ import annotations

import os
from typing import NamedTuple, TextIO


class Window(NamedTuple):
    """Columns and rows, each at least 1."""

    columns: int = 80
    rows: int = 24


def window_size(terminal: TextIO | int) -> Window:
    """Return the size of the terminal behind a stream or a file descriptor; 80 x 24 where it is not known."""
    try:
        columns, rows = os.get_terminal_size(terminal if isinstance(terminal, int) else terminal.fileno())
    except (OSError, ValueError):
        return Window()
    return Window(columns or Window().columns, rows or Window().rows)
