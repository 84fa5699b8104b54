"""An answer on a terminal: each block is shown as it is typed, and drawn over, once, as rendered Markdown
when it ends.

What is drawn over is never higher than the screen, so the cost stays in proportion to the answer. A block
that has outgrown the screen, or that something else was written into, stays as it was typed. It must never
write a sequence other than weights and colours, "up n lines" and "clear from here on".
"""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, TextIO

from missy.cli.output.blocks import Block, Blocks
from missy.cli.output.plain import Plain
from missy.cli.output.sanitize import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.cli.output.markdown import Painter


class Terminal(Plain):
    """Renders to the terminal `out`; what the model thinks goes dim to `err`, if that is a terminal too."""

    def __init__(self, out: TextIO, err: TextIO, *, stream: bool = True, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._size = _size(out)
        self._painter: Painter | None = None
        super().__init__(out, err, stream=stream, show=safe)

    def start(self) -> None:
        """Begin an answer, on a screen of the size that it has now."""
        super().start()
        self._blocks = Blocks(group=max(4, self._size[1] // 2))
        self._live = _Live(*self._size)
        self._stays = False  # what is typed of the block under way cannot be taken back
        self._parted = True  # there is a blank line before the block under way, or no need for one
        self._thinking = False

    def prepare(self) -> None:
        """Import what renders."""
        if self._painter is None:
            from missy.cli.output.markdown import Painter

            self._painter = Painter(self._size[0], self._environ)

    def write(self, text: str) -> None:
        """Type a piece, and draw the blocks that it finishes."""
        self._stop_thinking()
        self._draw(self._blocks.feed(self._show(text)))
        if self._stream:
            self._type(self._blocks.fresh(), glued=self._blocks.glued)
        self._out.flush()

    def end(self) -> None:
        """Draw what is left; the cursor is then at the beginning of a line."""
        self._stop_thinking()
        self._draw(self._blocks.close())
        self._out.flush()

    def think(self, text: str) -> None:
        """Show what the model thinks, dim, if there is a terminal for it."""
        if self._err.isatty():
            self._step_aside()
            self._thinking = True
            self._err.write(f"\x1b[2m{safe(text)}\x1b[0m")
            self._err.flush()

    def note(self, text: str) -> None:
        """Say on stderr what is not the answer, on a line of its own."""
        self._stop_thinking()
        self._step_aside()
        super().note(text)

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            self._err.write("\n\n")
            self._err.flush()

    def _step_aside(self) -> None:
        """Leave what is typed as it stands: something else is going to be written below it."""
        if self._live.begun:
            self._stays = True
            self._live.lose_line()
            self._out.write(self._live.end_line())
            self._out.flush()

    def _draw(self, done: list[Block]) -> None:
        """Show finished blocks: drawn over what was typed of them, or typed to the end where that stays."""
        if not done:
            return
        self._follow_size()
        begun = [*(block.seen for block in done[1:]), self._blocks.seen]
        for block, next_seen in zip(done, begun, strict=True):
            if self._stays:
                self._leave(block, next_seen)
            else:
                self._out.write(self._live.take_back())
                self._paint(block)
            if not self._stays:
                self._live = _Live(*self._size)
        if not self._stays:
            self._blocks.rewind()

    def _leave(self, block: Block, next_seen: int) -> None:
        """Type the rest of a block that stays; the line after it, typed in doubt, is taken back."""
        self._type(block.raw[block.seen :].rstrip(), glued=block.glued)
        self._parted = False
        self._stays = bool(next_seen) and not self._live.owns_line()
        if not self._stays:
            self._out.write(self._live.take_back_line() if next_seen else self._live.end_line())

    def _paint(self, block: Block) -> None:
        self.prepare()
        assert self._painter is not None
        if block.body:
            self._part(glued=block.glued)
            self._out.write(self._painter.paint(block))
            self._parted = False

    def _type(self, text: str, *, glued: bool) -> None:
        """Show more of the block under way as it came."""
        if text:
            if not self._live.begun:
                self._part(glued=glued)
            self._out.write(self._live.put(text))
            self._stays = self._stays or self._live.is_full()

    def _part(self, *, glued: bool) -> None:
        """Write the blank line before a block, once."""
        if not self._parted and not glued:
            self._out.write("\n")
        self._parted = True

    def _follow_size(self) -> None:
        """After a change of the window's size nobody knows where typed text is: it stays."""
        size = _size(self._out)
        if size != self._size:
            self._stays = self._stays or self._live.begun
            self._live.lose_line()
            self._size = size
            self._painter = None


class _Live:
    """Text typed since the cursor was last at the beginning of a line, and how far down it goes.

    It breaks lines itself, one column before the edge, so that the terminal never does. A width in doubt is
    taken as the larger one.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._edge = max(2, columns - 1)
        self._rows = rows
        self._row = 0
        self._column = 0
        self._line_row = 0  # where the line of the source begins that we are in
        self.begun = False

    def put(self, text: str) -> str:
        """Return `text` with the line breaks that it needs."""
        self.begun = True
        parts: list[str] = []
        for index, line in enumerate(text.replace("\t", "    ").split("\n")):
            if index:
                parts.append(self._break())
                self._line_row = self._row
            width = len(line) if line.isascii() else sum(map(_width, line))
            if self._column + width <= self._edge:
                self._column += width
                parts.append(line)
            else:
                parts.extend(map(self._place, line))
        return "".join(parts)

    def _place(self, char: str) -> str:
        width = _width(char)
        before = self._break() if self._column + width > self._edge else ""
        self._column += width
        return before + char

    def _break(self) -> str:
        self._row += 1
        self._column = 0
        return "\n"

    def end_line(self) -> str:
        """Return what brings the cursor to the beginning of a line."""
        return self._break() if self._column else ""

    def lose_line(self) -> None:
        """Note that what is typed of the source line is out of reach: something else moved it."""
        if self._column:
            self._line_row = -self._rows

    def is_full(self) -> bool:
        """Whether the first row is about to leave the screen."""
        return self._row >= self._rows - 2

    def owns_line(self) -> bool:
        """Whether all of the source's line that we are in is within reach."""
        return self._row - self._line_row < self._rows - 2

    def take_back(self) -> str:
        """Return what clears all that was typed."""
        return _clear(self._row) if self.begun else ""

    def take_back_line(self) -> str:
        """Return what clears the source's line that we are in."""
        return _clear(self._row - self._line_row)


def _clear(rows: int) -> str:
    """Return the sequences that go up `rows` lines and clear from there on."""
    return "\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J"


def _width(char: str) -> int:
    if char.isascii():
        return 1
    if char == "\ufe0f":
        return 1  # it makes the character before it as wide as an emoji
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if ord(char) >= 0x1F000 or unicodedata.east_asian_width(char) in "WF" else 1


def _size(out: TextIO) -> tuple[int, int]:
    """Return columns and rows of the terminal behind `out`; 80 x 24 where it does not say."""
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        return 80, 24
    return columns or 80, rows or 24
