"""The files of the record: the one that is written, `audit.jsonl`, and the ended ones, `audit-000001.jsonl` and so on.

The chain goes on from one to the next. The first line of a file that follows another one has the event `segment`: it names
the ended file, and where the kept part of the record begins.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from typing import TYPE_CHECKING, Any

from missy import files
from missy.audit.chain import MAX_LINE_BYTES, START, Link, parse_line, seal_line
from missy.errors import MissyError

if TYPE_CHECKING:
    AnyPath = str | os.PathLike[str]

SEGMENT = "segment"  # the event of the first line
SEGMENT_BYTES = 64 << 20
_NUMBER = re.compile(r"-(\d{6,9})\Z")


def segment_path(path: AnyPath, number: int) -> str:
    """Return the path of an ended file, by its number from 1."""
    stem, end = os.path.splitext(os.fspath(path))
    return f"{stem}-{number:06d}{end}"


def ended(path: AnyPath) -> list[tuple[int, str]]:
    """Return the ended files that are there, oldest first: number and path."""
    folder, name = os.path.split(os.fspath(path))
    stem, end = os.path.splitext(name)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    ours = (one for one in names if one.startswith(stem) and one.endswith(end))
    numbered = ((_NUMBER.match(one[len(stem) : -len(end)]), one) for one in ours)
    return sorted((int(match[1]), os.path.join(folder, one)) for match, one in numbered if match)


def first_record(file: int) -> dict[str, Any] | None:
    """Return the first line of an open file as a record; None for an empty or foreign one."""
    return parse_line(os.pread(file, MAX_LINE_BYTES, 0).partition(b"\n")[0])


def kept_from(record: dict[str, Any] | None) -> tuple[int, Link]:
    """Return the number of the oldest file that belongs to the record, and the link before its first line."""
    if record is None or record.get("event") != SEGMENT:
        return 1, START
    number, seq, before = (record.get(name) for name in ("kept_segment", "kept_seq", "kept_prev"))
    if type(number) is not int or type(seq) is not int or not isinstance(before, str):
        return 1, START
    return number, Link(seq - 1, before)


def begin_segment(
    path: AnyPath, current: int, link: Link, record: dict[str, Any], keep: int | None
) -> tuple[int, Link] | None:
    """End the open file `current` and begin another one. Returns it, locked, and the link of its first line.

    The new file has its first line before it takes the place of the old one, which has two names for a moment. A disk that
    does not allow that gives None: it is no reason not to send.
    """
    new = -1
    try:
        number, fields = _fields(path, current, keep)
        line, seal = seal_line(record | fields, link.seq + 1, link.hash)
        fresh = os.fspath(path) + ".new"
        new = files.open_private(fresh, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC)
        fcntl.flock(new, fcntl.LOCK_EX)
        if os.write(new, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(new)
        os.link(path, segment_path(path, number))
        os.rename(fresh, path)
    except (OSError, MissyError):
        if new >= 0:
            os.close(new)
        return None
    return new, Link(link.seq + 1, seal)


def finish_rotation(path: AnyPath, inode: tuple[int, int]) -> bool:
    """Take the second name away that a writer left who was killed while it began another file. Returns whether it did."""
    for _, name in ended(path):
        info = os.lstat(name)
        if (info.st_dev, info.st_ino) == inode:
            os.unlink(name)
            return True
    return False


def drop_segments(path: AnyPath, current: int) -> None:
    """Delete the ended files that the first line of the open file no longer counts as kept. Raises OSError."""
    oldest = kept_from(first_record(current))[0]
    for number, name in ended(path):
        if number < oldest:
            os.unlink(name)


def _fields(path: AnyPath, current: int, keep: int | None) -> tuple[int, dict[str, Any]]:
    """Return the number of the file that ends, and the fields of the line that says so."""
    there = ended(path)
    number = there[-1][0] + 1 if there else 1
    oldest = 1 if keep is None else max(1, number - keep + 1)
    oldest = max(oldest, kept_from(first_record(current))[0])
    first = first_record(current) if oldest == number else _first_of(dict(there).get(oldest))
    seq, before = (first["seq"], first["prev"]) if first else (1, START.hash)
    name = os.path.basename(segment_path(path, number))
    kept = {"kept_segment": oldest, "kept_seq": seq, "kept_prev": before}
    return number, {"id": os.urandom(6).hex(), "segment": number, "file": name, **kept}


def _first_of(name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    file = files.open_private(name, os.O_RDONLY)
    try:
        return first_record(file)
    finally:
        os.close(file)
