"""Cuts Markdown into blocks while it arrives: a paragraph, a list item, a table, some lines of code.

Pure, and linear in the length of the text: a piece costs its own length, whatever came before it. It
decides only where a block ends; what a block looks like is decided elsewhere. It must never lose or reorder
a character other than the blank lines between blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "item", "code"]

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^\n]*)\n?\Z")
_ITEM = re.compile(r"( {0,3})([-*+]|(\d{1,9})[.)])( +|\t|$)", re.MULTILINE)
_HEADING = re.compile(r" {0,3}#{1,6}(?=\s|\Z)")
_QUOTE = re.compile(r" {0,3}>")


@dataclass(frozen=True, slots=True)
class Block:
    """A finished block. `raw` is as it came and `seen` how many characters of it were taken by
    `Blocks.fresh`.

    `body` is what to render: code without its fences, an item with its number in the list; `glued` says
    that no blank line belongs before it.
    """

    kind: Kind
    raw: str
    body: str
    language: str
    glued: bool
    seen: int


class Blocks:
    """The state between two pieces. Code is given out every `group` lines, so that no block of it grows for
    ever.
    """

    def __init__(self, group: int = 20) -> None:
        self._group = group
        self._partial: list[str] = []  # the line that has no end yet
        self._partial_length = 0
        self._line_seen = 0  # how much of that line was taken by fresh()
        self._fence = ""  # what ends the code that we are in
        self._language = ""
        self._marker = ""  # of the list that we are in
        self._number: int | None = None
        self.kind: Kind = "text"
        self.glued = False  # whether the block under way is to follow the one before without a blank line
        self.seen = 0  # how much of the block under way was taken by fresh()
        self._lines: list[str] = []
        self._code: list[str] = []
        self._tail: list[str] = []  # what fresh() has not given out yet
        self._offset = 0  # where the text of an item begins

    def feed(self, piece: str) -> list[Block]:
        """Take the next piece and return the blocks that it finishes."""
        done: list[Block] = []
        *ends, rest = piece.split("\n")
        for end in ends:
            self._add(end + "\n")
            self._end_line(done)
        if rest:
            self._add(rest)
        return done

    def close(self) -> list[Block]:
        """Return what is left, as if the text ended here."""
        done: list[Block] = []
        if self._partial:
            self._end_line(done)
        self._fence = ""
        self._finish(done)
        return done

    def fresh(self) -> str:
        """Return what the unfinished block has gained since the last call."""
        if not self._lines and not "".join(self._partial[:8]).strip():
            return ""  # nothing but blanks: perhaps no block at all
        text = "".join(self._tail)
        self._tail.clear()
        self.seen += len(text)
        self._line_seen = self._partial_length
        return text

    def rewind(self) -> None:
        """Forget what was taken of the unfinished block: `fresh` will return all of it again."""
        self._tail = [*self._lines, *self._partial]
        self.seen = self._line_seen = 0

    def _add(self, text: str) -> None:
        self._partial.append(text)
        self._partial_length += len(text)
        self._tail.append(text)

    def _end_line(self, done: list[Block]) -> None:
        """Put the line that is now whole where it belongs, and finish the blocks that it ends."""
        line = "".join(self._partial)
        self._partial.clear()
        if self._fence:
            self._place_code(line, done)
        elif self._lines and self._continues(line):
            self._lines.append(line)
        elif line.strip():
            self._open(line, done)
        else:
            self._finish(done)
        self._partial_length = self._line_seen = 0

    def _place_code(self, line: str, done: list[Block]) -> None:
        self._lines.append(line)
        if _closes(self._fence, line):
            self._fence = ""
            self._finish(done)
            return
        self._code.append(line)
        if len(self._lines) >= self._group:
            self._finish(done)

    def _open(self, line: str, done: list[Block]) -> None:
        """Start a block with `line`; one that cannot have a second line is finished at once."""
        item, carried = _item(line), self._line_seen
        same = bool(item and self.kind == "item" and self._lines and item[2][-1] == self._marker)
        glued = same and bool(self._lines[-1].strip())
        self.seen -= carried
        self._finish(done)
        self._begin("item" if item else "text", glued=glued)
        self._lines, self._tail, self.seen = [line], [line[carried:]], carried
        if item:
            self._enter(item, same=same)
        elif (fence := _fence(line)) and len(fence[1]) < 4:
            self.kind, self._fence = "code", fence[2]
            self._language = (fence[3].split() or [""])[0]
        elif _HEADING.match(line) or _rules(line):
            self._finish(done)

    def _enter(self, item: re.Match[str], *, same: bool) -> None:
        """Note where the text of the item begins, and its number: a list counts, whatever its source says."""
        self._marker = item[2][-1]
        self._offset = len(item[1]) + len(item[2]) + (len(item[4]) if 0 < len(item[4]) <= 4 else 1)
        before = self._number if same else None
        self._number = None if item[3] is None else int(item[3]) if before is None else before + 1

    def _continues(self, line: str) -> bool:
        """Whether `line` belongs to the block before it. A line in doubt begins a new one."""
        if self.kind == "item":
            return self._continues_item(line)
        item, fence = _item(line), _fence(line)
        if not line.strip() or _HEADING.match(line) or (fence and len(fence[1]) < 4):
            return False
        if _rules(line):
            return not line.strip().strip("-")  # dashes under text make it a heading
        if item and item[3] in (None, "1"):
            return False
        return not _QUOTE.match(line) or bool(_QUOTE.match(self._lines[-1]))

    def _continues_item(self, line: str) -> bool:
        wide = line.expandtabs(4)
        if not line.strip() or len(wide) - len(wide.lstrip(" ")) >= self._offset:
            return True
        starts = _item(line) or _fence(line) or _HEADING.match(line) or _rules(line) or _QUOTE.match(line)
        return bool(self._lines[-1].strip()) and not starts

    def _finish(self, done: list[Block]) -> None:
        """Give out the block so far, if there is one, and begin an empty one: more of the code, or a text."""
        if self._lines:
            raw = "".join(self._lines)
            done.append(Block(self.kind, raw, self._body(raw), self._language, self.glued, self.seen))
        self._begin("code" if self._fence else "text", glued=bool(self._fence))

    def _begin(self, kind: Kind, *, glued: bool) -> None:
        self.kind, self.glued, self.seen = kind, glued, 0
        self._lines, self._code, self._tail = [], [], []

    def _body(self, raw: str) -> str:
        if self.kind == "code":
            return "".join(self._code)
        if self.kind == "item" and self._number is not None:
            return re.sub(r"\d+", str(self._number), raw, count=1)
        return raw


def _fence(line: str) -> re.Match[str] | None:
    found = _FENCE.match(line)
    return None if found and found[2][0] == "`" and "`" in found[3] else found


def _closes(fence: str, line: str) -> bool:
    text = line.strip()
    return text.startswith(fence) and text.strip(fence[0]) == ""


def _item(line: str) -> re.Match[str] | None:
    return None if _rules(line) else _ITEM.match(line)


def _rules(line: str) -> bool:
    """Whether `line` is a thematic break."""
    text = "".join(line.split())
    return len(text) >= 3 and text[0] in "-*_" and text.strip(text[0]) == "" and not line.startswith("    ")
