"""Errors of the system in words: what could not be done to which path, why, and the way out."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.paths import AnyPath

_WHAT_TO_DO = {
    errno.ENOSPC: "free some space on that disk and try again",
    errno.EDQUOT: "your disk quota is used up: free some space and try again",
    errno.EFBIG: "the limit on file sizes was reached: see `ulimit -f`",
    errno.EROFS: "the file system is read-only: set MISSY_HOME to a folder that you can write",
    errno.EACCES: "check who owns it and its permissions, or set MISSY_HOME to a folder that you can write",
    errno.EPERM: "check who owns it and its permissions, or set MISSY_HOME to a folder that you can write",
    errno.ELOOP: "it is a symbolic link: put a real file or folder in its place",
    errno.ENOTDIR: "something that is no folder stands in the way: move it away",
    errno.EISDIR: "a folder stands in the way: move it away",
    errno.ENOENT: "check the path: a folder on the way to it is missing",
}


class MissingFile(MissyError):
    """The file, or a folder on the way to it, is not there."""


@contextmanager
def faults(doing: str, path: AnyPath) -> Iterator[None]:
    """Turn every OSError inside into a MissyError that names `path` and what to do; `doing` is a verb."""
    try:
        yield
    except OSError as error:
        raise fault(doing, path, error) from error


def fault(doing: str, path: AnyPath, error: OSError) -> MissyError:
    """Return the MissyError for `error`: what could not be done to which path, why, and the way out."""
    why = error.strerror or type(error).__name__
    hint = _WHAT_TO_DO.get(error.errno or 0, "check the disk, the path and its permissions, then try again")
    kind = MissingFile if isinstance(error, FileNotFoundError) else MissyError
    return kind(f"cannot {doing} {os.fspath(path)}: {why}", hint=hint)
