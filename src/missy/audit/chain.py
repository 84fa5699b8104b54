"""One line of the record and its link to the line before. Pure: no file is read here."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from missy.errors import MissyError
from missy.plural import counted

GENESIS = "0" * 64  # `prev` of the first line
VERSION = 2  # `v` of a line: from 2 on, its number and hash are kept in the head file too
MAX_LINE_BYTES = 1 << 17
MAX_SEQ = 1 << 53  # integers that every JSON parser keeps exactly
_HASH_MEMBER_BYTES = 75
_START, _HASH_MEMBER = b'{"time":"', re.compile(rb',"hash":"[0-9a-f]{64}"}\Z')
_MAX_CUT_TOKEN_CHARS = 6  # the longest token that a cut leaves in pieces without its opening quote: \u1234
_SCALARS = frozenset((str, int, float, bool, type(None)))


class Link(NamedTuple):
    """A position in the chain: the number of a line, and its hash."""

    seq: int
    hash: str


START = Link(0, GENESIS)


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) < float("inf") else _refuse_number(text)


_encode = json.JSONEncoder(separators=(",", ":")).encode
_DECODER = json.JSONDecoder(parse_constant=_refuse_number, parse_float=_finite)


def seal_line(record: dict[str, Any], seq: int, prev: str) -> tuple[bytes, str]:
    """Return the line for a record, and its hash."""
    record["seq"], record["prev"] = seq, prev
    body = _encode(record).encode("ascii")
    if len(body) > MAX_LINE_BYTES - 128:
        raise MissyError(
            f"a line of {len(body)} bytes is too long for the audit", hint="report this; it is a bug"
        )
    seal = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{seal}"}}\n'.encode("ascii"), seal


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a complete line, or None for a truncated or foreign one.

    A record is flat: strings, finite numbers, booleans and null, as the writer writes it.
    """
    if not line.startswith(_START) or len(line) > MAX_LINE_BYTES or not _HASH_MEMBER.search(line):
        return None
    try:
        record = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _SCALARS.issuperset(map(type, record.values())):
        return None
    seq = record.get("seq")
    if type(seq) is not int or not 0 < seq <= MAX_SEQ or not isinstance(record.get("prev"), str):
        return None
    return record


def link_of(record: dict[str, Any]) -> Link:
    """Return the position of a record in its chain."""
    return Link(record["seq"], record["hash"])


def is_truncated(line: bytes) -> bool:
    """Tell whether a line was left unfinished by its writer: the beginning of a line, or zero bytes after a crash."""
    if len(line) > MAX_LINE_BYTES:
        return False
    front = line.rstrip(b"\0")
    if not front.startswith(_START):
        return bool(line) and _START.startswith(front)
    try:
        _DECODER.decode(front.decode("ascii"))
    except json.JSONDecodeError as error:
        # Only the end is missing. An error before the end was not made by the writer
        return "Unterminated string" in error.msg or error.pos >= len(front) - _MAX_CUT_TOKEN_CHARS
    except (ValueError, RecursionError):
        return False
    return (
        False  # the beginning of an object is not valid JSON: somebody cut the end off and closed the object
    )


def check_link(line: bytes, record: dict[str, Any], expected: int, prev: str) -> str:
    """Return what is wrong with a complete line that should have number `expected` and follow `prev`, or ''."""
    body = line[:-_HASH_MEMBER_BYTES] + b"}"
    if hashlib.sha256(body).hexdigest() != record["hash"]:
        return "this line was changed"
    if record["prev"] == prev and record["seq"] == expected:
        return ""
    missing = record["seq"] - expected
    if missing > 0:
        return f"{counted(missing, 'line')} before it removed, or this one moved"
    if missing < 0:
        return "this line was moved or added, or one before it was"
    return "it does not follow the line before: that one was changed, removed or added"
