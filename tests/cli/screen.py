"""A terminal for tests: just the sequences that Missy may write, and an error for every other."""

from __future__ import annotations

import re
import unicodedata

OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\d+A|J)|[^\x1b]")


class Screen:
    """Rows of text; what has scrolled off the top can no longer be reached."""

    def __init__(self, columns: int = 80, rows: int = 24, *, wide: bool = False) -> None:
        self.wide = wide  # whether East Asian characters take two columns
        self.wrapped: set[int] = set()  # the rows that the row before went on into
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
            self.wrapped = {row for row in self.wrapped if row <= self.row}
        elif part.endswith("A") and part[0] == "\x1b":
            self.row = max(self.row - int(part[2:-1]), len(self.rows) - self.height, 0)
        elif part == "\t":
            self.column = max(self.column, min(self.column // 8 * 8 + 8, self.columns - 1))
        elif part[0] != "\x1b":
            width = 2 if self.wide and unicodedata.east_asian_width(part) in "WF" else 1
            if self.column + width > self.columns:
                self._down()
                self.column = 0
                self.wrapped.add(self.row)
            line = self.rows[self.row].ljust(self.column)
            # A wide character is kept in the first of its two cells, the second one is empty.
            self.rows[self.row] = (
                line[: self.column] + part + "\0" * (width - 1) + line[self.column + width :]
            )
            self.column += width

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def lines(self) -> list[str]:
        return [row.replace("\0", "").rstrip() for row in self.rows]

    def copied(self) -> list[str]:
        """The lines that selecting and copying gives: rows that the terminal wrapped are one."""
        found: list[str] = []
        for number, row in enumerate(self.rows):
            if number in self.wrapped:
                found[-1] += row.replace("\0", "")
            else:
                found.append(row.replace("\0", ""))
        return [line.rstrip() for line in found]

    def text(self) -> str:
        return "\n".join(self.lines())
