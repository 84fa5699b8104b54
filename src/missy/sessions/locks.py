"""One answer at a time in a session, among all processes: a file is locked until the answer ends.

It is a flock, so the system releases it when its holder dies. The file names the holder; release() removes it. A waiting
process polls.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from missy.errors import UsageError
from missy.files import is_locked, open_private, read_private
from missy.os_errors import MissingFile, fault

if TYPE_CHECKING:
    from pathlib import Path

    from missy.sessions.store import Store

_ID = re.compile(r"[0-9a-f]{12}")
PAUSE = 0.02  # seconds between two looks at a lock that is held
_owners: dict[str, object] = {}  # of the locks that this process holds: which thread or task


class Lock:
    """The lock of one session. `owner` is the thread or task: a second one of the same owner would wait for itself."""

    def __init__(self, store: Store, session: str, owner: object) -> None:
        self._path = _place(store, session)
        self._owner = owner
        self._file = -1

    def take(self) -> bool:
        """Acquire it if it is free. Raises UsageError if this owner holds it already."""
        if self._path is None or self._file >= 0:
            return True
        if _owners.get(str(self._path)) == self._owner:
            raise UsageError(
                "this session is still answering", hint="take that answer to its end, or close() it, first"
            )
        while self._file < 0:
            file = -1
            try:
                file = open_private(self._path, os.O_RDWR | os.O_CREAT)
                if not _lock(file, self._path):
                    return False
                if _is_at(file, self._path):  # else the last holder removed it in the meantime
                    self._file = file
            finally:
                if file not in (-1, self._file):
                    os.close(file)
        _owners[str(self._path)] = self._owner
        with suppress(OSError):  # a full disk: then the holder is not named
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        return True

    def holder(self) -> str:
        """Return the name of the holder, as far as it is known."""
        try:
            text = read_private(self._path, 64).decode("ascii", "replace") if self._path else ""
        except MissingFile:
            text = ""
        return f"process {text}" if text.isdigit() else "another process"

    def release(self) -> None:
        """Release it."""
        if self._file < 0 or self._path is None:
            return
        _owners.pop(str(self._path), None)
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            fcntl.flock(
                self._file, fcntl.LOCK_UN
            )  # a child forked in the meantime shares it: release it for both
        with suppress(OSError):
            os.close(self._file)
        self._file = -1


def is_held(store: Store, session: str) -> bool:
    """Tell whether an answer is in progress. If not, a turn in the state `asking` was left by a dead process."""
    path = _place(store, session)
    return path is None or is_locked(path)  # in memory, only the process that answers can ask


def forget(store: Store, session: str) -> None:
    """Remove the file of a killed holder."""
    path = _place(store, session)
    lock = Lock(store, session, object())
    if path is not None and path.exists() and lock.take():
        lock.release()


def _place(store: Store, session: str) -> Path | None:
    if store.path is None:
        return None
    if not _ID.fullmatch(session):  # an id from the database is never used as a path
        session = hashlib.sha256(session.encode(errors="replace")).hexdigest()
    return store.path.parent / "locks" / f"session-{session}"


def _lock(file: int, path: Path) -> bool:
    """Lock an open file, if nobody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise fault("lock", path, error) from error
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
