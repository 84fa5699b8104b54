"""One line of the record and its link to the line before. Pure: no file is read here."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS = "0" * 64  # `prev` of the first line
MAX_LINE_BYTES = 1 << 17
HASH_MEMBER_BYTES = 75
_START, _HASH_MEMBER = b'{"time":"', re.compile(rb',"hash":"[0-9a-f]{64}"}\Z')


class Report(NamedTuple):
    """What `verify` found: `lines` whole ones, the hash of the last, and what is wrong, by line number.

    `interrupted` are lines that a killed writer or a full disk cut short; they are no sign of tampering.
    """

    ok: bool
    lines: int
    head: str
    problems: tuple[tuple[int, str], ...]
    interrupted: tuple[int, ...]


def verify_lines(lines: Iterable[bytes]) -> Report:
    """Check every line, given without its end, and the chain between them."""
    count, expected, head = 0, 1, GENESIS
    problems: list[tuple[int, str]] = []
    interrupted: list[int] = []
    for number, line in enumerate(lines, 1):
        record = parse_line(line)
        if record is None and is_truncated(line):
            interrupted.append(number)
        elif record is None:
            problems.append((number, "this is no line of the audit, or it was changed"))
        else:
            if what := check_link(line, record, expected, head):
                problems.append((number, what))
            count, expected, head = count + 1, record["seq"] + 1, record["hash"]
    return Report(not problems, count, head if count else "", tuple(problems), tuple(interrupted))


def seal_line(record: dict[str, Any], seq: int, prev: str) -> tuple[bytes, str]:
    """Return the line for a record, and its hash."""
    record["seq"], record["prev"] = seq, prev
    body = json.dumps(record, separators=(",", ":")).encode("ascii")
    if len(body) > MAX_LINE_BYTES - 128:
        raise MissyError(
            f"a line of {len(body)} bytes is too long for the audit", hint="report this; it is a bug"
        )
    seal = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{seal}"}}\n'.encode("ascii"), seal


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line that has its end, or None for a torn or foreign one."""
    if not line.startswith(_START) or not _HASH_MEMBER.search(line):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record.get("seq"), int) or not isinstance(record.get("prev"), str):
        return None
    assert isinstance(record, dict)
    return record


def is_truncated(line: bytes) -> bool:
    """Tell a line that its writer could not finish: the front of one, or zeros after a crash."""
    if not line.startswith(_START):
        return bool(line) and _START.startswith(line.strip(b"\0"))
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False  # the front of an object is no object: somebody took the end off and closed it


def check_link(line: bytes, record: dict[str, Any], expected: int, head: str) -> str:
    """Return what is wrong with a whole line that should be number `expected` and follow on `head`, or ''."""
    body = line[:-HASH_MEMBER_BYTES] + b"}"
    if hashlib.sha256(body).hexdigest() != record["hash"]:
        return "this line was changed"
    if record["prev"] == head and record["seq"] == expected:
        return ""
    missing = record["seq"] - expected
    if missing > 0:
        return f"{missing} line{'s' * (missing > 1)} before it removed, or this one moved"
    if missing < 0:
        return "this line was moved or added, or one before it was"
    return "it does not follow on the line before: that one was changed or added"
