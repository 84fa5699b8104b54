"""The journal of a job: one line for each answer or failure, append only. What is in it is never asked again.

A line is written at once and synced with others. In memory a row takes eight bytes: where its line begins, and whether
it failed. A line that a kill or a full disk cut short is removed when the journal is opened next.
"""

from __future__ import annotations

import os
import re
from array import array
from typing import TYPE_CHECKING, NamedTuple

from missy import files
from missy.errors import MissyError
from missy.os_errors import faults

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = re.compile(
    rb'\{"row":(\d{1,12}),"hash":"([0-9a-f]{16})","state":"(done|fail)","kind":"([a-z_]{0,20})",'
    rb'"cost":(\d{1,18}|null),"tokens":(\d{1,15}),"out":'
)
FORGOTTEN = "forgotten"  # the kind of a line that says that a row asks something else now
_BLOCK = 1 << 20  # bytes that are read at a time
_END = b"}}\n"


class Line(NamedTuple):
    """The head of one line. `cost` is in 1e-9 US dollars; `out` is the row as OUT has it, as JSON."""

    row: int
    hash: str
    failed: bool
    kind: str
    cost: int | None
    tokens: int
    out: bytes


def parse_line(line: bytes) -> Line | None:
    """Parse a whole line; None for anything else."""
    found = _HEAD.match(line)
    if found is None or not line.endswith(_END):
        return None
    row, hash_, state, kind, cost, tokens = found.groups()
    return Line(
        int(row),
        hash_.decode(),
        state == b"fail",
        kind.decode(),
        None if cost == b"null" else int(cost),
        int(tokens),
        line[found.end() : -2],
    )


class Totals:
    """What the lines of a journal add up to. `paid` counts every line, also those of failures that were asked again."""

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: dict[str, int] = {}
        self.paid: int = 0
        self.unpriced: int = 0
        self.tokens: int = 0

    def pay(self, line: Line) -> None:
        """Count what a line cost."""
        self.tokens += line.tokens
        if line.cost is None:
            self.unpriced += 1
        else:
            self.paid += line.cost

    def count(self, line: Line, before: Line | None) -> None:
        """Count a row by its line, which takes the place of another one."""
        if before is not None and before.failed:
            self.failed[before.kind] -= 1
        elif before is not None:
            self.done -= 1
        if line.kind == FORGOTTEN:
            return
        if line.failed:
            self.failed[line.kind] = self.failed.get(line.kind, 0) + 1
        else:
            self.done += 1


