"""What calls cost: numbers only, for every call, in a session or not. Amounts are in millionths of a US dollar.

A call under a budget is reserved before it is sent, and settled afterwards. A reservation that was never settled, because
its process died, counts whole until its day ends.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from missy.sessions.store import Store


class Spent(NamedTuple):
    """One call. What is not known is None."""

    entry: str
    model: str | None
    session: str | None = None
    in_tok: int | None = None
    out_tok: int | None = None
    cached_tok: int | None = None
    cost_micro: int | None = None
    price_from: str | None = None
    at: float | None = None  # Unix seconds; None is now


class Limits(NamedTuple):
    """What a reservation must stay under; None is no limit. `session_spent` is what was spent in a session that is not
    stored; of a stored one it is looked up.
    """

    day: int | None = None
    session: int | None = None
    day_start_ms: int = 0
    session_spent: int = 0


class Refused(NamedTuple):
    """A limit that would be passed: `day` or `session`, and what counts towards it so far."""

    limit: str
    spent: int


# A call counts by its cost, or by its reservation until that is known.
_COUNTED = "coalesce(sum(coalesce(cost_micro, reserved)), 0)"


def reserve(store: Store, call: Spent, amount: int, limits: Limits) -> int | Refused:
    """Reserve the most that a call can cost, in one transaction with the look at the limits. Returns the id of its row."""
    with store.write() as db:
        if limits.day is not None:
            spent = _sum(db, "at_ms >= ?", limits.day_start_ms)
            if spent + amount > limits.day:
                return Refused("day", spent)
        if limits.session is not None:
            spent = limits.session_spent
            if call.session is not None:
                spent += _sum(
                    db,
                    "session = ? AND (cost_micro IS NOT NULL OR at_ms >= ?)",
                    call.session,
                    limits.day_start_ms,
                )
            if spent + amount > limits.session:
                return Refused("session", spent)
        return _insert(db, call, reserved=amount)


def record(store: Store, calls: Sequence[Spent]) -> None:
    """Store calls that were not reserved, in one transaction."""
    with store.write() as db:
        for call in calls:
            _insert(db, call, reserved=None)


def settle(store: Store, row: int, call: Spent) -> None:
    """Replace a reservation by what the call cost. If that is not known, the reservation stays."""
    with store.write() as db:
        db.execute(
            "UPDATE spend SET model = ?, in_tok = ?, out_tok = ?, cached_tok = ?, cost_micro = ?, price_from = ? "
            "WHERE id = ?",
            (call.model, call.in_tok, call.out_tok, call.cached_tok, call.cost_micro, call.price_from, row),
        )


def release(store: Store, row: int) -> None:
    """Remove the reservation of a call that cost nothing, because it was not answered."""
    with store.write() as db:
        db.execute("DELETE FROM spend WHERE id = ?", (row,))


def _sum(db: sqlite3.Connection, where: str, *values: object) -> int:
    return int(db.execute(f"SELECT {_COUNTED} FROM spend WHERE {where}", values).fetchone()[0])


def _insert(db: sqlite3.Connection, call: Spent, *, reserved: int | None) -> int:
    row = db.execute(
        "INSERT INTO spend (at_ms, entry, model, in_tok, out_tok, cached_tok, cost_micro, price_from, reserved, pid, boot, "
        "session) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM session WHERE id = ?))",
        (
            int((time.time() if call.at is None else call.at) * 1000),
            call.entry,
            call.model,
            call.in_tok,
            call.out_tok,
            call.cached_tok,
            call.cost_micro,
            call.price_from,
            reserved,
            os.getpid(),
            _boot_id(),
            call.session,
        ),
    ).lastrowid
    assert row is not None
    return row


@cache
def _boot_id() -> str | None:
    """Return what names this run of the machine: a process id means nothing without it."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read(64).strip()
    return None
