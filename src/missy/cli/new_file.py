"""Writing a document that the user asked for to a file of theirs: new, and for nobody else to read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from missy.errors import UsageError
from missy.files import write_private
from missy.os_errors import faults
from missy.paths import expand


def write_new(path: str, data: bytes, *, force: bool) -> None:
    """Write a file, 0600. One that is there is an error, or with `force` is replaced as a whole. Raises MissyError."""
    target = expand(path)
    with faults("write", target):
        if force:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(target.lstat().st_mode):
                    raise UsageError(f"{path} is no plain file", hint="name another file")
            return write_private(target, data)
        try:
            file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} is there already", hint="name another file, or add --force") from None
        with os.fdopen(file, "wb") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(data)
    return None
