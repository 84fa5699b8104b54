"""MISSY_HOME: where Missy keeps its files, and the only ways to make, write, read and lock one of them.

It must never leave a file or folder that others can read, not even for a moment and whatever the umask; never
write through a symlink, a FIFO or a file of another user; never lose a file's old content when a write fails.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    AnyPath = str | os.PathLike[str]

_STALE = 3600  # seconds after which a temporary file can belong to no writer that still lives
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


def expand(text: AnyPath) -> Path:
    """Return `text` as an absolute path, `~` expanded. Raises MissyError when `~` stands for no folder."""
    from pathlib import Path  # here, since `missy --version` does without it and it is slow to import

    path = os.fspath(text)
    if path.startswith("~"):
        if path.split("/", 1)[0] == "~" and not os.environ.get("HOME"):
            raise MissyError(f"cannot expand {path}: HOME is not set", hint="set HOME or write the path out")
        path = os.path.expanduser(path)
        if path.startswith("~"):
            raise MissyError(f"cannot expand {path}: there is no such user", hint="write the path out")
    with faults("find", path):
        return Path(os.path.abspath(path))


def home() -> Path:
    """Return MISSY_HOME, or `~/.missy`; make nothing. Raises MissyError when neither it nor HOME is set."""
    named = os.environ.get("MISSY_HOME")
    if not named and not os.environ.get("HOME"):
        raise MissyError(
            "no place to keep Missy's files: neither MISSY_HOME nor HOME is set",
            hint="set MISSY_HOME to a folder of your own",
        )
    return expand(named or "~/.missy")


def config_file(override: str | None = None) -> Path:
    """Return the configuration file: `override` before MISSY_CONFIG before `config.yaml` in MISSY_HOME."""
    named = override or os.environ.get("MISSY_CONFIG")
    return expand(named) if named else home() / "config.yaml"


def ensure_dir(path: AnyPath) -> Path:
    """Make the folder, and those between MISSY_HOME and it, each 0700; narrow a wider mode. Returns the path.

    Raises MissyError for a symlink (only MISSY_HOME itself may be one, of one's own), for what is no folder,
    for a folder of another user, and for one that is shared on purpose (sticky, like /tmp).
    """
    folder = expand(path)
    for part in _from_home(folder) or [folder]:
        os.close(_open_dir(part))
    return folder


def write_private(path: AnyPath, data: bytes | Iterable[bytes]) -> None:
    """Replace the file's content as a whole: whatever happens, it holds the old or the new bytes. Mode 0600.

    A folder that is missing in MISSY_HOME is made. Other names of a hard-linked file keep the old content.
    Raises MissyError when the target is not a plain file of one's own, or when anything fails.
    """
    target = expand(path)
    with _folder(target) as folder, faults("write", target):
        _sweep(folder, target.name)
        with suppress(FileNotFoundError):
            _require_own_file(os.stat(target.name, dir_fd=folder, follow_symlinks=False), target)
        temporary = f".{target.name}.{os.getpid()}-{os.urandom(6).hex()}.tmp"
        try:
            _write_new(temporary, (data,) if isinstance(data, bytes) else data, folder)
            os.rename(temporary, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        _sync_dir(folder)


def read_private(path: AnyPath, limit: int = 1 << 20) -> bytes:
    """Return the file's content, at most `limit` bytes; a mode wider than 0600 is narrowed first.

    Raises MissingFile when it is not there; MissyError when it is no plain file of one's own, or is larger.
    """
    file = open_private(path, os.O_RDONLY)
    try:
        with faults("read", path):
            return _read_all(file, path, limit)
    finally:
        os.close(file)


@contextmanager
def lock(path: AnyPath, timeout: float = 30) -> Iterator[None]:
    """Hold the one lock for `path` among all processes and threads; wait at most `timeout` seconds for it.

    The lock is a flock on `path` + ".lock", which stays: removing it would let two holders in. The system
    ends it when its holder dies. Raises MissyError when the time is up, naming the file.
    """
    file = open_private(os.fspath(path) + ".lock", os.O_RDWR | os.O_CREAT)
    try:
        wait_for_lock(file, path, timeout)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # a child forked meanwhile shares the lock: end it for both
    finally:
        with suppress(OSError):  # nothing was written through it
            os.close(file)


def wait_for_lock(file: int, path: AnyPath, timeout: float) -> None:
    """Take the flock on an open file, asking again and again: a blocking flock could not be given a limit.

    Raises MissyError, naming `path`, when another holder kept it for `timeout` seconds.
    """
    end, pause = time.monotonic() + timeout, 0.001
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError as error:
            raise fault("lock", path, error) from error
        left = end - time.monotonic()
        if left <= 0:
            raise MissyError(
                f"another missy has held {os.fspath(path)} for more than {timeout:g} seconds",
                hint="wait for it to end, or end it, and try again",
            )
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.05)


def open_private(path: AnyPath, flags: int) -> int:
    """Open a plain file of one's own, made 0600 where `flags` say so, others' rights taken away.

    Returns the descriptor, which no child inherits. Raises MissingFile or MissyError; follows no symlink.
    """
    target = expand(path)
    with _folder(target, make=bool(flags & os.O_CREAT)) as folder, faults("open", target):
        file = os.open(
            target.name,
            flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=folder,
        )
        try:
            _narrow(file, target)
        except BaseException:
            os.close(file)
            raise
        return file


def _narrow(file: int, path: AnyPath) -> None:
    info = os.fstat(file)
    _require_own_file(info, path)
    # Empty is new, or a lock: whatever the umask took of our own rights at creation is given back. A mode that
    # somebody narrowed later is theirs.
    is_new = not info.st_size or not info.st_mode & 0o700
    mode = 0o600 if is_new else info.st_mode & 0o600
    if stat.S_IMODE(info.st_mode) != mode:
        os.fchmod(file, mode)


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


def _from_home(folder: Path) -> list[Path]:
    """Return the folders from MISSY_HOME down to `folder`, or none if it lies elsewhere."""
    try:
        top = home()
    except MissyError:
        return []
    line = [*reversed(folder.parents), folder]
    return line[line.index(top) :] if top in line else []


@contextmanager
def _folder(target: Path, *, make: bool = True) -> Iterator[int]:
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


def _open_dir(path: Path) -> int:
    """Open a folder of our own, made if need be, with mode 0700 or narrower."""
    with faults("create", path):
        new = _make_dir(path)
    with faults("open", path):
        info = os.lstat(path)
        linked = stat.S_ISLNK(info.st_mode)
        if linked and (path != home() or info.st_uid != os.geteuid()):
            raise _refusal(
                path, "it is a symbolic link", "put a real folder in its place, or move MISSY_HOME"
            )
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
    _require_owner(info, path)
    if new:
        os.fchmod(file, 0o700)  # the umask may have taken rights of our own
    elif info.st_mode & stat.S_ISVTX or path.parent == path:
        raise _refusal(path, "it is a folder that users share", "choose a folder of your own")
    elif info.st_mode & 0o077:
        os.fchmod(file, stat.S_IMODE(info.st_mode) & 0o700)


def _require_owner(info: os.stat_result, path: AnyPath) -> None:
    if info.st_uid != os.geteuid():
        raise _refusal(
            path, f"it belongs to another user (id {info.st_uid})", "run missy as that user, or move it away"
        )


def _require_own_file(info: os.stat_result, path: AnyPath) -> None:
    if not stat.S_ISREG(info.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(info.st_mode) else "not a plain file"
        raise _refusal(path, f"it is {kind}", "move it away and try again")
    _require_owner(info, path)


def _refusal(path: AnyPath, why: str, hint: str) -> MissyError:
    return MissyError(f"refused to use {os.fspath(path)}: {why}", hint=hint)


def _write_new(name: str, chunks: Iterable[bytes], folder: int) -> None:
    """Write a file that did not exist before, to the disk."""
    file = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        os.fchmod(file, 0o600)  # whatever the umask took
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_dir(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a file system answers that cannot sync folders
            raise


def _sweep(folder: int, name: str) -> None:
    """Remove what writers of the same file left behind when they were killed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f".{name}.") and entry.name.endswith(".tmp"):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE:
                        os.unlink(entry.name, dir_fd=folder)


def _read_all(file: int, path: AnyPath, limit: int) -> bytes:
    data = bytearray()
    while chunk := os.read(file, min(limit + 1 - len(data), 1 << 20)):
        data += chunk
        if len(data) > limit:
            raise MissyError(
                f"{os.fspath(path)} is larger than {limit} bytes",
                hint="this is not a file that Missy wrote: move it away",
            )
    return bytes(data)
