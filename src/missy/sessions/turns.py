"""One turn from its question to its end: stored before the request is sent, and again with the whole outcome."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from missy.errors import MissyError, UsageError
from missy.plural import counted
from missy.sessions import tree
from missy.sessions.faults import NotStored
from missy.sessions.find import free_name, get
from missy.sessions.records import now_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from missy.sessions.records import Outcome, SessionRecord, StoredFile, TurnStart
    from missy.sessions.store import Store

_ENDS_WITH = (
    "state", "account", "finish_reason", "request_id", "in_tok", "out_tok", "cached_tok", "reasoning_tok",
    "cost_micro", "price_from",
)  # fmt: skip
_GONE = "ask again: what was deleted stays deleted"


def begin(store: Store, session: SessionRecord, asked: TurnStart, *, parent: int | None) -> tuple[int, int]:
    """Store a question as the child of `parent` and make it the tip; return the turn's id and number.

    A new session is created with it. The caller holds the session's lock, so turns in the state `asking` are dead.
    """
    now = now_ms()
    with store.write() as db:
        _ensure(db, session, now)
        query = "SELECT id FROM turn WHERE state = 'asking' AND session = ?"
        tree.cut(db, [row[0] for row in db.execute(query, (session.id,)).fetchall()])
        turn = db.execute(
            "INSERT INTO turn (session, parent, state, entry, kind, host, model, started_ms, options, prompt) "
            "VALUES (?, ?, 'asking', ?, ?, ?, ?, ?, ?, ?)",
            (
                session.id,
                parent,
                asked.entry,
                asked.kind,
                asked.host,
                asked.model,
                now,
                _json(asked.options),
                asked.prompt,
            ),
        ).lastrowid
        assert turn is not None
        _attach(db, turn, asked.attachments)
        db.execute(
            "UPDATE session SET tip = ?, updated_ms = max(?, updated_ms + 1), entry = ?, model = ?, system = ? WHERE id = ?",
            (turn, now, asked.entry, asked.options.get("model"), asked.system, session.id),
        )
        return turn, tree.number(db, session.id, turn)


def flush(store: Store, turn: int, answer: str, reasoning: str) -> None:
    """Store what has been received so far, in case the process dies."""
    with store.write() as db:
        db.execute(
            "UPDATE turn SET answer = ?, reasoning = ? WHERE id = ? AND state = 'asking'",
            (_whole(answer), _whole(reasoning) or None, turn),
        )


def finish(store: Store, turn: int, outcome: Outcome) -> None:
    """Store the outcome in one transaction. Raises NotStored."""
    now = now_ms()
    values = {name: getattr(outcome, name) for name in _ENDS_WITH} | {
        "answer": _whole(outcome.answer),
        "reasoning": _whole(outcome.reasoning) or None,
        "replay": _json(outcome.replay),
        "ended_ms": now,
    }
    if (answered := outcome.answered) is not None:
        values |= {"entry": answered.entry, "kind": answered.kind, "host": answered.host}
        values["options"] = _json(answered.options)
    query = f"UPDATE turn SET {', '.join(f'{name} = :{name}' for name in values)}, model = coalesce(:model, model) "
    try:
        with store.write() as db:
            done = db.execute(
                query + "WHERE id = :id AND state = 'asking'", {**values, "model": outcome.model, "id": turn}
            ).rowcount
            db.execute(
                "UPDATE session SET updated_ms = max(?, updated_ms) WHERE id = (SELECT session FROM turn WHERE id = ?)",
                (now, turn),
            )
    except MissyError as error:
        raise NotStored(f"the answer was not stored: {error.message}", hint=error.hint) from error
    if not done:
        raise NotStored("the answer was not stored: its session was deleted meanwhile", hint=_GONE)


def point(store: Store, session: str, tip: int | None) -> None:
    """Make another turn the tip. Raises UsageError if the session was deleted."""
    with store.write() as db:
        done = db.execute(
            "UPDATE session SET tip = ?, updated_ms = max(?, updated_ms + 1) WHERE id = ?",
            (tip, now_ms(), session),
        )
        if not done.rowcount:
            raise UsageError(
                "this session was deleted meanwhile", hint="missy sessions list shows what is there"
            )


def undo(store: Store, session: str, count: int = 1) -> int:
    """Make the last turns inactive; return how many active ones are left. Raises UsageError."""
    with store.read() as db:
        line = tree.line_ids(db, session)
    if not 1 <= count <= len(line):
        raise UsageError(f"{counted(count, 'turn')} cannot be undone", hint=f"the session has {len(line)}")
    left = line[: len(line) - count]
    point(store, session, left[-1] if left else None)
    return len(left)


def fork(
    store: Store, session: SessionRecord, *, new_id: str, turn: int | None, name: str | None
) -> SessionRecord:
    """Create a session that continues from a turn of this one (None: the last one that has ended)."""
    tree.settle(store, session.id)
    now = now_ms()
    with store.write() as db:
        free_name(db, name)
        ended = "SELECT id, parent, state FROM turn WHERE id = ?"
        tip = session.tip if turn is None else turn
        row = db.execute(ended, (tip,)).fetchone()
        if row is not None and row[2] == "asking":
            if turn is not None:
                raise UsageError("that turn has not ended yet", hint="wait for its answer, or fork before it")
            tip = row[1]
        db.execute(
            "INSERT INTO session (id, name, created_ms, updated_ms, tip, forked_from, entry, model, system) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (new_id, name, now, now, tip, session.id, session.entry, session.model, session.system),
        )
    return get(store, new_id)


def _ensure(db: sqlite3.Connection, session: SessionRecord, now: int) -> None:
    """Create the session if it is new. Raises UsageError if it was deleted."""
    if db.execute("SELECT 1 FROM session WHERE id = ?", (session.id,)).fetchone():
        return
    if session.created_ms:
        raise UsageError("this session was deleted meanwhile", hint=_GONE)
    free_name(db, session.name)
    db.execute(
        "INSERT INTO session (id, name, created_ms, updated_ms) VALUES (?, ?, ?, ?)",
        (session.id, session.name, now, now),
    )


def _attach(db: sqlite3.Connection, turn: int, files: Sequence[StoredFile]) -> None:
    for n, file in enumerate(files):
        data = file.data or b""
        digest = hashlib.sha256(file.media_type.encode() + b"\0" + data).hexdigest()
        db.execute(
            "INSERT OR IGNORE INTO blob (sha256, media_type, size, data) VALUES (?, ?, ?, ?)",
            (digest, file.media_type, len(data), data),
        )
        db.execute(
            "INSERT INTO attachment (turn, n, name, sha256) VALUES (?, ?, ?, ?)", (turn, n, file.name, digest)
        )


def _whole(text: str) -> str:
    """Return a text as it can be stored: a lone surrogate, which an endpoint may send, becomes a question mark."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))
