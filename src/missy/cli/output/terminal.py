"""An answer on a terminal. Each block is first shown as plain text while it arrives, and replaced once, by rendered
Markdown, when it is complete.

The text to replace is never higher than the screen, so the cost stays in proportion to the answer. A block that has
become higher than the screen, or that other output was written into, stays plain text. The only escape sequences that
this module may write are colours and weights, "up n lines" and "clear to the end of the screen".
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TextIO

from missy.cli.output.blocks import Block, BlockSplitter, mark_code
from missy.cli.output.plain import Plain
from missy.cli.output.sanitize import sanitize
from missy.cli.output.window import window_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.cli.output.blocks import Kind, Piece
    from missy.cli.output.markdown import Painter


class Terminal(Plain):
    """Renders an answer to the terminal `out`. Reasoning is shown dim on `err`, if that is a terminal too."""

    def __init__(self, out: TextIO, err: TextIO, *, stream: bool = True, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._size = window_size(out)
        self._painter: Painter | None = None
        super().__init__(out, err, stream=stream, show=sanitize)

    def start(self) -> None:
        """Begin an answer; reads the size of the window."""
        super().start()
        self._blocks = BlockSplitter(max_code_lines=max(4, self._size[1] // 2))
        self._typed = _TypedText(*self._size)
        self._is_final = False  # the plain text of the unfinished block cannot be erased any more
        self._separated = True  # a blank line before the unfinished block is written, or not needed
        self._thinking = False

    def write(self, text: str) -> None:
        """Show a piece of the answer, and render the blocks that it completes."""
        self._stop_thinking()
        self._show_blocks(self._blocks.feed(self._show(text)))
        if self._stream:
            self._type(self._blocks.take_new_text(), tight=self._blocks.tight, kind=self._blocks.kind)
        self._out.flush()

    def end(self) -> None:
        """Render the remaining blocks. The cursor is then at the beginning of a line."""
        self._stop_thinking()
        self._show_blocks(self._blocks.close())
        self._out.flush()

    def think(self, text: str) -> None:
        """Show reasoning, dim, if stderr is a terminal."""
        if self._err.isatty():
            self._interrupt_block()
            self._thinking = True
            self._err.write(f"\x1b[2m{sanitize(text)}\x1b[0m")
            self._err.flush()

    def comment(self, text: str) -> None:
        """Show the model's comment on its work as its thinking is shown."""
        if self._err.isatty():
            self.think(text)
        else:
            super().comment(text)

    def note(self, text: str) -> None:
        """Show a notice on stderr, on its own line."""
        self._stop_thinking()
        self._interrupt_block()
        super().note(text)

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            self._err.write("\n\n")
            self._err.flush()

    def _interrupt_block(self) -> None:
        """Leave the plain text as it is, since other output will be written below it."""
        if self._typed.has_text:
            self._is_final = True
            self._typed.detach_line()
            self._out.write(self._typed.end_line())
            self._out.flush()

    def _show_blocks(self, done: list[Block]) -> None:
        """Show completed blocks: render them over their plain text, or complete a plain text that cannot be erased."""
        if not done:
            return
        self._check_window_size()
        seen_next = [*(block.seen for block in done[1:]), self._blocks.seen]
        for block, next_seen in zip(done, seen_next, strict=True):
            if self._is_final:
                self._finish_as_typed(block, next_seen)
            else:
                self._out.write(self._typed.erase_all())
                self._paint(block)
            if not self._is_final:
                self._typed = _TypedText(*self._size)
        if not self._is_final:
            self._blocks.rewind()

    def _finish_as_typed(self, block: Block, next_seen: int) -> None:
        """Show the rest of a block as plain text, and erase what was already shown of the next block."""
        seen, rest = block.seen, []
        for line, is_code in mark_code(block.kind, block.raw.rstrip().splitlines(keepends=True)):
            rest.append((line[seen:], is_code))
            seen = max(0, seen - len(line))
        self._type(rest, tight=block.tight, kind=block.kind)
        self._separated = False
        self._is_final = bool(next_seen) and not self._typed.can_erase_line()
        if not self._is_final:
            self._out.write(self._typed.erase_line() if next_seen else self._typed.end_line())

    def _paint(self, block: Block) -> None:
        if self._painter is None:
            from missy.cli.output.markdown import Painter

            self._painter = Painter(self._size[0], self._environ)
        if block.body:
            self._separate(tight=block.tight)
            self._out.write(self._painter.paint(block))
            self._separated = False

    def _type(self, pieces: list[Piece], *, tight: bool, kind: Kind) -> None:
        """Show more of the unfinished block as plain text."""
        for text, is_code in pieces:
            if not text:
                continue
            if not self._typed.has_text:
                self._separate(tight=tight)
            whole = is_code or kind == "code"
            self._out.write(self._typed.type_code(text) if whole else self._typed.type_text(text))
            self._is_final = self._is_final or self._typed.is_full()

    def _separate(self, *, tight: bool) -> None:
        """Write the blank line before a block, unless it is there."""
        if not self._separated and not tight:
            self._out.write("\n")
        self._separated = True

    def _check_window_size(self) -> None:
        """After a change of the window's size the place of the plain text is unknown: do not erase it."""
        size = window_size(self._out)
        if size != self._size:
            self._is_final = self._is_final or self._typed.has_text
            self._typed.detach_line()
            self._size = size
            self._painter = None


