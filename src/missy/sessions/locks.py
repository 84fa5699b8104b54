"""One answer at a time in a session, among all processes: a file that is locked while the answer comes.

The lock is the system's, and ends with its holder; the file holds who that is, and goes with it. Who waits asks again.
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
    """The lock of one session. `owner` is who would wait for itself: a thread, or a task."""

    def __init__(self, store: Store, session: str, owner: object) -> None:
        self._path = _place(store, session)
        self._owner = owner
        self._file = -1

    def take(self) -> bool:
        """Take it, if nobody has it. Raises UsageError where the holder is the one who asks."""
        if self._path is None or self._file >= 0:
            return True
        if _owners.get(str(self._path)) == self._owner:
            raise UsageError(
                "this session is still answering", hint="take that answer to its end, or close() it, first"
            )
        while True:
            file = open_private(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            except OSError as error:
                os.close(file)
                raise fault("lock", self._path, error) from error
            if _is_at(file, self._path):
                break
            os.close(file)  # the last holder removed it meanwhile
        with suppress(OSError):  # a full disk: then nobody is told who holds it
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file
        _owners[str(self._path)] = self._owner
        return True

    def holder(self) -> str:
        """Say who has it, as far as is known."""
        try:
            text = read_private(self._path, 64).decode("ascii", "replace") if self._path else ""
        except MissingFile:
            text = ""
        return f"process {text}" if text.isdigit() else "another process"

    def release(self) -> None:
        """Give it back."""
        if self._file < 0 or self._path is None:
            return
        _owners.pop(str(self._path), None)
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)  # a child forked meanwhile shares it: end it for both
        with suppress(OSError):
            os.close(self._file)
        self._file = -1


def is_held(store: Store, session: str) -> bool:
    """Tell whether an answer is under way. A turn that is `asking` in a session where none is, is a dead one."""
    path = _place(store, session)
    return path is None or is_locked(path)  # in memory, only the process that answers can ask


def forget(store: Store, session: str) -> None:
    """Remove what a killed holder left."""
    path = _place(store, session)
    lock = Lock(store, session, object())
    if path is not None and path.exists() and lock.take():
        lock.release()


def _place(store: Store, session: str) -> Path | None:
    if store.path is None:
        return None
    if not _ID.fullmatch(session):  # what the database says is no path
        session = hashlib.sha256(session.encode(errors="replace")).hexdigest()
    return store.path.parent / "locks" / f"session-{session}"


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
