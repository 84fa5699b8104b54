"""Verifying a record: its lines, its head file, and a checkpoint. Pure, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.audit.chain import GENESIS, START, VERSION, Link, check_link, is_truncated, link_of, parse_line
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FINDINGS = 1000  # that are named; the rest are counted


class Report(NamedTuple):
    """The result of `verify`: the number of complete `lines`, the hash of the last, and the problems by line number.

    Line number 0 stands for the record as a whole. `interrupted` are lines that a killed writer or a full disk cut
    short; they are no sign of tampering. `unnamed` counts what was found beyond the first thousand of a kind.
    `has_head`: there was a head file to compare the end with. `seq` is the number of the last line.
    """

    ok: bool
    lines: int
    head: str
    problems: tuple[tuple[int, str], ...]
    interrupted: tuple[int, ...]
    has_head: bool = False
    seq: int = 0
    unnamed: int = 0


class _Findings:
    def __init__(self) -> None:
        self.problems: list[tuple[int, str]] = []
        self.interrupted: list[int] = []
        self.unnamed = 0

    def problem(self, number: int, what: str) -> None:
        if len(self.problems) < MAX_FINDINGS or number == 0:
            self.problems.append((number, what))
        else:
            self.unnamed += 1

    def interruption(self, number: int) -> None:
        if len(self.interrupted) < MAX_FINDINGS:
            self.interrupted.append(number)
        else:
            self.unnamed += 1


def verify_lines(
    lines: Iterable[bytes], head: Link | None = None, sealed: Link | None = None, begin: Link = START
) -> Report:
    """Check every line (given without its line end), the chain between them, and that the given links are in it.

    `head` is the link in the head file, None without one; `sealed` the link in a checkpoint;
    `begin` is the link before the first line that is kept.
    """
    found, last, count, needs_head = _Findings(), begin, 0, False
    wanted = {link.seq: begin.hash if link.seq == begin.seq else "" for link in (head, sealed) if link}
    for number, line in enumerate(lines, 1):
        record = parse_line(line)
        if record is None:
            if is_truncated(line):
                found.interruption(number)
            else:
                found.problem(number, "this is not a line of the audit, or it was changed")
            continue
        if what := check_link(line, record, last.seq + 1, last.hash):
            found.problem(number, what)
        if record.get("head_lost") is True:
            found.problem(number, "the head file was missing when this line was written: lines may be too")
        last, count = link_of(record), count + 1
        if last.seq in wanted:
            wanted[last.seq] = last.hash
        needs_head = needs_head or (type(record.get("v")) is int and record["v"] >= VERSION)
    if head:
        if what := _compare(head, last, wanted, "the head file"):
            found.problem(0, what)
    elif needs_head:
        found.problem(0, "the head file is missing: lines may have been cut off at the end")
    if sealed and 0 < sealed.seq < begin.seq:
        found.problem(
            0, f"the checkpoint names line {sealed.seq}, and the record is kept from line {begin.seq + 1} on"
        )
    elif sealed and (what := _compare(sealed, last, wanted, "the checkpoint")):
        found.problem(0, what)
    return Report(
        not found.problems,
        count,
        last.hash if count else "",
        tuple(found.problems),
        tuple(found.interrupted),
        head is not None,
        last.seq,
        found.unnamed,
    )


def _compare(noted: Link, last: Link, wanted: dict[int, str], where: str) -> str:
    """Return how a recorded link differs from the lines in the file, or ''."""
    if noted.seq > last.seq:
        missing = noted.seq - last.seq
        what = "the record is empty" if last.seq == 0 else f"it ends with line {last.seq}"
        return f"{counted(missing, 'line')} cut off at the end: {what}, {where} says {noted.seq}"
    held = wanted[noted.seq] if noted.seq else GENESIS
    if held == noted.hash:
        return ""
    return f"line {noted.seq} is not the one that {where} names: the record was rewritten"


EMPTY_REPORT = verify_lines(())  # for a record that does not exist
