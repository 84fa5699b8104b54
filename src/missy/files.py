"""The only ways to write, read and lock one of Missy's files.

No other user can read a file, not even for a moment and whatever the umask. Nothing is written through a symlink, to a
FIFO or to a file of another user. If a write fails, the old content stays.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.folders import open_parent, refusal, require_owner
from missy.os_errors import MissingFile, fault, faults
from missy.paths import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from missy.paths import AnyPath

_MAX_LINKS = 40  # as on Linux
STALE_SECONDS = 3600  # a temporary file older than this belongs to no running writer


def write_private(path: AnyPath, data: bytes | Iterable[bytes]) -> None:
    """Replace the file's content atomically: the file has either the old or the new bytes. Mode 0600.

    A missing folder in MISSY_HOME is created. Other names of a hard-linked file keep the old content.
    Raises MissyError when the target is not a plain file of one's own, or when anything fails.
    """
    target = expand(path)
    with open_parent(target) as folder, faults("write", target):
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
    """Return the file's content, at most `limit` bytes; a mode wider than 0600 is set to 0600 first.

    Raises MissingFile when it is not there; MissyError when it is no plain file of one's own, or is larger.
    """
    file = open_private(path, os.O_RDONLY)
    try:
        with faults("read", path):
            return _read_all(file, path, limit)
    finally:
        os.close(file)


def follow_own_link(path: AnyPath) -> Path:
    """Resolve a symbolic link that belongs to this user; return `path` itself if it is not a link.

    Raises MissyError if another user could change a link in the path: they own it, or can write to its folder.
    """
    target = expand(path)
    for _ in range(_MAX_LINKS):
        with faults("find", target):
            try:
                info = os.lstat(target)
            except FileNotFoundError:
                return target
            if not stat.S_ISLNK(info.st_mode):
                return target
            require_owner(info, target)
            target = expand(os.path.join(os.path.realpath(target.parent), os.readlink(target)))
            folder = os.stat(target.parent)
        if folder.st_uid not in (os.geteuid(), 0) or folder.st_mode & 0o022 & ~_sticky(folder):
            raise refusal(
                path,
                f"it is a link to {target}, in a folder that others can write",
                f"edit {target} yourself",
            )
    raise refusal(path, "it is a link that leads to itself", "put a real file in its place")


def _sticky(folder: os.stat_result) -> int:
    """Return the write permissions that are harmless in a sticky folder such as /tmp, where only owners can rename."""
    return 0o022 if folder.st_mode & stat.S_ISVTX else 0


@contextmanager
def lock(path: AnyPath, timeout: float = 30) -> Iterator[None]:
    """Hold the lock for `path`, exclusive among all processes and threads; wait at most `timeout` seconds for it.

    The lock is a flock on `path` + ".lock". That file is never removed: otherwise two processes could hold the lock. The
    system releases it when its holder exits. Raises MissyError on timeout, naming the file.
    """
    file = open_private(os.fspath(path) + ".lock", os.O_RDWR | os.O_CREAT)
    try:
        wait_for_lock(file, path, timeout)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(
                    file, fcntl.LOCK_UN
                )  # a child forked meanwhile shares the lock: release it for both
    finally:
        with suppress(OSError):  # nothing was written through it
            os.close(file)


def is_locked(path: AnyPath) -> bool:
    """Tell whether someone holds the flock on the file `path`, without waiting and without creating it.

    Raises MissyError when it is no plain file of one's own.
    """
    try:
        file = open_private(path, os.O_RDONLY)
    except MissingFile:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def wait_for_lock(file: int, path: AnyPath, timeout: float) -> None:
    """Acquire the flock on an open file by polling: a blocking flock has no timeout.

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
    with open_parent(target, make=bool(flags & os.O_CREAT)) as folder, faults("open", target):
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


def read_note(path: AnyPath, limit: int = 1 << 20) -> dict[str, Any]:
    """Read a JSON object from a cache file: empty if the file is missing, unreadable or invalid."""
    try:
        value = json.loads(read_private(path, limit))
    except (MissyError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_note(path: AnyPath, note: dict[str, Any]) -> bool:
    """Write a cache file. Returns False if that failed; the failure may be ignored."""
    try:
        write_private(path, json.dumps(note).encode())
    except MissyError:
        return False
    return True


def _narrow(file: int, path: AnyPath) -> None:
    info = os.fstat(file)
    _require_own_file(info, path)
    # An empty file is new, or a lock file: restore the owner's permissions that the umask removed at creation. A mode
    # that the user narrowed later is kept.
    is_new = not info.st_size or not info.st_mode & 0o700
    mode = 0o600 if is_new else info.st_mode & 0o600
    if stat.S_IMODE(info.st_mode) != mode:
        os.fchmod(file, mode)


def _require_own_file(info: os.stat_result, path: AnyPath) -> None:
    if not stat.S_ISREG(info.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(info.st_mode) else "not a regular file"
        raise refusal(path, f"it is {kind}", "move it away and try again")
    require_owner(info, path)


def _write_new(name: str, chunks: Iterable[bytes], folder: int) -> None:
    """Create a file and write it, with fsync."""
    file = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        os.fchmod(file, 0o600)  # independent of the umask
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
        if error.errno != errno.EINVAL:  # the errors of file systems that cannot sync folders
            raise


def _sweep(folder: int, name: str) -> None:
    """Remove temporary files of killed writers of the same file."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f".{name}.") and entry.name.endswith(".tmp"):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
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