class Journal:
    """An open journal. Only the process that holds the job's lock appends."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        self._file = files.open_private(path, flags)
        self._index = array("Q")  # (offset + 1) * 2, plus 1 for a failure
        self._block, self._block_at = b"", 0
        self.totals: Totals = Totals()
        self.damaged: int = 0  # lines in the middle that are none
        try:
            with faults("read", path):
                self._size = self._replay()
                if write and self._size < os.fstat(self._file).st_size:
                    os.ftruncate(self._file, self._size)
        except BaseException:
            os.close(self._file)
            raise

    def _replay(self) -> int:
        """Read all lines; return where the last whole one ends."""
        at = 0
        with open(os.dup(self._file), "rb", buffering=_BLOCK) as stream:
            stream.seek(0)
            for raw in stream:
                if not raw.endswith(b"\n"):
                    break  # cut short
                if not self._note_first(raw, at):
                    line = parse_line(raw)
                    if line is None:
                        self.damaged += 1
                    else:
                        self._note(line, at)
                at += len(raw)
        return at

    def _note_first(self, raw: bytes, at: int) -> bool:
        """Count a line if it is the first one of its row, and a success, as nearly all are: the quick way."""
        found = _HEAD.match(raw)
        if found is None or not raw.endswith(_END):
            return False
        row, _, state, _, cost, tokens = found.groups()
        number, index, totals = int(row), self._index, self.totals
        if state != b"done" or (number < len(index) and index[number]):
            return False
        if number >= len(index):
            index.frombytes(bytes(8 * (number + 1 - len(index))))
        index[number] = (at + 1) * 2
        totals.done += 1
        totals.tokens += int(tokens)
        if cost == b"null":
            totals.unpriced += 1
        else:
            totals.paid += int(cost)
        return True

    def _note(self, line: Line, at: int) -> None:
        self.totals.pay(line)
        before = self.at(line.row) if self._entry(line.row) else None
        if before is not None and line.failed and not before.failed and line.hash == before.hash:
            return  # a success is never replaced by a failure
        self.totals.count(line, before)
        if line.kind == FORGOTTEN:
            self._index[line.row] = 0
            while self._index and not self._index[-1]:
                self._index.pop()
            return
        if line.row >= len(self._index):
            self._index.frombytes(bytes(8 * (line.row + 1 - len(self._index))))
        self._index[line.row] = (at + 1) * 2 + line.failed

    def _entry(self, row: int) -> int:
        return self._index[row] if row < len(self._index) else 0

    def state(self, row: int) -> str:
        """Return `done`, `fail`, or "" for a row without a line."""
        held = self._entry(row)
        return "" if not held else "fail" if held & 1 else "done"

    @property
    def rows(self) -> int:
        """One more than the number of the last row that has a line."""
        return len(self._index)

    def forget(self, row: int) -> None:
        """Treat a row as if it had no line, because it asks something else now."""
        if self.state(row):
            self.append(row, "0" * 16, FORGOTTEN, 0, 0, b"{}")

    def at(self, row: int) -> Line | None:
        """Return the line of a row."""
        held = self._entry(row)
        return parse_line(self._read((held >> 1) - 1)) if held else None

    def out(self, row: int) -> bytes | None:
        """Return a row as OUT has it, as JSON; None for one without a line."""
        held = self._entry(row)
        if not held:
            return None
        line = self._read((held >> 1) - 1)
        found = _HEAD.match(line)
        return line[found.end() : -2] if found else None

    def count(self, rows: range) -> tuple[int, int]:
        """Return how many of these rows have a line, and how many of them failed."""
        there = failed = 0
        for row in range(rows.start, min(rows.stop, len(self._index)), rows.step):
            entry = self._index[row]
            there += entry > 0
            failed += entry & 1
        return there, failed

    def _read(self, offset: int) -> bytes:
        """Return the line that begins at an offset. Lines are mostly read in order, so a block is kept."""
        end = (
            self._block.find(b"\n", start)
            if 0 <= (start := offset - self._block_at) < len(self._block)
            else -1
        )
        if end < 0:
            with faults("read", self._path):
                self._block, self._block_at, start = os.pread(self._file, _BLOCK, offset), offset, 0
                while (end := self._block.find(b"\n")) < 0:
                    more = os.pread(self._file, _BLOCK, offset + len(self._block))
                    if not more:
                        return b""
                    self._block += more
        return self._block[start : end + 1]

    def append(self, row: int, hash_: str, kind: str, cost: int | None, tokens: int, out: bytes) -> None:
        """Write the line of a row; `kind` is "" for a whole answer. Raises MissyError: then nothing of it stays."""
        state = "fail" if kind else "done"
        told = "null" if cost is None else str(cost)
        line = (
            f'{{"row":{row},"hash":"{hash_}","state":"{state}","kind":"{kind}","cost":{told},"tokens":{tokens},"out":'
        ).encode() + out + b"}\n"  # fmt: skip
        written = 0
        try:
            with faults("write", self._path):
                written = os.pwrite(self._file, line, self._size)
        finally:
            if written < len(line):
                os.ftruncate(self._file, self._size)
        if written < len(line):
            raise MissyError(
                f"{self._path}: the disk took only part of a line",
                hint="free some space, then resume the job",
            )
        self._note(Line(row, hash_, bool(kind), kind, cost, tokens, b""), self._size)
        self._size += written

    def sync(self) -> None:
        """Force what was written to the disk. Raises MissyError."""
        with faults("sync", self._path):
            os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
