"""Text that is piped into a command: read whole, and never waited for in silence."""

from __future__ import annotations

import os
import stat
import sys
import time

from missy.cli.app import notice
from missy.errors import UsageError

MAX_INPUT_BYTES = 32 << 20
NOTICE_AFTER_SECONDS = 1.0  # of waiting for the first byte, or for the end
GIVE_UP_AFTER_SECONDS = 3.0  # on a pipe that nobody writes into, where it may be left out
_PIECE_BYTES = 1 << 16


def is_piped() -> bool:
    """Tell whether something was put into stdin: a pipe, a file or a socket, but no terminal and no /dev/null."""
    mode = _mode()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def read_piped(*, optional: bool) -> str:
    """Return all of stdin as text. Raises UsageError for what is too long or no text.

    `optional`: a pipe that stays open and empty is left out after a while, with a notice. Once a byte has come,
    it is read to its end, however long that takes.
    """
    if sys.stdin is None:
        return ""
    can_wait = stat.S_ISFIFO(_mode()) or stat.S_ISSOCK(_mode())
    try:
        data = _wait_and_read(optional=optional) if can_wait else sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        why = error.strerror or "it is not open for reading"
        raise UsageError(f"stdin cannot be read: {why}", hint="end the command with < /dev/null") from None
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(
            f"stdin holds more than {MAX_INPUT_BYTES >> 20} MiB",
            hint="no model takes that much: send a part of it",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"stdin is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}",
            hint="convert it first, for example: iconv -f latin1 -t utf-8",
        ) from None


def _wait_and_read(*, optional: bool) -> bytes:
    """Read a pipe to its end, or to one byte more than is allowed."""
    file = sys.stdin.fileno()
    data = bytearray()
    start, told = time.monotonic(), False
    while len(data) <= MAX_INPUT_BYTES:
        left_out = optional and not data
        waited = time.monotonic() - start
        if not _is_ready(file, _next_wait(waited, told=told, left_out=left_out)):
            if left_out and time.monotonic() - start >= GIVE_UP_AFTER_SECONDS:
                notice("nothing came on stdin: going on without it")
                break
            if not told and time.monotonic() - start >= NOTICE_AFTER_SECONDS:
                told = True
                notice("waiting for stdin, a pipe that is still open; `< /dev/null` if nothing is to come")
            continue
        piece = os.read(file, _PIECE_BYTES)
        if not piece:
            break
        data += piece
    return bytes(data)


def _next_wait(waited: float, *, told: bool, left_out: bool) -> float | None:
    """Return the seconds to wait until something is to be said; None for ever."""
    if not told:
        return max(0.0, NOTICE_AFTER_SECONDS - waited)
    return max(0.0, GIVE_UP_AFTER_SECONDS - waited) if left_out else None


def _is_ready(file: int, seconds: float | None) -> bool:
    import select  # here, since most calls are given no pipe

    poll = select.poll()
    poll.register(file, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(None if seconds is None else seconds * 1000 + 1))


def _mode() -> int:
    try:
        return os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return 0
