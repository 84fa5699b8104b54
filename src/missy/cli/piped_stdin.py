"""Reads text that is piped into a command, with a notice when it has to wait."""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from missy.cli.app import notice
from missy.cli.interrupts import MAX_WAIT_SECONDS
from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INPUT_BYTES = 32 << 20
NOTICE_AFTER_SECONDS = 1.0  # of waiting for data
GIVE_UP_AFTER_SECONDS = 3.0  # on an optional pipe that stays empty
_READ_BYTES = 1 << 16


def is_piped() -> bool:
    """Return whether stdin is a pipe, a file or a socket; not a terminal or /dev/null."""
    mode = _mode()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def read_piped(*, optional: bool) -> str:
    """Return all of stdin as text. Raises UsageError if it is too long or not UTF-8.

    `optional`: a pipe that stays open and empty for GIVE_UP_AFTER_SECONDS is ignored, with a notice. Once a byte has
    arrived, the pipe is read to its end, however long that takes.
    """
    can_wait = stat.S_ISFIFO(_mode()) or stat.S_ISSOCK(_mode())
    with _faults():
        data = _wait_and_read(optional=optional) if can_wait else sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(
            f"stdin holds more than {MAX_INPUT_BYTES >> 20} MiB",
            hint="no model takes that much: send a part of it",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = len(data) - len(error.object) + error.start  # the decoder counts from after the byte order mark
        raise UsageError(
            f"stdin is not UTF-8 text: byte {at} is {data[at]:#04x}",
            hint="convert it first, for example: iconv -f latin1 -t utf-8",
        ) from None


def read_bytes(limit: int) -> bytes:
    """Return the first `limit` bytes of stdin. Raises UsageError if it cannot be read."""
    with _faults():
        return sys.stdin.buffer.read(limit)


@contextmanager
def _faults() -> Iterator[None]:
    """Turn an OSError of a read into a UsageError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or "it is not open for reading"
        raise UsageError(f"stdin cannot be read: {why}", hint="end the command with < /dev/null") from None


def _wait_and_read(*, optional: bool) -> bytes:
    """Read a pipe to its end, or until it is longer than allowed."""
    file = sys.stdin.fileno()
    data = bytearray()
    start, noticed = time.monotonic(), False
    while len(data) <= MAX_INPUT_BYTES:
        may_skip = optional and not data
        waited = time.monotonic() - start
        if not _is_ready(file, _next_wait(waited, noticed=noticed, may_skip=may_skip)):
            if may_skip and time.monotonic() - start >= GIVE_UP_AFTER_SECONDS:
                notice("nothing came on stdin: going on without it")
                break
            if not noticed and time.monotonic() - start >= NOTICE_AFTER_SECONDS:
                noticed = True
                notice("waiting for stdin, a pipe that is still open; `< /dev/null` if nothing is to come")
            continue
        piece = os.read(file, _READ_BYTES)
        if not piece:
            break
        data += piece
    return bytes(data)


def _next_wait(waited: float, *, noticed: bool, may_skip: bool) -> float:
    """Return the seconds to wait for data before looking again what is due."""
    due = MAX_WAIT_SECONDS
    if not noticed:
        due = NOTICE_AFTER_SECONDS - waited
    elif may_skip:
        due = GIVE_UP_AFTER_SECONDS - waited
    return max(0.0, min(due, MAX_WAIT_SECONDS))


def _is_ready(file: int, seconds: float) -> bool:
    import select  # imported here, since most runs have no pipe

    poll = select.poll()
    poll.register(file, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(seconds * 1000 + 1))


def _mode() -> int:
    try:
        return os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return 0
