"""The tables of sessions.db, as numbered migration steps, and the upgrade of an older file.

A released step is never changed: a new one is added. It must never change a file that a newer Missy wrote. Small columns
come before large ones: SQLite reads a column by going through all those before it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.os_errors import faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    Step = Sequence[str]

APPLICATION_ID = 0x4D697373  # "Miss"

STEPS: tuple[Step, ...] = (
    (
        """CREATE TABLE session (
            id TEXT PRIMARY KEY, name TEXT UNIQUE, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, tip INTEGER,
            forked_from TEXT, entry TEXT, model TEXT, system TEXT) STRICT""",
        "CREATE INDEX session_updated ON session(updated_ms)",
        """CREATE TABLE turn (
            id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session ON DELETE CASCADE, parent INTEGER,
            state TEXT NOT NULL CHECK (state IN ('asking', 'whole', 'stopped', 'cut', 'failed')),
            entry TEXT, kind TEXT, host TEXT, account TEXT, model TEXT, finish_reason TEXT, request_id TEXT,
            in_tok INTEGER, out_tok INTEGER, cached_tok INTEGER, reasoning_tok INTEGER, cost_micro INTEGER,
            price_from TEXT, started_ms INTEGER NOT NULL, ended_ms INTEGER, options TEXT, prompt TEXT NOT NULL,
            answer TEXT, reasoning TEXT, replay TEXT) STRICT""",
        "CREATE INDEX turn_session ON turn(session, id)",
        "CREATE INDEX turn_asking ON turn(id) WHERE state = 'asking'",
        "CREATE TABLE blob (sha256 TEXT PRIMARY KEY, media_type TEXT, size INTEGER NOT NULL, data BLOB NOT NULL) STRICT",
        """CREATE TABLE attachment (
            turn INTEGER NOT NULL REFERENCES turn ON DELETE CASCADE, n INTEGER NOT NULL, name TEXT,
            sha256 TEXT NOT NULL REFERENCES blob, PRIMARY KEY (turn, n)) STRICT""",
        "CREATE INDEX attachment_blob ON attachment(sha256)",
        """CREATE TABLE spend (
            id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, entry TEXT, model TEXT, in_tok INTEGER, out_tok INTEGER,
            cached_tok INTEGER, cost_micro INTEGER, price_from TEXT, reserved INTEGER, pid INTEGER, boot TEXT,
            session TEXT REFERENCES session ON DELETE SET NULL) STRICT""",
        "CREATE INDEX spend_at ON spend(at_ms)",
        "CREATE INDEX spend_session ON spend(session) WHERE session IS NOT NULL",
    ),
)


def version(db: sqlite3.Connection) -> int:
    """Return the number of steps that were applied to the file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def require_ours(db: sqlite3.Connection, path: Path | None, steps: Sequence[Step]) -> None:
    """Refuse a file of a newer Missy, and one of another program. Only its header is read."""
    found = version(db)
    if found > len(steps):
        raise MissyError(
            f"{path} was written by a newer Missy (schema {found}, this one knows {len(steps)}); nothing was read",
            hint="update Missy, or set MISSY_HOME to another folder",
        )
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID and (found or db.execute("SELECT 1 FROM sqlite_master").fetchone()):
        raise MissyError(f"{path} is a database, but not one of Missy's", hint="move it away")


def upgrade(db: sqlite3.Connection, path: Path | None, steps: Sequence[Step]) -> None:
    """Upgrade the file to the newest schema in one transaction; a backup copy is kept until that is done."""
    found = version(db)
    copy = _copy(db, path, found) if found and path is not None else None
    db.execute("BEGIN EXCLUSIVE")
    try:
        for step in steps[found:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    if copy is not None:
        copy.unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, path: Path, found: int) -> Path:
    copy = path.with_name(f"{path.name}.bak-{found}")
    with faults("write", copy):
        copy.unlink(missing_ok=True)
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    target = sqlite3.connect(copy)
    try:
        db.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, which can be moved
    finally:
        target.close()
    return copy
