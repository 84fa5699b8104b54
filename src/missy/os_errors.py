"""Operating system errors as MissyErrors: what failed on which path, why, and a hint."""

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
    errno.ENOTDIR: "a file has the name of a needed folder: move it away",
    errno.EISDIR: "a folder has the name of the file: move it away",
    errno.ENOENT: "check the path: a folder on the way to it is missing",
}


class MissingFile(MissyError):
    """The file, or a folder in its path, does not exist."""


@contextmanager
def faults(doing: str, path: AnyPath) -> Iterator[None]:
    """Convert every OSError inside into a MissyError that names `path`, with a hint; `doing` is a verb."""
    try:
        yield
    except OSError as error:
        raise fault(doing, path, error) from error


def fault(doing: str, path: AnyPath, error: OSError) -> MissyError:
    """Return the MissyError for `error`: what failed on which path, why, and a hint."""
    why = error.strerror or type(error).__name__
    hint = _WHAT_TO_DO.get(error.errno or 0, "check the disk, the path and its permissions, then try again")
    kind = MissingFile if isinstance(error, FileNotFoundError) else MissyError
    return kind(f"cannot {doing} {os.fspath(path)}: {why}", hint=hint)
