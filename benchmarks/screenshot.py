"""A conversation with the model on this machine, as it is seen: docs/run.svg, and its text on stdout.

make demo && python benchmarks/screenshot.py
It types into `missy run` on a pseudo-terminal, and needs the model that `make demo` installs. Nothing leaves 127.0.0.1.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.cli.person import ENTER, Person  # noqa: E402
from tests.command import Command  # noqa: E402

COLUMNS = 100
LINES = (
    ("What is the capital of France? Answer in one sentence.", "1 turn"),
    ("Write a shell command that counts the lines of a file, in a code block.", "2 turns"),
    ("/undo", "1 left"),
)
TARGET = ROOT / "docs" / "run.svg"
_PARTS = re.compile(r"\x1b\[([0-9;]*)([A-HJKm])|\x1b\[\?[0-9;]*[hl]|\x1b\][^\x07]*\x07|[^\x1b]", re.DOTALL)
Cell = tuple[str, str]  # a character, and the colours that it was written in


class Picture:
    """A terminal that keeps the colours; it knows the sequences that Missy writes."""

    def __init__(self) -> None:
        self.rows: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self.style = ""

    def feed(self, text: str) -> None:
        for found in _PARTS.finditer(text):
            if found[2]:
                self._act(found[2], found[1])
            elif found[0][0] != "\x1b":
                self._put(found[0])

    def _act(self, act: str, arguments: str) -> None:
        number = int(arguments.split(";", 1)[0] or 0)
        if act == "m":
            self.style = "" if arguments in ("", "0") else f"\x1b[{arguments}m"
        elif act in "AB":
            self.row = max(self.row + (max(number, 1) if act == "B" else -max(number, 1)), 0)
        elif act in "CD":
            self.column = max(self.column + (max(number, 1) if act == "C" else -max(number, 1)), 0)
        elif act == "G":
            self.column = max(number, 1) - 1
        elif act in "JK":
            del self.rows[self.row][self.column :]
            if act == "J":
                del self.rows[self.row + 1 :]

    def _put(self, char: str) -> None:
        if char == "\n":
            self._to(self.row + 1)
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column -= 1
        elif char >= " ":
            if self.column == COLUMNS:
                self._to(self.row + 1)
                self.column = 0
            line = self.rows[self.row]
            line += [(" ", "")] * (self.column - len(line))
            line[self.column : self.column + 1] = [(char, self.style)]
            self.column += 1

    def _to(self, row: int) -> None:
        self.row = row
        self.rows += [[] for _ in range(row + 1 - len(self.rows))]

    def ansi(self) -> str:
        return "\n".join(
            "".join(
                f"{style}{''.join(char for char, _ in cells)}\x1b[0m"
                for style, cells in groupby(line, key=lambda cell: cell[1])
            ).rstrip()
            for line in self.rows
        )


def talk(missy: Command) -> str:
    """Hold the conversation; return what the terminal was written."""
    with Person(missy, "run", "--provider", "local", columns=COLUMNS, rows=60) as person:
        person.see("local")
        for line, seen in LINES:
            person.press(line, ENTER)
            person.see(seen)
            person.see(">")
        person.see("local · 1 turn ·")
        raw = person.raw
        print(person.terminal.text())
        person.press("/exit", ENTER)
        person.end()
    return raw


def main() -> None:
    models = ROOT / ".demo" / "models"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "missy"
        home.mkdir(mode=0o700)
        (home / "models").symlink_to(models)
        os.environ["MISSY_HOME"] = str(home)
        raw = talk(Command(home, Path(folder) / "trace"))
    picture = Picture()
    picture.feed(raw)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(picture.ansi()))
    console.save_svg(str(TARGET), title="missy run", unique_id="missy", code_format=template())


def template() -> str:
    """Return rich's template without the font that it would fetch from the network."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    return re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


if __name__ == "__main__":
    main()
