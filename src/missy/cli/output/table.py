"""Plain tables: columns as wide as their widest cell, no boxes, sanitized and masked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from missy.cli.output.sanitize import sanitize
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header line to stdout. None is shown as `-`."""
    cells = [
        [sanitize("-" if cell is None else redact(str(cell)), newlines=False) for cell in row]
        for row in [head, *rows]
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
