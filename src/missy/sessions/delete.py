"""Secure deletion: from the tables, from the freed pages, from the write-ahead log (WAL), from backup copies, and the
prompts from the history of typed lines.

Deleted bytes are overwritten (`secure_delete`), and the WAL is truncated afterwards; until then it may contain them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.sessions import files, locks, tree
from missy.sessions.input_history import NAME, InputHistory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from missy.sessions.store import Store

_WAIT = 5.0  # seconds to wait for a reader


class Remains(MissyError):
    """The sessions are deleted, but some of their bytes are still in the WAL."""

    type = "remains"


def delete(store: Store, ids: Collection[str]) -> int:
    """Delete sessions and the attachments that only they use; return how many. Raises Remains."""
    ids = set(ids)
    prompts: set[str] = set()
    with store.write() as db:
        _hand_over(db, ids)
        gone = 0
        for id_ in ids:
            prompts.update(row[0] for row in db.execute("SELECT prompt FROM turn WHERE session = ?", (id_,)))
            gone += db.execute("DELETE FROM session WHERE id = ?", (id_,)).rowcount
            db.execute("UPDATE session SET forked_from = NULL WHERE forked_from = ?", (id_,))
        db.execute("DELETE FROM blob WHERE sha256 NOT IN (SELECT sha256 FROM attachment)")
    try:
        if store.path is not None:
            InputHistory(store.path.parent / NAME).forget(prompts)
    finally:
        wipe(store)
    for id_ in ids:
        locks.forget(store, id_)
    return gone


# The sessions that reach turns of others: by their tip, or by the parent of a turn of their own.
_BORROWERS = """
SELECT session.id FROM session JOIN turn ON turn.id = session.tip WHERE turn.session != session.id
UNION SELECT turn.session FROM turn JOIN turn AS before ON before.id = turn.parent WHERE before.session != turn.session
"""


def _hand_over(db: sqlite3.Connection, ids: set[str]) -> None:
    """Move shared turns to the forks that are kept."""
    for id_ in [row[0] for row in db.execute(_BORROWERS) if row[0] not in ids]:
        for turn in tree.reach_ids(db, id_):
            owner = db.execute("SELECT session FROM turn WHERE id = ?", (turn,)).fetchone()[0]
            if owner in ids:
                db.execute("UPDATE turn SET session = ? WHERE id = ?", (id_, turn))


def wipe(store: Store) -> None:
    """Release freed pages, truncate the WAL, and remove backup copies. Raises Remains."""
    if store.path is None:
        return
    with store.bare() as db:
        db.executescript(
            "PRAGMA incremental_vacuum"
        )  # `execute` would take one step of it, which is one page
        end = time.monotonic() + _WAIT
        db.execute("PRAGMA busy_timeout = 500")
        try:
            while _is_busy(db):
                if time.monotonic() >= end:
                    raise Remains(
                        f"deleted, but another process is reading {store.path}: "
                        f"remains are in {store.path.name}-wal until it ends",
                        hint="end that process, then run `missy sessions check`: it clears them",
                    )
                time.sleep(0.05)
        finally:
            db.execute("PRAGMA busy_timeout = 10000")
    for copy in files.copies(store.path):
        copy.unlink(missing_ok=True)


def _is_busy(db: sqlite3.Connection) -> bool:
    """Try to truncate the WAL; return True if another connection prevents it."""
    return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
