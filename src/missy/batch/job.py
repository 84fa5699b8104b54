"""The folder of one job: `job.json`, the journal, the lock. One process at a time runs a job."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from missy import files, paths
from missy.batch.journal import Journal
from missy.batch.plan import Plan
from missy.errors import MissyError, UsageError
from missy.folders import ensure_dir
from missy.os_errors import MissingFile, fault

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
COMMIT_ROWS = 64  # that are synced together at most
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_JOB_BYTES = 4 << 20


def jobs_folder() -> Path:
    """Return where jobs are kept."""
    return paths.home() / "jobs"


def check_name(name: str) -> str:
    """Return a job's name. Raises UsageError for one that is none."""
    if not _NAME.fullmatch(name) or name.endswith((".", ".lock")):
        raise UsageError(
            f"{name!r} is no name for a job",
            hint="use letters, digits, - _ and . (at most 100), a letter or digit first",
        )
    return name


class Job:
    """One job. `told` is the content of job.json."""

    def __init__(self, name: str, told: dict[str, Any]) -> None:
        self.name = name
        self.told = told

    # --- on disk

    @classmethod
    def load(cls, name: str) -> Job | None:
        """Read a job; None where there is none. Raises MissyError for one that cannot be read."""
        path = jobs_folder() / check_name(name) / "job.json"
        try:
            told = json.loads(files.read_private(path, _MAX_JOB_BYTES))
        except MissingFile:
            return None
        except ValueError as error:
            raise MissyError(
                f"{path} is not JSON: {error}", hint="delete the job: missy batch delete"
            ) from None
        if not isinstance(told, dict) or told.get("version") != VERSION:
            raise MissyError(f"{path} is of another version of Missy", hint="use the one that wrote it")
        return cls(name, told)

    @classmethod
    def require(cls, name: str) -> Job:
        """Read a job. Raises UsageError where there is none."""
        found = cls.load(name)
        if found is None:
            raise UsageError(f"there is no job {name!r}", hint="see: missy batch list")
        return found

    @classmethod
    def all(cls) -> list[Job]:
        """Return every job, by name."""
        folder = jobs_folder()
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        found = (cls.load(name) for name in names if _NAME.fullmatch(name))
        return [job for job in found if job is not None]

    def save(self) -> None:
        """Write job.json. Raises MissyError."""
        ensure_dir(self.folder)
        files.write_private(self.folder / "job.json", json.dumps(self.told, indent=1).encode() + b"\n")

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return jobs_folder() / self.name

    @property
    def plan(self) -> Plan:
        """What is asked of each row."""
        return Plan(**self.told["plan"])

    @property
    def input(self) -> Path:
        """The file of its rows."""
        return Path(self.told["input"]["path"])

    @property
    def total(self) -> int | None:
        """How many rows there are; None if they were not counted yet."""
        found: int | None = self.told["input"].get("rows")
        return found

    @property
    def shard(self) -> tuple[int, int]:
        """Which part of the rows it has: (1, 1) is all of them."""
        i, n = self.told.get("shard") or (1, 1)
        return i, n

    def has(self, row: int) -> bool:
        """Tell whether a row is one of this shard's."""
        i, n = self.shard
        return row % n == i - 1

    def share(self, rows: int) -> int:
        """Return how many of so many rows are this shard's."""
        i, n = self.shard
        return len(range(i - 1, rows, n))

    def journal(self, *, write: bool = False) -> Journal:
        """Open the journal. Raises MissingFile if nothing was ever asked, MissyError."""
        return Journal(self.folder / "answers.jsonl", write=write)

    @property
    def maybe_twice(self) -> int:
        """How many rows at most can have been asked twice, because a run was killed."""
        return int(self.told.get("maybe_twice", 0)) + _unclean(self._lock_note())[0]

    # --- its lock

    @property
    def is_running(self) -> bool:
        """Whether a process runs it now."""
        return files.is_locked(self.folder / "lock")

    def _lock_note(self) -> dict[str, Any]:
        if self.is_running:
            return {}
        return files.read_note(self.folder / "lock")

    @contextmanager
    def locked(self) -> Iterator[Lock]:
        """Hold the job's lock. Raises UsageError if another process runs the job."""
        path = self.folder / "lock"
        file = files.open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"job {self.name} is running in another process",
                    hint=f"see: missy batch status {self.name}; to end it: missy batch cancel {self.name}",
                ) from None
            except OSError as error:
                raise fault("lock", path, error) from error
            self._take_over(os.pread(file, 4096, 0))
            lock = Lock(file)
            lock.note({})
            yield lock
            lock.clear()
        finally:
            with suppress(OSError):
                os.close(file)

    def _take_over(self, left: bytes) -> None:
        """Count what a killed run may have asked and not stored: its rows, and what they may have cost."""
        try:
            note = json.loads(left) if left.strip(b"\0 \n") else {}
        except ValueError:
            note = {}
        rows, cost = _unclean(note)
        if rows or cost:
            self.told["maybe_twice"] = int(self.told.get("maybe_twice", 0)) + rows
            self.told["lost_nano"] = int(self.told.get("lost_nano", 0)) + cost
            self.save()

    def cancel(self) -> bool:
        """Ask the process that runs it to stop. Returns whether one does."""
        running = self.is_running
        if running:
            files.write_private(self.folder / "cancel", b"\n")
        return running

    @classmethod
    def delete_older(cls, days: int) -> list[str]:
        """Delete the jobs that were last run more days ago, and are not running. Returns their names."""
        oldest, gone = time.time() - days * 86_400, []
        for job in cls.all():
            if (job.folder / "job.json").stat().st_mtime < oldest and not job.is_running:
                job.delete()
                gone.append(job.name)
        return gone

    def forget_empty(self) -> None:
        """Remove the folder of a job that was only looked at."""
        if (self.folder / "answers.jsonl").stat().st_size == 0:
            shutil.rmtree(self.folder)

    def delete(self) -> None:
        """Delete the folder with all answers. Raises UsageError while the job is running."""
        with self.locked():
            shutil.rmtree(self.folder)


class Lock:
    """The open lock file. It says what a run that is killed may have asked without storing it."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.rows: int = 0
        self.cost: int = 0

    def note(self, more: dict[str, Any]) -> None:
        """Write who runs the job, and what may be under way."""
        text = json.dumps({"pid": os.getpid(), "rows": self.rows, "cost": self.cost, **more}).encode()
        with suppress(OSError):  # a full disk: then the journal says so first
            os.pwrite(self._file, text.ljust(200), 0)

    def may_ask(self, rows: int, cost: int) -> None:
        """Note that so many rows may be under way, of so much cost. A larger number is written, a smaller one is not."""
        if rows > self.rows or cost > self.cost:
            self.rows = max(self.rows, rows)
            self.cost = max(self.cost, cost + cost // 4)
            self.note({})

    def clear(self) -> None:
        """Note that the run ended as it should: everything that was answered is stored."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)


def _unclean(note: dict[str, Any]) -> tuple[int, int]:
    rows, cost = note.get("rows"), note.get("cost")
    if not isinstance(rows, int) or not isinstance(cost, int) or not rows:
        return 0, 0
    return rows + COMMIT_ROWS, cost
