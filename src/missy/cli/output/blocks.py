"""Splits Markdown into blocks while it arrives: a paragraph, a list item, a table, some lines of code.

Does no I/O. The cost is linear in the length of the text: a new piece costs its own length, whatever came before
it. This module decides only where a block ends; `markdown` decides what it looks like. It must never lose or
reorder a character other than the blank lines between blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["text", "item", "code"]
Piece = tuple[str, bool]  # text of one source line, and whether it is code inside a list item

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^\n]*)\n?\Z")
_ITEM = re.compile(r"( {0,3})([-*+]|(\d{1,9})[.)])( +|\t|$)", re.MULTILINE)
_HEADING = re.compile(r" {0,3}#{1,6}(?=\s|\Z)")
_QUOTE = re.compile(r" {0,3}>")


@dataclass(frozen=True, slots=True)
class Block:
    """A finished block. `raw` is its text as it arrived; `seen` is how many characters of it were returned by
    `BlockSplitter.take_new_text`.

    `body` is the text to render: code without its fences, a list item with its number in the list. `tight` means
    that no blank line belongs before the block.
    """

    kind: Kind
    raw: str
    body: str
    language: str
    tight: bool
    seen: int


class BlockSplitter:
    """The state between two pieces. A code block is split every `max_code_lines` lines, so that no block grows
    without limit.
    """

    def __init__(self, max_code_lines: int = 20) -> None:
        self._max_code_lines = max_code_lines
        self._partial: list[str] = []  # the line that is not complete yet
        self._partial_length = 0
        self._seen_of_line = 0  # how much of that line was returned by take_new_text()
        self._closing_fence = ""  # the fence that ends the current code block; "" outside of code
        self._language = ""
        self._marker = ""  # of the current list
        self._number: int | None = None
        self.kind: Kind = "text"
        self.tight = False  # whether no blank line belongs before the unfinished block
        self.seen = 0  # how much of the unfinished block was returned by take_new_text()
        self._lines: list[str] = []
        self._code: list[str] = []
        self._new_text: list[Piece] = []  # what take_new_text() has not returned yet
        self._item_fence = ""  # the fence of the code inside the current list item; "" outside of code
        self._item_indent = 0  # the column at which the text of a list item begins

    def feed(self, piece: str) -> list[Block]:
        """Add the next piece and return the blocks that it completes."""
        done: list[Block] = []
        *ends, rest = piece.split("\n")
        for end in ends:
            self._append(end + "\n")
            self._end_line(done)
        if rest:
            self._append(rest)
        return done

    def close(self) -> list[Block]:
        """End the text and return the remaining blocks."""
        done: list[Block] = []
        if self._partial:
            self._end_line(done)
        self._closing_fence = ""
        self._finish_block(done)
        return done

    def take_new_text(self) -> list[Piece]:
        """Return what was added to the unfinished block since the last call."""
        if not self._lines and not "".join(self._partial[:8]).strip():
            return []  # only spaces so far: perhaps there will be no block
        pieces, self._new_text = self._new_text, []
        self.seen += sum(len(text) for text, _ in pieces)
        self._seen_of_line = self._partial_length
        return pieces

    def rewind(self) -> None:
        """Start the unfinished block again: `take_new_text` will return all of it again."""
        self._new_text = mark_code(self.kind, self._lines)
        self._new_text += [(text, bool(self._item_fence)) for text in self._partial]
        self.seen = self._seen_of_line = 0

    def _append(self, text: str) -> None:
        self._partial.append(text)
        self._partial_length += len(text)
        self._new_text.append((text, bool(self._item_fence)))

    def _end_line(self, done: list[Block]) -> None:
        """Add the line, which is now complete, to its block, and finish the blocks that it ends."""
        line = "".join(self._partial)
        self._partial.clear()
        if self._closing_fence:
            self._place_code(line, done)
        elif self._lines and self._continues(line):
            self._lines.append(line)
            if self.kind == "item":
                self._item_fence = _next_fence(self._item_fence, line)
        elif line.strip():
            self._start_block(line, done)
        else:
            self._finish_block(done)
        self._partial_length = self._seen_of_line = 0

    def _place_code(self, line: str, done: list[Block]) -> None:
        self._lines.append(line)
        if _is_closing_fence(self._closing_fence, line):
            self._closing_fence = ""
            self._finish_block(done)
            return
        self._code.append(line)
        if len(self._lines) >= self._max_code_lines:
            self._finish_block(done)

    def _start_block(self, line: str, done: list[Block]) -> None:
        """Start a block with `line`. A block of one line only (a heading, a rule) is finished at once."""
        item, carried = _match_item(line), self._seen_of_line
        same = bool(item and self.kind == "item" and self._lines and item[2][-1] == self._marker)
        tight = same and bool(self._lines[-1].strip())
        self.seen -= carried
        self._finish_block(done)
        self._reset_block("item" if item else "text", tight=tight)
        self._lines, self._new_text, self.seen = [line], [(line[carried:], False)], carried
        if item:
            self._start_list_item(item, same=same)
            self._item_fence = _next_fence("", line)
        elif (fence := _match_fence(line)) and len(fence[1]) < 4:
            self.kind, self._closing_fence = "code", fence[2]
            self._language = (fence[3].split() or [""])[0]
        elif _HEADING.match(line) or _is_thematic_break(line):
            self._finish_block(done)

    def _start_list_item(self, item: re.Match[str], *, same: bool) -> None:
        """Record where the text of the item begins, and its number: a list is numbered from its first item on."""
        self._marker = item[2][-1]
        self._item_indent = len(item[1]) + len(item[2]) + (len(item[4]) if 0 < len(item[4]) <= 4 else 1)
        before = self._number if same else None
        self._number = None if item[3] is None else int(item[3]) if before is None else before + 1

    def _continues(self, line: str) -> bool:
        """Whether `line` continues the current block. If it is not certain, it does not."""
        if self.kind == "item":
            return self._continues_item(line)
        item, fence = _match_item(line), _match_fence(line)
        if not line.strip() or _HEADING.match(line) or (fence and len(fence[1]) < 4):
            return False
        if _is_thematic_break(line):
            return not line.strip().strip("-")  # dashes under text make it a heading
        if item and item[3] in (None, "1"):
            return False
        return not _QUOTE.match(line) or bool(_QUOTE.match(self._lines[-1]))

    def _continues_item(self, line: str) -> bool:
        wide = line.expandtabs(4)
        if not line.strip() or len(wide) - len(wide.lstrip(" ")) >= self._item_indent:
            return True
        starts = (
            _match_item(line)
            or _match_fence(line)
            or _HEADING.match(line)
            or _is_thematic_break(line)
            or _QUOTE.match(line)
        )
        return bool(self._lines[-1].strip()) and not starts

    def _finish_block(self, done: list[Block]) -> None:
        """Append the current block to `done`, if there is one, and start an empty one."""
        if self._lines:
            raw = "".join(self._lines)
            done.append(
                Block(self.kind, raw, self._text_to_render(raw), self._language, self.tight, self.seen)
            )
        self._reset_block("code" if self._closing_fence else "text", tight=bool(self._closing_fence))

    def _reset_block(self, kind: Kind, *, tight: bool) -> None:
        self.kind, self.tight, self.seen = kind, tight, 0
        self._lines, self._code, self._new_text, self._item_fence = [], [], [], ""

    def _text_to_render(self, raw: str) -> str:
        if self.kind == "code":
            return "".join(self._code)
        if self.kind == "item" and self._number is not None:
            return re.sub(r"\d+", str(self._number), raw, count=1)
        return raw


def mark_code(kind: Kind, lines: Iterable[str]) -> list[Piece]:
    """Return the lines of a block, each with whether it is code inside a list item."""
    fence, marked = "", []
    for line in lines:
        marked.append((line, bool(fence)))
        if kind == "item":
            fence = _next_fence(fence, line)
    return marked


def _next_fence(fence: str, line: str) -> str:
    """Return the fence of the code that is open after a line of a list item, "" for none. `fence` is that before it."""
    if fence:
        return "" if _is_closing_fence(fence, line) else fence
    text = line.lstrip()
    while item := _match_item(text):
        text = text[item.end() :]
    found = _match_fence(text)
    return found[2] if found else ""


def _match_fence(line: str) -> re.Match[str] | None:
    found = _FENCE.match(line)
    return None if found and found[2][0] == "`" and "`" in found[3] else found


def _is_closing_fence(fence: str, line: str) -> bool:
    text = line.strip()
    return text.startswith(fence) and text.strip(fence[0]) == ""


def _match_item(line: str) -> re.Match[str] | None:
    return None if _is_thematic_break(line) else _ITEM.match(line)


def _is_thematic_break(line: str) -> bool:
    """Whether `line` is a thematic break."""
    text = "".join(line.split())
    return len(text) >= 3 and text[0] in "-*_" and text.strip(text[0]) == "" and not line.startswith("    ")