class _TypedText:
    """The plain text of the unfinished block, and how many rows it takes.

    Lines of prose are broken here, one column before the edge, so that the terminal never does it. Lines of code are
    not: a newline in one would be copied with it, so the terminal wraps them, and their rows are counted here. If the
    width of a character is not certain, the larger one is assumed.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._columns = max(2, columns)
        self._max_columns = max(2, columns - 1)
        self._rows = rows
        self._row = 0
        self._column = 0
        self._line_row = 0  # the row in which the current source line begins
        self.has_text = False

    def type_text(self, text: str) -> str:
        """Return `text` with the line breaks that the window needs."""
        self.has_text = True
        parts: list[str] = []
        for index, line in enumerate(text.replace("\t", "    ").split("\n")):
            if index:
                parts.append(self._break_line())
                self._line_row = self._row
            width = len(line) if line.isascii() else sum(map(_width, line))
            if self._column + width <= self._max_columns:
                self._column += width
                parts.append(line)
            else:
                parts.extend(map(self._place_char, line))
        return "".join(parts)

    def type_code(self, text: str) -> str:
        """Return `text` as it is. The terminal wraps it at its full width; after a full row the cursor waits there."""
        self.has_text = True
        for char in text:
            if char == "\n":
                self._row += 1
                self._column = 0
                self._line_row = self._row
            elif char == "\t":  # to the next stop, every 8 columns, but never into the next row
                self._column = max(self._column, min(self._column // 8 * 8 + 8, self._columns - 1))
            elif self._column + (width := _width(char)) > self._columns:
                self._row += 1
                self._column = width
            else:
                self._column += width
        return text

    def _place_char(self, char: str) -> str:
        width = _width(char)
        before = self._break_line() if self._column + width > self._max_columns else ""
        self._column += width
        return before + char

    def _break_line(self) -> str:
        self._row += 1
        self._column = 0
        return "\n"

    def end_line(self) -> str:
        """Return the text that moves the cursor to the beginning of a line."""
        return self._break_line() if self._column else ""

    def detach_line(self) -> None:
        """Record that the current source line cannot be erased, because other output moved it."""
        if self._column:
            self._line_row = -self._rows

    def is_full(self) -> bool:
        """Whether the first row is about to scroll off the screen."""
        return self._row >= self._rows - 2

    def can_erase_line(self) -> bool:
        """Whether the whole current source line is still on the screen."""
        return self._row - self._line_row < self._rows - 2

    def erase_all(self) -> str:
        """Return the sequence that erases all of the plain text."""
        return _clear_rows(self._row) if self.has_text else ""

    def erase_line(self) -> str:
        """Return the sequence that erases the current source line."""
        return _clear_rows(self._row - self._line_row)


def _clear_rows(rows: int) -> str:
    """Return the sequences that go up `rows` lines and clear to the end of the screen."""
    return "\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J"


def _width(char: str) -> int:
    if char.isascii():
        return 1
    if char == "\ufe0f":
        return 1  # it makes the preceding character as wide as an emoji
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if ord(char) >= 0x1F000 or unicodedata.east_asian_width(char) in "WF" else 1
