"""Reading the record, forwards and backwards, while others may go on writing."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

from missy import files
from missy.audit.chain import GENESIS, MAX_LINE_BYTES, Report, parse_line, verify_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LOCK_SECONDS = 10.0  # to wait for other writers, who need microseconds each


def verify(path: str | os.PathLike[str]) -> Report:
    """Check every line of the file and the chain between them, while others may go on writing.

    Raises MissingFile when there is no audit yet, MissyError when it can't be read. The head of this file
    says what no chain can show.
    """
    return verify_lines(raw_lines(path))


def whole_lines(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each whole line, as it is in the file and as a record, oldest first. Raises as `verify` does."""
    for line in raw_lines(path):
        if (record := parse_line(line)) is not None:
            yield line, record


def newest(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the record of each whole line, newest first, reading no more than is asked for."""
    file = files.open_private(path, os.O_RDONLY)
    try:
        for line in backwards(file, os.fstat(file).st_size, MAX_LINE_BYTES):
            if (record := parse_line(line)) is not None:
                yield record
    finally:
        os.close(file)


def last_link(file: int, size: int) -> tuple[int, str]:
    """Return seq and hash of the last whole line."""
    for line in backwards(file, size, 4096):
        if (record := parse_line(line)) is not None:
            return record["seq"], record["hash"]
    return 0, GENESIS


def backwards(file: int, size: int, block: int) -> Iterator[bytes]:
    """Yield the lines of an open file from the last to the first, without their ends."""
    rest, end = b"", size
    while end > 0:
        start = max(0, end - block)
        found = (os.pread(file, end - start, start) + rest).split(b"\n")
        rest = found.pop(0)
        yield from reversed(found)
        if len(rest) > MAX_LINE_BYTES:
            rest = b""  # no line of ours; what is left of it in front has no end and counts as torn
        end = start
    yield rest


def raw_lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the lines that are there now, none half written by a writer at work; a huge one in pieces."""
    file = files.open_private(path, os.O_RDONLY)
    with os.fdopen(file, "rb") as stream:
        files.wait_for_lock(file, path, MAX_LOCK_SECONDS)
        left = os.fstat(file).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
        while left > 0 and (line := stream.readline(min(left, MAX_LINE_BYTES))):
            left -= len(line)
            yield line.removesuffix(b"\n")
