"""Horizontal bars for a terminal: a number as a length."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def width_beside(taken: int) -> int:
    """Return the width for bars beside a table of that width; 0 if there is too little."""
    left = shutil.get_terminal_size().columns - taken - 3
    return min(left, _MAX_WIDTH) if left >= 8 else 0


def bars(numbers: Sequence[float], width: int) -> list[str]:
    """Return a bar for each number; the greatest one is as wide as `width`. A number above 0 is never without a bar."""
    most = max(numbers, default=0)
    return ["" if number <= 0 else _bar(max(round(number / most * width * 8), 1)) for number in numbers]


def _bar(eighths: int) -> str:
    whole, rest = divmod(eighths, 8)
    text = "█" * whole + _EIGHTHS[rest].strip()
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * max(whole, 1)
    return text
