"""The open database: its connection, settings, and read and write transactions.

Every write is one `BEGIN IMMEDIATE`: a transaction that begins as a read and then writes fails at once if another writer
is active, whatever the timeout. It must never open a file that others can read.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from missy import files as own_files
from missy import paths
from missy.sessions import files, schema
from missy.sessions.faults import PATIENCE, faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from missy.sessions.schema import Step

_OLDEST = (3, 37, 0)  # of SQLite: the first with STRICT tables


class Store:
    """One connection, shared by all threads one at a time. `path` is None for a database in memory."""

    def __init__(self, path: Path | None, *, steps: Sequence[Step] = schema.STEPS) -> None:
        self.path = path
        self._steps = steps
        self._mutex = threading.RLock()
        self._pid = os.getpid()
        self._db: sqlite3.Connection | None = None
        with faults(path):
            self._db = self._connect()

    @classmethod
    def open(cls, *, make: bool = True) -> Store:
        """Open the database of MISSY_HOME. With `make=False` a missing one is replaced by an empty one in memory."""
        path = paths.home() / files.NAME
        return cls(path if make or os.path.lexists(path) else None)

    def _connect(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise sqlite3.NotSupportedError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 is needed")
        if self.path is not None:
            files.make_ready(self.path)
        db = sqlite3.connect(
            self.path or ":memory:", timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute("BEGIN")  # one consistent snapshot: another process may be creating the file
        schema.require_ours(db, self.path, self._steps)
        db.execute("ROLLBACK")
        for setting in (
            "secure_delete = ON",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            "synchronous = FULL",
        ):
            db.execute(f"PRAGMA {setting}")
        mode = files.journal(self.path.parent) if self.path is not None else "MEMORY"
        if schema.version(db) < len(self._steps):
            self._upgrade(db, mode)
        _set_journal(db, mode)  # already set, except in a file that came from another disk

    def _upgrade(self, db: sqlite3.Connection, mode: str) -> None:
        if self.path is None:
            return schema.upgrade(db, None, self._steps)
        with own_files.lock(self.path):  # one process at a time upgrades; the others find it done
            if schema.version(db) == 0:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the file has its first page
            db.execute(
                f"PRAGMA journal_mode = {mode}"
            )  # before anybody else finds the schema that he looks for
            if schema.version(db) < len(self._steps):
                schema.upgrade(db, self.path, self._steps)
        return None

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one read transaction: a consistent snapshot."""
        with self._mutex, faults(self.path):
            db = self._own()
            if db.in_transaction:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one write transaction: afterwards all of it is on the disk, or none."""
        with self._mutex, faults(self.path):
            db = self._own()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection outside any transaction, for the statements that need that."""
        with self._mutex, faults(self.path):
            yield self._own()

    def _own(self) -> sqlite3.Connection:
        """Return the connection. After a fork a new one is opened: the old one belongs to the parent."""
        if self._db is None or (self._pid != os.getpid() and self.path is not None):
            self._pid = os.getpid()
            self._db = self._connect()
        return self._db

    def close(self) -> None:
        """Close the connection; a later use opens it again."""
        with self._mutex:
            if self._db is not None and self.path is not None and self._pid == os.getpid():
                self._db.close()
                self._db = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _set_journal(db: sqlite3.Connection, mode: str) -> None:
    """Set the journal mode. SQLite does not apply its busy timeout here, so this polls."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)
