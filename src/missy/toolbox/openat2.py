"""The system call openat2 by ctypes: opens a path that cannot leave a folder, whatever links are in it or appear in it.

Linux 5.6 and newer; see openat2(2). There is no way round it here: where it is missing, the tools for files are refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache

from missy.errors import MissyError

_SYS_OPENAT2 = 437  # the same number on every architecture
_NO_MAGICLINKS, _BENEATH = 0x02, 0x08


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def open_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path`, which is resolved beneath the open `folder`. Raises OSError (EXDEV where it would leave the folder).

    Raises MissyError where the system has no openat2.
    """
    if not sys.platform.startswith("linux"):
        raise _missing()
    how = _How(flags | os.O_CLOEXEC, mode, _BENEATH | _NO_MAGICLINKS)
    while True:
        file: int = _libc().syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if file >= 0:
            return file
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EPERM) and not _is_known(folder):
            raise _missing()
        if number not in (errno.EINTR, errno.EAGAIN):  # EAGAIN: something was renamed at that moment
            raise OSError(number, os.strerror(number))


def _is_known(folder: int) -> bool:
    """Tell whether openat2 works at all: a folder can be opened beneath itself."""
    how = _How(os.O_PATH | os.O_CLOEXEC, 0, _BENEATH)
    file = _libc().syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(b"."),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if file < 0:
        return False
    os.close(file)
    return True


def _missing() -> MissyError:
    return MissyError(
        "this system has no openat2, so that no path can be kept inside the workspace",
        hint="Linux 5.6 or newer is needed for the tools that read and write files",
    )
