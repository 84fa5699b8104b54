"""The folders under MISSY_HOME: made 0700, one's own, no symlink.

It must never leave a folder that others can read, not even for a moment and whatever the umask; never narrow a
folder that users share; never touch one of another user.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.os_errors import faults
from missy.paths import expand, home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from missy.paths import AnyPath


def ensure_dir(path: AnyPath) -> Path:
    """Make the folder, and those between MISSY_HOME and it, each 0700; narrow a wider mode. Returns the path.

    Raises MissyError for a symlink (only MISSY_HOME itself may be one, of one's own), for what is no folder,
    for a folder of another user, and for one that is shared on purpose (sticky, like /tmp).
    """
    folder = expand(path)
    for part in _from_home(folder) or [folder]:
        os.close(_open_dir(part))
    return folder


@contextmanager
def open_parent(target: Path, *, make: bool = True) -> Iterator[int]:
    """Open the folder of `target`: made and narrowed in MISSY_HOME; elsewhere it is the user's own affair."""
    if make and _from_home(target.parent):
        ensure_dir(target.parent)
    with faults("open", target.parent):
        file = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        with suppress(OSError):  # nothing was written through it
            os.close(file)


def require_owner(info: os.stat_result, path: AnyPath) -> None:
    """Raise MissyError for what belongs to another user."""
    if info.st_uid != os.geteuid():
        raise refusal(path, f"it belongs to another user (id {info.st_uid})", other_owner_hint(info.st_uid))


def other_owner_hint(uid: int) -> str:
    """Say what to do about something of another user. It is theirs: nothing is taken from them."""
    return f"run missy as that user (in a container: --user {uid}), or set MISSY_HOME to a folder of your own"


def refusal(path: AnyPath, why: str, hint: str) -> MissyError:
    """Return the error for a path that must not be used."""
    return MissyError(f"refused to use {os.fspath(path)}: {why}", hint=hint)


def _from_home(folder: Path) -> list[Path]:
    """Return the folders from MISSY_HOME down to `folder`, or none if it lies elsewhere."""
    try:
        top = home()
    except MissyError:
        return []
    line = [*reversed(folder.parents), folder]
    return line[line.index(top) :] if top in line else []


def _open_dir(path: Path) -> int:
    """Open a folder of our own, made if need be, with mode 0700 or narrower."""
    with faults("create", path):
        new = _make_dir(path)
    with faults("open", path):
        info = os.lstat(path)
        linked = stat.S_ISLNK(info.st_mode)
        if linked and (path != home() or info.st_uid != os.geteuid()):
            raise refusal(path, "it is a symbolic link", "put a real folder in its place, or move MISSY_HOME")
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if linked else os.O_NOFOLLOW))
        try:
            _narrow_dir(file, path, new=new)
        except BaseException:
            os.close(file)
            raise
        return file


def _make_dir(path: Path) -> bool:
    """Make a folder and the missing ones above it, 0700 each. Returns whether it is new."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if path.parent == path or os.path.lexists(
            path.parent
        ):  # a dangling symlink is there, but leads nowhere
            raise
        os.close(_open_dir(path.parent))
        return _make_dir(path)
    return True


def _narrow_dir(file: int, path: Path, *, new: bool) -> None:
    info = os.fstat(file)
    if info.st_uid != os.geteuid() and _could_hold_home(path):
        raise refusal(path, f"it belongs to another user (id {info.st_uid})", _inside(path))
    require_owner(info, path)
    if new:
        os.fchmod(file, 0o700)  # the umask may have taken rights of our own
    elif info.st_mode & stat.S_ISVTX or path.parent == path:
        raise refusal(path, "it is a folder that users share", _inside(path))
    elif info.st_mode & 0o077:
        os.fchmod(file, stat.S_IMODE(info.st_mode) & 0o700)


def _could_hold_home(path: Path) -> bool:
    """Tell whether a folder, named as MISSY_HOME, is one to make a home in: a mounted volume that all may write."""
    return path == home() and os.geteuid() != 0 and os.access(path, os.W_OK | os.X_OK)


def _inside(path: Path) -> str:
    return f"set MISSY_HOME to a folder inside it, e.g. {path / 'missy'}"
