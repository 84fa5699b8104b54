"""Reading the record, forwards and backwards, while other processes write. Takes no lock."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from missy import files
from missy.audit.chain import MAX_LINE_BYTES, is_truncated, parse_line
from missy.audit.head import load_head
from missy.audit.segments import ended, first_record, kept_from
from missy.errors import MissyError
from missy.os_errors import MissingFile, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from missy.audit.chain import Link
    from missy.audit.verifier import Report

    AnyPath = str | os.PathLike[str]

_SETTLE_PAUSE_SECONDS, _SETTLE_TRIES = 0.002, 50  # for a writer in the middle of its line
_OPEN_TRIES = 100  # of all files, while a writer begins another one
_TAIL_BLOCK_BYTES = 4096  # most often, the last line is in it


def verify(path: AnyPath, sealed: Link | None = None) -> Report:
    """Check every line of the record, the chain between them, and that none is missing at the end.

    `sealed` is the position in the chain that a checkpoint names. Raises MissingFile when there is no audit and
    nothing says that there was one, MissyError when it can't be read.
    """
    from missy.audit.verifier import verify_lines

    head = load_head(path)  # first: what is written meanwhile makes the record longer than it says
    try:
        with opened(path) as (parts, begin):
            return verify_lines(_lines_of(parts, path), head, sealed, begin)
    except MissingFile:
        if not (head and head.seq) and not (sealed and sealed.seq):
            raise
        return verify_lines((), head, sealed)


def whole_lines(path: AnyPath) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each complete line, raw and as a record, oldest first. Raises as `verify` does."""
    with opened(path) as (parts, _):
        for line in _lines_of(parts, path):
            if (record := parse_line(line)) is not None:
                yield line, record


def newest(path: AnyPath, foreign: Callable[[], object] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the record of each complete line, newest first, reading the file only as far as needed.

    `foreign` is called for each line that Missy's writer cannot have written.
    """
    with opened(path) as (parts, _), faults("read", path):
        for file in reversed(parts):
            for line in backwards(file, os.fstat(file).st_size, MAX_LINE_BYTES):
                if (record := parse_line(line)) is not None:
                    yield record
                elif foreign and line and not is_truncated(line):
                    foreign()


def last_records(file: int, size: int) -> Iterator[dict[str, Any]]:
    """Yield the complete records of an open file, newest first."""
    for line in backwards(file, size, _TAIL_BLOCK_BYTES):
        if (record := parse_line(line)) is not None:
            yield record


def backwards(file: int, size: int, block: int) -> Iterator[bytes]:
    """Yield the lines of an open file from the last to the first, without line ends; an oversized line in pieces."""
    rest, end = b"", size
    while end > 0:
        start = max(0, end - block)
        found = (os.pread(file, end - start, start) + rest).split(b"\n")
        rest = found.pop(0)
        yield from reversed(found)
        if len(rest) > MAX_LINE_BYTES:
            rest = b""  # not a line of ours; its remaining beginning counts as a foreign line
        end, block = start, min(block * 2, MAX_LINE_BYTES)
    yield rest


@contextmanager
def opened(path: AnyPath) -> Iterator[tuple[list[int], Link]]:
    """Open all files of the record, oldest first; with them, the link before its first line. Raises MissingFile."""
    with ExitStack() as stack:
        for _ in range(_OPEN_TRIES):
            with ExitStack() as held:
                listed, parts = ended(path), []
                current = files.open_private(path, os.O_RDONLY)
                held.callback(os.close, current)
                number, begin = kept_from(first_record(current))
                try:
                    for one, name in listed:
                        if one >= number:
                            parts.append(files.open_private(name, os.O_RDONLY))
                            held.callback(os.close, parts[-1])
                except MissingFile:
                    continue
                if ended(path) == listed:
                    stack.push(held.pop_all())
                    break
        else:
            raise MissyError(f"{os.fspath(path)} is replaced again and again", hint="try again")
        yield [*parts, current], begin


def _lines_of(parts: list[int], path: AnyPath) -> Iterator[bytes]:
    """Yield the lines of open files as they are now, except one being written; of an oversized line, its beginning."""
    for file in parts:
        with os.fdopen(os.dup(file), "rb") as stream, faults("read", path):
            stream.seek(0)
            left = _settled_size(file) if file == parts[-1] else os.fstat(file).st_size
            while left > 0 and (line := stream.readline(min(left, MAX_LINE_BYTES + 1))):
                left -= len(line)
                yield line.removesuffix(b"\n")
                while left > 0 and len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = stream.readline(min(left, MAX_LINE_BYTES + 1))
                    left -= len(line)
                    if not line:
                        return


def _settled_size(file: int) -> int:
    """Return the size of a file up to a line end, waiting briefly for a writer in the middle of a line."""
    for _ in range(_SETTLE_TRIES):
        info = os.fstat(file)
        size = info.st_size
        if not size or os.pread(file, 1, size - 1) == b"\n" or time.time() - info.st_mtime > 1:
            break
        time.sleep(_SETTLE_PAUSE_SECONDS)
    return size
