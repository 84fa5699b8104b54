"""Backups of what tools changed, and taking the last change back. The files are in MISSY_HOME/tools/backups."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import Any, NamedTuple

from missy import files, paths
from missy.errors import MissyError, UsageError
from missy.os_errors import MissingFile
from missy.toolbox.written import digest

MAX_KEPT = 200  # changes; older ones are forgotten
_MAX_INDEX_BYTES = 4 << 20
_MAX_BACKUP_BYTES = 16 << 20


class Change(NamedTuple):
    """One change: the file, the number of its backup (None: there was no file), and the hash of what was written."""

    workspace: str
    path: str
    backup: str | None
    written: str
    at: float


class Backups:
    """The backups of this MISSY_HOME."""

    def __init__(self) -> None:
        self._folder = paths.home() / "tools" / "backups"
        self._index = self._folder / "index.json"

    def save(self, workspace: str, path: str, before: bytes | None, written: bytes) -> None:
        """Keep what a file holds before it is changed. Raises MissyError: then it must not be changed."""
        name = None
        if before is not None:
            name = os.urandom(8).hex()
            files.write_private(self._folder / name, before)
        with files.lock(self._index):
            changes = [*self._load(), Change(workspace, path, name, written.hex(), time.time())]
            for old in changes[:-MAX_KEPT]:
                self._drop(old)
            self._store(changes[-MAX_KEPT:])

    def changes(self) -> list[Change]:
        """Return the changes that can be taken back, the oldest first."""
        return self._load()

    def undo(self, *, force: bool = False) -> Change:
        """Take the last change back. Raises UsageError if there is none, or if the file was changed since."""
        with files.lock(self._index):
            changes = self._load()
            if not changes:
                raise UsageError("there is no change to take back", hint="see: missy audit recent --tools")
            last = changes[-1]
            place = os.path.join(last.workspace, last.path)
            folder = os.path.dirname(place)
            if os.path.realpath(folder) != folder:  # it was a real path when the tool wrote there
                raise UsageError(
                    f"{folder} leads elsewhere by a link now, so nothing is written there",
                    hint="put the folder back, or copy the backup yourself: MISSY_HOME/tools/backups",
                )
            if not force and _digest_of(place) != last.written:
                raise UsageError(
                    f"{place} was changed since the tool wrote it",
                    hint="take it back all the same: missy tools undo --force",
                )
            _restore(
                place,
                files.read_private(self._folder / last.backup, _MAX_BACKUP_BYTES) if last.backup else None,
            )
            self._drop(last)
            self._store(changes[:-1])
        return last

    def _drop(self, change: Change) -> None:
        if change.backup is not None:
            try:
                os.unlink(self._folder / change.backup)
            except OSError:
                return

    def _load(self) -> list[Change]:
        try:
            found = json.loads(files.read_private(self._index, _MAX_INDEX_BYTES))
            return [Change(*item) for item in found]
        except MissingFile:
            return []
        except (ValueError, TypeError):
            raise MissyError(
                f"{self._index} is broken", hint="move it away: the backups beside it stay"
            ) from None

    def _store(self, changes: list[Change]) -> None:
        value: list[Any] = [list(change) for change in changes]
        files.write_private(self._index, json.dumps(value).encode())


def _digest_of(place: str) -> str:
    try:
        info = os.lstat(place)
        if not stat.S_ISREG(info.st_mode):
            return "no regular file"
        with open(place, "rb") as file:
            return digest(file.read(_MAX_BACKUP_BYTES)).hex()
    except OSError:
        return "none"


def _restore(place: str, data: bytes | None) -> None:
    """Put the old content back, in the same way as it was replaced; without one, the file goes. Raises MissyError."""
    try:
        if data is None:
            os.unlink(place)
            return
        mode = stat.S_IMODE(os.lstat(place).st_mode) if os.path.exists(place) else 0o600
        temporary = f"{place}.missy-{os.urandom(6).hex()}.tmp"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(file, "wb") as writer:
            writer.write(data)
        os.chmod(temporary, mode)
        os.rename(temporary, place)
    except OSError as error:
        raise MissyError(
            f"{place} cannot be restored: {error.strerror}", hint="the backup is kept"
        ) from error
