"""A terminal for tests of what moves its cursor about: rows of text, and the few sequences that set them.

Colours, modes and titles change no text and are passed over; a sequence that is not known is an error.
"""

from __future__ import annotations

import re
import unicodedata

_PARTS = re.compile(
    r"\x1b\[(?P<args>[0-9;]*)(?P<act>[A-HJKPXm])|\x1b\[[?>][0-9;]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[=>78]|[^\x1b]",
    re.DOTALL,
)


SECOND_CELL = "\0"  # of a wide character


class Terminal:
    """What a window of this size shows; `past` is what has left it at the top."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.height = columns, rows
        self.rows = [""] * rows
        self.past: list[str] = []
        self.row = self.column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show more of what a program wrote."""
        text, at = self._rest + text, 0
        while at < len(text):
            found = _PARTS.match(text, at)
            if found is None:
                assert len(text) - at < 32, f"an unknown sequence: {text[at : at + 32]!r}"
                break
            at = found.end()
            if found["act"]:
                self._act(found["act"], [int(n or 0) for n in found["args"].split(";")])
            elif found[0][0] != "\x1b":
                self._put(found[0])
        self._rest = text[at:]

    def _act(self, act: str, args: list[int]) -> None:
        number = max(args[0], 1)
        if act in "AB":
            self.row = min(max(self.row + (number if act == "B" else -number), 0), self.height - 1)
        elif act in "CD":
            self.column = min(max(self.column + (number if act == "C" else -number), 0), self.columns - 1)
        elif act == "G":
            self.column = number - 1
        elif act == "H":
            self.row, self.column = number - 1, (args[1] or 1) - 1 if len(args) > 1 else 0
        elif act == "K":
            self._line(self._line()[: self.column] if args[0] == 0 else "")
        elif act == "J":
            top = 0 if args[0] == 2 else self.row + 1
            if args[0] == 0:
                self._line(self._line()[: self.column])
            self.rows[top:] = [""] * (self.height - top)

    def _line(self, text: str | None = None) -> str:
        if text is not None:
            self.rows[self.row] = text
        return self.rows[self.row].ljust(self.column)

    def _put(self, char: str) -> None:
        if char == "\n":
            self._down()
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(self.column - 1, 0)
        elif char >= " " and (width := _width(char)):
            if self.column + width > self.columns:
                self._down()
                self.column = 0
            line = self._line()
            # A wide character is kept in the first of its two cells.
            cells = char + SECOND_CELL * (width - 1)
            self._line(line[: self.column] + cells + line[self.column + width :])
            self.column += width

    def _down(self) -> None:
        if self.row < self.height - 1:
            self.row += 1
        else:
            self.past.append(self.rows.pop(0))
            self.rows.append("")

    def shown(self) -> str:
        """The window's text, without blanks at its ends."""
        return _text(self.rows)

    def text(self) -> str:
        """All text since the start."""
        return _text([*self.past, *self.rows])

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window, as a terminal does that does not wrap old lines again."""
        while rows < self.height and self.height:
            if self.row < self.height - 1:
                self.rows.pop()
            else:
                self.past.append(self.rows.pop(0))
                self.row -= 1
            self.height -= 1
        self.rows += [""] * (rows - self.height)
        self.columns, self.height = columns, rows
        self.column = min(self.column, columns)


def _text(rows: list[str]) -> str:
    return "\n".join(row.replace(SECOND_CELL, "").rstrip() for row in rows).rstrip("\n")


def _width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if ord(char) >= 0x1F000 or unicodedata.east_asian_width(char) in "WF" else 1
