"""The list of sessions, most recently used first, with their totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from missy.sessions import tree
from missy.sessions.records import SessionRecord, moment
from missy.sessions.totals import ESTIMATED, UNPRICED_TURNS

if TYPE_CHECKING:
    import sqlite3

    from missy.sessions.store import Store

_LONGEST_TITLE = 60
_SUMS = ("in_tok", "out_tok", "cached_tok", "reasoning_tok", "cost_micro")


@dataclass(frozen=True, slots=True)
class Listed:
    """A session and its totals. A total is None if no turn has the number.

    `cost_complete`: every turn has a cost; `cost_estimated`: some have only an estimate.
    """

    session: SessionRecord
    title: str
    turns: int
    model: str | None
    in_tok: int | None
    out_tok: int | None
    cached_tok: int | None
    reasoning_tok: int | None
    cost_micro: int | None
    cost_complete: bool
    cost_estimated: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `sessions list --json`."""
        session = self.session
        return {
            "id": session.id,
            "name": session.name or self.title or None,
            "created": moment(session.created_ms),
            "updated": moment(session.updated_ms),
            "turns": self.turns,
            "entry": session.entry,
            "model": self.model,
            "usage": usage(self.in_tok, self.out_tok, self.cached_tok, self.reasoning_tok),
            "cost_usd": dollars(self.cost_micro),
            "cost_complete": self.cost_complete,
            **({"cost_estimated": True} if self.cost_estimated else {}),
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """The answered turns of a session's path, and the sums of all its turns; a sum is None if no turn has the number."""

    turns: int
    in_tok: int | None
    out_tok: int | None
    cost_micro: int | None
    cost_complete: bool
    cost_estimated: bool


def totals(store: Store, session: str) -> Totals:
    """Return the totals of one session, those of turns that were put aside included: they were paid, too."""
    with store.read() as db:
        row = db.execute(
            f"SELECT sum(in_tok), sum(out_tok), sum(cost_micro), {UNPRICED_TURNS}, {ESTIMATED} FROM turn WHERE session = ?",
            (session,),
        ).fetchone()
        answered = db.execute(
            """WITH RECURSIVE line(id, parent) AS (
            SELECT id, parent FROM turn WHERE id = (SELECT tip FROM session WHERE id = ?)
            UNION SELECT turn.id, turn.parent FROM turn JOIN line ON turn.id = line.parent)
            SELECT count(*) FROM line JOIN turn USING (id) WHERE turn.answer != ''""",
            (session,),
        ).fetchone()
    return Totals(answered[0], row[0], row[1], row[2], cost_complete=not row[3], cost_estimated=bool(row[4]))


def listing(store: Store, limit: int = 50) -> list[Listed]:
    """Return the most recently used sessions, newest first."""
    with store.read() as db:
        rows = db.execute(
            "SELECT id, name, created_ms, updated_ms, tip, forked_from, entry, model FROM session "
            "ORDER BY updated_ms DESC, tip DESC LIMIT ?",
            (limit,),
        ).fetchall()
        return [_listed(db, SessionRecord(*row)) for row in rows]


def _listed(db: sqlite3.Connection, session: SessionRecord) -> Listed:
    own = db.execute(
        f"SELECT {', '.join(f'sum({name})' for name in _SUMS)}, {UNPRICED_TURNS}, {ESTIMATED} FROM turn WHERE session = ?",
        (session.id,),
    ).fetchone()
    line = tree.line_ids(db, session.id)
    query = "SELECT substr(prompt, 1, 400) FROM turn WHERE id = ?"
    first = db.execute(query, (line[0],)).fetchone() if line else None
    last = db.execute("SELECT model FROM turn WHERE id = ?", (session.tip,)).fetchone()
    return Listed(
        session,
        title(first[0]) if first else "",
        len(line),
        (last and last[0]) or session.model,
        in_tok=own[0],
        out_tok=own[1],
        cached_tok=own[2],
        reasoning_tok=own[3],
        cost_micro=own[4],
        cost_complete=not own[5],
        cost_estimated=bool(own[6]),
    )


def title(prompt: str) -> str:
    """Return the title of an unnamed session: the first line of its first question."""
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1] + "…"


def usage(
    in_tok: int | None, out_tok: int | None, cached_tok: int | None, reasoning_tok: int | None
) -> dict[str, int | None] | None:
    """Return token counts as the JSON object; None if none is known."""
    if in_tok is None and out_tok is None and cached_tok is None and reasoning_tok is None:
        return None
    return {
        "input_tokens": in_tok,
        "output_tokens": out_tok,
        "total_tokens": None if in_tok is None or out_tok is None else in_tok + out_tok,
        "cached_tokens": cached_tok,
        "reasoning_tokens": reasoning_tok,
    }


def dollars(micro: int | None) -> float | None:
    """Return an amount in US dollars."""
    return None if micro is None else micro / 1_000_000
