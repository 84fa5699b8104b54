"""A terminal for tests: just the sequences that Missy may write, and an error for every other."""

from __future__ import annotations

import re

OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\d+A|J)|[^\x1b]")


class Screen:
    """Rows of text; what has scrolled off the top can no longer be reached."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns = columns
        self.height = rows
        self.rows = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            found = OURS.match(text, at)
            assert found, f"not ours: {text[at : at + 12]!r}"
            at = found.end()
            self._put(found[0])

    def _put(self, part: str) -> None:
        if part == "\n":
            self._down()
            self.column = 0
        elif part == "\r":
            self.column = 0
        elif part == "\x1b[J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        elif part.endswith("A") and part[0] == "\x1b":
            self.row = max(self.row - int(part[2:-1]), len(self.rows) - self.height, 0)
        elif part[0] != "\x1b":
            if self.column == self.columns:
                self._down()
                self.column = 0
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + part + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows]

    def text(self) -> str:
        return "\n".join(self.lines())
