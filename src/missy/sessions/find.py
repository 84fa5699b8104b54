"""Find a session by its id, the first characters of its id, or its name."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError
from missy.sessions.records import SessionRecord, now_ms

if TYPE_CHECKING:
    import sqlite3

    from missy.sessions.store import Store

LEAST = 4  # shortest prefix of an id
LONGEST_NAME = 200
_ID = re.compile(r"[0-9a-f]{12}")
_PREFIX = re.compile(rf"[0-9a-f]{{{LEAST},12}}")
_COLUMNS = "id, name, created_ms, updated_ms, tip, forked_from, entry, model, system"
_LIST = "see: missy sessions list"


def new_id() -> str:
    """Return a random id."""
    return secrets.token_hex(6)


def fresh(name: str | None = None) -> SessionRecord:
    """Return a new session; it is stored with its first question. Raises UsageError for an invalid name."""
    return SessionRecord(new_id(), None if name is None else check_name(name), 0, 0, None)


def check_name(name: str) -> str:
    """Return the name as it is stored. Raises UsageError if it is invalid."""
    kept = name.strip()
    if not kept or len(kept) > LONGEST_NAME or not kept.isprintable():
        raise UsageError(
            "that is no name for a session", hint=f"1 to {LONGEST_NAME} characters, no line end among them"
        )
    if _ID.fullmatch(kept):
        raise UsageError(f"a name must not look like an id, as '{kept}' does", hint="choose another name")
    return kept


def new_name(wanted: str) -> str:
    """Return the name of a new session, where no session was found by that word. Raises UsageError."""
    if _ID.fullmatch(wanted.strip()):
        raise UsageError(f"'{wanted.strip()}' looks like an id, and no session has it", hint=_LIST)
    return check_name(wanted)


def free_name(db: sqlite3.Connection, name: str | None, *, owner: str | None = None) -> None:
    """Raise UsageError if a session other than `owner` has the name already."""
    query = "SELECT id FROM session WHERE name = ? AND id IS NOT ?"
    found = name and db.execute(query, (name, owner)).fetchone()
    if found:
        raise UsageError(f"the session {found[0]} has the name '{name}' already", hint="choose another name")


def claim(store: Store, session: SessionRecord) -> SessionRecord:
    """Store a new named session, or return the one that another process stored in the meantime."""
    now = now_ms()
    with store.write() as db:
        found = db.execute(f"SELECT {_COLUMNS} FROM session WHERE name = ?", (session.name,)).fetchone()
        if found is None:
            db.execute(
                "INSERT INTO session (id, name, created_ms, updated_ms) VALUES (?, ?, ?, ?)",
                (session.id, session.name, now, now),
            )
    return SessionRecord(*found) if found else get(store, session.id)


def find(store: Store, wanted: str) -> SessionRecord | None:
    """Return the session, or None. Raises UsageError if the prefix is ambiguous."""
    with store.read() as db:
        for column in ("id", "name"):
            row = db.execute(
                f"SELECT {_COLUMNS} FROM session WHERE {column} = ?", (wanted.strip(),)
            ).fetchone()
            if row:
                return SessionRecord(*row)
        start = wanted.strip().lower()
        if not _PREFIX.fullmatch(start):
            return None
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM session WHERE substr(id, 1, ?) = ? ORDER BY updated_ms DESC",
            (len(start), start),
        ).fetchall()
    if len(rows) > 1:
        raise UsageError(f"'{start}' may be one of {len(rows)} sessions", hint="they are: " + _named(rows))
    return SessionRecord(*rows[0]) if rows else None


def find_or_new(store: Store, wanted: str | None) -> SessionRecord:
    """Return the session, else a new one with that name or without a name. Raises UsageError."""
    found = None if wanted is None else find(store, wanted)
    return found or fresh(None if wanted is None else new_name(wanted))


def require(store: Store, wanted: str) -> SessionRecord:
    """Return the session. Raises UsageError if there is none."""
    found = find(store, wanted)
    if found is None:
        raise UsageError(f"there is no session '{wanted}'", hint=_LIST)
    return found


def get(store: Store, id_: str) -> SessionRecord:
    """Return the current state of a session. Raises UsageError if it was deleted."""
    with store.read() as db:
        row = db.execute(f"SELECT {_COLUMNS} FROM session WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise UsageError(f"there is no session '{id_}' any more", hint=_LIST)
    return SessionRecord(*row)


def latest(store: Store) -> SessionRecord:
    """Return the most recently used session. Raises UsageError if there is none."""
    with store.read() as db:
        row = db.execute(
            f"SELECT {_COLUMNS} FROM session ORDER BY updated_ms DESC, tip DESC LIMIT 1"
        ).fetchone()
    if row is None:
        raise UsageError("there is no session to continue", hint="begin one: missy ask --session NAME ...")
    return SessionRecord(*row)


def rename(store: Store, session: str, name: str) -> str:
    """Rename a session; return the name as stored. Raises UsageError."""
    kept = check_name(name)
    with store.write() as db:
        free_name(db, kept, owner=session)
        db.execute("UPDATE session SET name = ? WHERE id = ?", (kept, session))
    return kept


def older_than(store: Store, seconds: float) -> list[str]:
    """Return the ids of the sessions that were last used longer ago than this."""
    with store.read() as db:
        rows = db.execute("SELECT id FROM session WHERE updated_ms < ?", (now_ms() - int(seconds * 1000),))
        return [row[0] for row in rows]


def every_id(store: Store) -> list[str]:
    """Return the ids of all sessions."""
    with store.read() as db:
        return [row[0] for row in db.execute("SELECT id FROM session")]


def _named(rows: list[tuple[Any, ...]]) -> str:
    shown = [f"{row[0]} ({row[1]})" if row[1] else str(row[0]) for row in rows[:10]]
    return ", ".join(shown) + (", ..." if len(rows) > 10 else "")
