"""The folders under MISSY_HOME: mode 0700, owned by this user, not symlinks.

No other user can read such a folder, not even for a moment and whatever the umask. The mode of a shared folder and of a
folder of another user is never changed.
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
    """Create the folder, and those between MISSY_HOME and it, with mode 0700; narrow a wider mode. Returns the path.

    Raises MissyError for a symlink (except MISSY_HOME itself, if this user owns it), for anything that is not a folder,
    for a folder of another user, and for a shared one (sticky, like /tmp).
    """
    folder = expand(path)
    for part in _from_home(folder) or [folder]:
        os.close(_open_dir(part))
    return folder


@contextmanager
def open_parent(target: Path, *, make: bool = True) -> Iterator[int]:
    """Open the folder of `target`: in MISSY_HOME it is created and narrowed; elsewhere it must exist and stays as it is."""
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
    """Raise MissyError for a file or folder of another user."""
    if info.st_uid != os.geteuid():
        raise refusal(path, f"it belongs to another user (id {info.st_uid})", other_owner_hint(info.st_uid))


def other_owner_hint(uid: int) -> str:
    """Return the hint for a file or folder of another user, which is never changed."""
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
        if path.parent == path or os.path.lexists(path.parent):  # a dangling symlink
            raise
        os.close(_open_dir(path.parent))
        return _make_dir(path)
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        os.chmod(path, 0o700)  # the umask took permissions of the owner, who could not even open it
    return True


def _narrow_dir(file: int, path: Path, *, new: bool) -> None:
    info = os.fstat(file)
    if info.st_uid != os.geteuid() and _could_hold_home(path):
        raise refusal(path, f"it belongs to another user (id {info.st_uid})", _inside(path))
    require_owner(info, path)
    if new:
        os.fchmod(file, 0o700)
    elif info.st_mode & stat.S_ISVTX or path.parent == path:
        raise refusal(path, "it is a folder that users share", _inside(path))
    elif info.st_mode & 0o077:
        os.fchmod(file, stat.S_IMODE(info.st_mode) & 0o700)


def _could_hold_home(path: Path) -> bool:
    """Tell whether a folder given as MISSY_HOME is a mounted volume that everyone can write: a subfolder can be used."""
    return path == home() and os.geteuid() != 0 and os.access(path, os.W_OK | os.X_OK)


def _inside(path: Path) -> str:
    return f"set MISSY_HOME to a folder inside it, e.g. {path / 'missy'}"
