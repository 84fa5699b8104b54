"""A conversation as a tree: each turn names its parent; the path from the first turn to the tip is what is shown.

Undo, retry and fork move or create a pointer; nothing is deleted. A fork shares its first turns with another session:
they stay for as long as one of the two exists.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError
from missy.sessions.locks import is_held
from missy.sessions.records import StoredFile, Turn, now_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from missy.sessions.store import Store

# Every turn that a session can reach: its own, its tip, and all before them. UNION, so that a cycle in a damaged file ends.
REACH = """
WITH RECURSIVE reach(id, parent) AS (
    SELECT id, parent FROM turn WHERE session = :session OR id = (SELECT tip FROM session WHERE id = :session)
    UNION SELECT turn.id, turn.parent FROM turn JOIN reach ON turn.id = reach.parent)
"""
_LINE = """
WITH RECURSIVE line(id, parent) AS (
    SELECT id, parent FROM turn WHERE id = (SELECT tip FROM session WHERE id = :session)
    UNION SELECT turn.id, turn.parent FROM turn JOIN line ON turn.id = line.parent)
SELECT id FROM line ORDER BY id
"""
_PLAIN = (
    "id", "session", "parent", "state", "entry", "kind", "host", "account", "model", "finish_reason", "request_id",
    "in_tok", "out_tok", "cached_tok", "reasoning_tok", "cost_micro", "price_from", "started_ms", "ended_ms", "prompt",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_PLAIN)}, options, answer, reasoning, replay FROM turn WHERE id IN "
_MOST = 500  # parameters of one statement


def line_ids(db: sqlite3.Connection, session: str) -> list[int]:
    """Return the ids of the turns from the first to the tip."""
    return [row[0] for row in db.execute(_LINE, {"session": session})]


def reach_ids(db: sqlite3.Connection, session: str) -> list[int]:
    """Return the ids of all turns, inactive ones included, in the order of their numbers."""
    return [row[0] for row in db.execute(REACH + "SELECT id FROM reach ORDER BY id", {"session": session})]


def number(db: sqlite3.Connection, session: str, turn: int) -> int:
    """Return a turn's number in a session."""
    return sum(1 for id_ in reach_ids(db, session) if id_ <= turn)


def turns(store: Store, session: str, *, aside: bool = False, data: bool = False) -> list[Turn]:
    """Return the turns of the path to the tip, or with `aside` all; with `data`, attachments have their bytes."""
    settle(store, session)
    with store.read() as db:
        every = reach_ids(db, session)
        line = set(line_ids(db, session))
        numbers = {id_: n for n, id_ in enumerate(every, 1)}
        wanted = every if aside else [id_ for id_ in every if id_ in line]
        files = _attachments(db, wanted, data=data)
        return [
            _turn(row, numbers[row[0]], active=row[0] in line, files=files.get(row[0], ()))
            for row in _rows(db, _SELECT, wanted)
        ]


def turn_id(store: Store, session: str, n: int) -> int:
    """Return the id of the turn of this number. Raises UsageError."""
    with store.read() as db:
        every = reach_ids(db, session)
    if not 1 <= n <= len(every):
        raise UsageError(
            f"this session has no turn {n}", hint=f"it has {len(every)}: missy sessions show --all"
        )
    return every[n - 1]


def settle(store: Store, session: str) -> None:
    """Mark as cut the turns of processes that died: those in the state `asking` whose session is not locked."""
    with store.read() as db:
        query = REACH + (
            "SELECT turn.session, turn.id FROM turn WHERE state = 'asking' AND id IN (SELECT id FROM reach)"
        )
        found = db.execute(query, {"session": session}).fetchall()
    dead = [id_ for owner, id_ in found if not is_held(store, owner)]
    if dead:
        with store.write() as db:
            cut(db, dead)


def cut(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Mark turns as cut, unless they have ended in the meantime."""
    db.executemany(
        "UPDATE turn SET state = 'cut', ended_ms = ? WHERE id = ? AND state = 'asking'",
        [(now_ms(), id_) for id_ in ids],
    )


def _rows(db: sqlite3.Connection, query: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(ids), _MOST):
        some = ids[start : start + _MOST]
        rows += db.execute(f"{query}({', '.join('?' * len(some))}) ORDER BY 1", some)
    return rows


def _attachments(
    db: sqlite3.Connection, ids: Sequence[int], *, data: bool
) -> dict[int, tuple[StoredFile, ...]]:
    query = (
        f"SELECT turn, attachment.n, name, media_type, size, {'data' if data else 'NULL'} "
        "FROM attachment JOIN blob USING (sha256) WHERE turn IN "
    )
    found: dict[int, list[tuple[int, StoredFile]]] = {}
    for turn, n, name, media_type, size, content in _rows(db, query, ids):
        found.setdefault(turn, []).append((n, StoredFile(name or "", media_type or "", size, content)))
    return {
        turn: tuple(file for _, file in sorted(files, key=lambda pair: pair[0]))
        for turn, files in found.items()
    }


def _turn(row: tuple[Any, ...], n: int, *, active: bool, files: tuple[StoredFile, ...]) -> Turn:
    plain = dict(zip(_PLAIN, row, strict=False))
    options, answer, reasoning, replay = row[len(_PLAIN) :]
    return Turn(
        n=n,
        active=active,
        attachments=files,
        options=_object(options) or {},
        answer=answer or "",
        reasoning=reasoning or "",
        replay=_object(replay),
        **plain,
    )


def _object(text: str | None) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
