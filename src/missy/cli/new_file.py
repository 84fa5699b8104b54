"""Writing a document that the user asked for to a file of theirs: new, and for nobody else to read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from missy.errors import UsageError
from missy.files import write_private
from missy.os_errors import faults
from missy.paths import expand

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_new(path: str, chunks: Iterable[bytes], *, force: bool) -> None:
    """Write a file, 0600; on any failure no part of it stays. Raises MissyError.

    An existing file is an error, or with `force` is replaced as a whole.
    """
    target = expand(path)
    with faults("write", target):
        if force:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(target.lstat().st_mode):
                    raise UsageError(f"{path} is not a regular file", hint="name another file")
            return write_private(target, chunks)
        try:
            file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} exists already", hint="name another file, or add --force") from None
        try:
            with os.fdopen(file, "wb") as out:
                os.fchmod(out.fileno(), 0o600)
                out.writelines(chunks)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise
    return None
