"""Reading a file that is attached to a prompt. Only an ordinary file outside MISSY_HOME is read.

The opened file is checked, not its path: a link may be pointed elsewhere between a check and the reading. It is opened
without waiting, so that a pipe without a writer stops nothing.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from missy import paths
from missy.attachments.content import (
    HEAD_BYTES,
    MAX_BYTES,
    TEXT,
    binary_type,
    check_together,
    is_text,
    kind_of,
    media_type_of,
    too_large,
    unfit,
)
from missy.errors import MissyError, UsageError
from missy.events import Attachment

if TYPE_CHECKING:
    from collections.abc import Iterable

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", re.IGNORECASE)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OWN = "is one of Missy's own files, which may hold keys and logins: it is never sent"
_MAX_OWN_FILES = 20_000  # of MISSY_HOME that are compared with a file that has a second name


def read_attachments(files: Iterable[str | os.PathLike[str]]) -> tuple[Attachment, ...]:
    """Read the files of one question. Raises UsageError for the first that cannot go, and if all are too large."""
    found = tuple(read_attachment(path) for path in files)
    check_together(found)
    return found


def read_attachment(path: str | os.PathLike[str]) -> Attachment:
    """Read a file: an image, a PDF or UTF-8 text, told by its content. Raises UsageError."""
    given = os.fspath(path)
    if _URL.match(given):
        raise UsageError(
            f"{given} is a URL, and --attach takes files only",
            hint="fetch it yourself: curl ... | missy ask ...",
        )
    try:
        full = str(paths.expand(given))
        _require_ordinary(given, os.stat(full).st_mode)
        file = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{given} cannot be read: {why}", hint="check the path") from None
    except MissyError as error:
        raise UsageError(error.message, hint=error.hint) from None
    with os.fdopen(file, "rb") as opened:
        info = os.fstat(file)
        _require_ordinary(given, info.st_mode)
        _refuse_own(given, full, file, info)
        try:
            head = opened.read(HEAD_BYTES)
            found = binary_type(head)
            kind = kind_of(found) if found else TEXT
            data = head + opened.read(MAX_BYTES[kind] + 1 - len(head))
        except OSError as error:
            raise UsageError(f"{given} cannot be read: {error.strerror}", hint="check the file") from None
    if len(data) > MAX_BYTES[kind]:
        if kind == TEXT and not is_text(data, whole=False):
            raise unfit(given, data)
        raise too_large(given, kind)
    found = found or media_type_of(data)
    if not data or found is None:
        raise unfit(given, data)
    return Attachment(data, found, os.fsencode(os.path.basename(full)).decode(errors="replace"))


def _require_ordinary(given: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    what = next((word for is_kind, word in _KINDS if is_kind(mode)), "no ordinary file")
    raise UsageError(f"{given} is {what}, and only files can be attached", hint="name a file")


def _refuse_own(given: str, full: str, file: int, info: os.stat_result) -> None:
    """Refuse the configuration and a file under MISSY_HOME, by whatever name it was reached: a link, a second name, `..`."""
    home, config = os.path.realpath(paths.home()), os.path.realpath(paths.config_file())
    reached = (_true_path(full, file), os.path.realpath(full))
    by_path = any(_is_under(path, home) or path == config for path in reached)
    if by_path or (info.st_nlink > 1 and (_is_file(config, info) or _has_name_under(home, info))):
        raise UsageError(f"{given} {_OWN}", hint="copy what you want to send to another file")


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _true_path(full: str, file: int) -> str:
    """Return the path of an opened file, where the system tells it."""
    with suppress(OSError):
        if sys.platform == "linux":
            return os.readlink(f"/proc/self/fd/{file}")
        if sys.platform == "darwin":
            import fcntl

            return (
                fcntl.fcntl(file, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode(errors="surrogateescape")
            )
    return os.path.realpath(full)


def _is_file(path: str, info: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.stat(path), info)
    return False


def _has_name_under(folder: str, info: os.stat_result) -> bool:
    """Tell whether a file that has several names has one in a folder."""
    left = _MAX_OWN_FILES
    for root, _, names in os.walk(folder):
        for name in names:
            left -= 1
            with suppress(OSError):
                other = os.lstat(os.path.join(root, name))
                if (other.st_dev, other.st_ino) == (info.st_dev, info.st_ino):
                    return True
            if left <= 0:
                return True  # not shown to be somebody else's
    return False
