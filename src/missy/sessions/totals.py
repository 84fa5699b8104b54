"""Sums over the record of calls, for `missy usage`. A sum leaves out what is not known, and says of how many calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from missy.sessions.store import Store

# Of a turn that failed before anything came, nothing is paid.
UNPRICED_TURNS = "coalesce(sum(cost_micro IS NULL AND state NOT IN ('failed', 'asking')), 0)"
ESTIMATED = "coalesce(max(price_from LIKE '~%'), 0)"
# what to sum by -> SQL for the key of a row, and the order of the rows
_KEYS = {
    "day": ("strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch', 'localtime')", "1"),
    "entry": ("spend.entry", "5 DESC, 1"),
    "model": ("spend.model", "5 DESC, 1"),
    "session": ("spend.session", "5 DESC, 1"),
}
KEYS = tuple(_KEYS)


@dataclass(frozen=True, slots=True)
class Total:
    """The sums of one row. A sum is None if no call has the number.

    `key` is None for calls without a model, or without a session that is stored. `unpriced_calls` have no known cost,
    and `estimated` says that a part of the cost was estimated.
    """

    key: str | None
    name: str | None
    calls: int
    in_tok: int | None
    out_tok: int | None
    cached_tok: int | None
    cost_micro: int | None
    unpriced_calls: int
    estimated: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `usage --json`."""
        return {
            "key": self.key,
            **({} if self.name is None else {"name": self.name}),
            "calls": self.calls,
            "input_tokens": self.in_tok,
            "output_tokens": self.out_tok,
            "cached_tokens": self.cached_tok,
            "cost_usd": None if self.cost_micro is None else self.cost_micro / 1_000_000,
            "cost_complete": not self.unpriced_calls,
            "cost_estimated": self.estimated,
            "unpriced_calls": self.unpriced_calls,
        }


def totals(store: Store, since_ms: int, by: str, *, entry: str | None = None) -> list[Total]:
    """Return the sums of all calls since a time, by one of `KEYS`; days in order, others with the highest cost first."""
    key, order = _KEYS[by]
    with store.read() as db:
        rows = db.execute(
            f"""SELECT {key}, max(session.name), count(*), sum(in_tok), sum(cost_micro), sum(out_tok), sum(cached_tok),
            sum(cost_micro IS NULL), {ESTIMATED}
            FROM spend LEFT JOIN session ON session.id = spend.session
            WHERE at_ms >= ? AND (? IS NULL OR spend.entry = ?) GROUP BY 1 ORDER BY {order}""",
            (since_ms, entry, entry),
        ).fetchall()
    return [
        Total(
            row[0], row[1] if by == "session" else None, row[2],
            in_tok=row[3], out_tok=row[5], cached_tok=row[6],
            cost_micro=row[4], unpriced_calls=row[7], estimated=bool(row[8]),
        )
        for row in rows
    ]  # fmt: skip
