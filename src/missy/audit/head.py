"""The head file: number and hash of the newest line, beside the record.

The chain cannot show that its end was cut off; the head file can. It is overwritten in place after each line,
under the record's lock. A writer killed between the two leaves it one line behind, which is no sign of tampering.
If it is ahead of the record, lines are missing.
"""

from __future__ import annotations

import os
import re

from missy import files
from missy.audit.chain import MAX_SEQ, Link
from missy.os_errors import MissingFile

_FORM = re.compile(rb'\{"lines":(\d{1,16}),"hash":"([0-9a-f]{64})"\}\n')
_MAX_BYTES = 256
_MAX_READS = 100  # until two in a row agree: a writer may be at work


def head_path(record: str | os.PathLike[str]) -> str:
    """Return the path of the head file: `audit.head` for `audit.jsonl`."""
    return os.path.splitext(os.fspath(record))[0] + ".head"


def parse_head(data: bytes) -> Link | None:
    """Parse the content of a head file; None if it is not valid."""
    found = _FORM.fullmatch(data)
    if found is None or int(found[1]) > MAX_SEQ:
        return None
    return Link(int(found[1]), found[2].decode())


def read_head(file: int) -> Link | None:
    """Read an open head file; None if it is not valid."""
    return parse_head(os.pread(file, _MAX_BYTES, 0))


def write_head(file: int, seq: int, seal: str) -> None:
    """Overwrite an open head file. It never gets shorter, since the line numbers only grow."""
    os.pwrite(file, b'{"lines":%d,"hash":"%b"}\n' % (seq, seal.encode()), 0)


def begin_head(file: int, link: Link) -> None:
    """Write the first content of a head file, with fsync: it is created once, and later lines rely on it."""
    os.ftruncate(file, 0)
    write_head(file, *link)
    os.fsync(file)


def load_head(record: str | os.PathLike[str]) -> Link | None:
    """Read the head file of a record; None without one. Takes no lock. Raises MissyError."""
    try:
        file = files.open_private(head_path(record), os.O_RDONLY)
    except MissingFile:
        return None
    try:
        data = os.pread(file, _MAX_BYTES, 0)
        for _ in range(_MAX_READS):
            again = os.pread(file, _MAX_BYTES, 0)
            if again == data:
                break
            data = again
    finally:
        os.close(file)
    return parse_head(data)
