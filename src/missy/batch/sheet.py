"""The record of what a job spends, in sessions.db beside that of single answers, and the budget of the day.

Rows are recorded in slices, not one by one. Under a budget a slice is reserved before its rows are sent, and settled when
the last of them has ended; the slice of a killed run counts whole until the day ends.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from missy.batch.money import NANO
from missy.errors import BudgetError
from missy.spending import limits

if TYPE_CHECKING:
    from missy.config.schema import Config, Entry
    from missy.config.section_schema import Budget
    from missy.events import Usage
    from missy.sessions.spend import Spent
    from missy.spending.ledger import Ledger

SLICE_ROWS = 64
RECORD_SECONDS = 30.0  # between two records without a budget


class Slice:
    """The rows that are recorded together. `row` is their reservation, None without one."""

    def __init__(self, row: int | None, left: int) -> None:
        self.row = row
        self.left = left  # of the reservation
        self.under_way = 0
        self.is_full = False
        self.rows: int = 0
        self.nano: int | None = 0
        self.counts: list[int] = [0, 0, 0]

    def add(self, usage: Usage | None, nano: int | None) -> None:
        """Add what a row cost."""
        self.rows += 1
        self.nano = None if self.nano is None or nano is None else self.nano + nano
        if usage is not None:
            found = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
            self.counts = [have + (more or 0) for have, more in zip(self.counts, found, strict=True)]


class SpendSheet:
    """What one run of a job records. `is_limited`: there is a budget, and the rows cost something."""

    def __init__(self, ledger: Ledger, config: Config, entry: Entry, model: str | None, source: str) -> None:
        self._ledger = ledger
        self._budget: Budget = config.budget
        self._entry = entry
        self._model = model
        self._source = source
        self.is_limited: bool = config.budget.day_usd is not None and source != "free"
        self._slice = Slice(None, 0)
        self._slice.is_full = self.is_limited
        self._recorded_at = time.monotonic()

    def has_room(self, most: int) -> bool:
        """Whether a row fits into the open slice, so that `open` need not be called, which uses the disk."""
        return not self.is_limited or (not self._slice.is_full and self._slice.left >= most)

    def open(self, most: int) -> None:
        """Reserve for more rows that cost as much at most. Raises BudgetError; MissyError."""
        self._fill()
        for rows in (SLICE_ROWS, 1):
            try:
                amount = most * rows
                call = self._spent(Slice(None, 0))._replace(cost_micro=None)  # not known yet
                row = limits.reserve(self._ledger, call, Decimal(amount) * NANO, self._budget, None)
            except BudgetError:
                if rows == 1:
                    raise
                continue
            self._slice = Slice(row, amount)
            return

    def take(self, most: int) -> Slice:
        """Begin a row in the open slice."""
        self._slice.left -= most
        self._slice.under_way += 1
        return self._slice

    def settle(self, held: Slice, usage: Usage | None, nano: int | None) -> bool:
        """End a row. Returns whether there is something to `record`, which uses the disk."""
        held.under_way -= 1
        held.add(usage, nano)
        if self.is_limited:
            return held.is_full and not held.under_way
        return time.monotonic() - self._recorded_at > RECORD_SECONDS

    def record(self, held: Slice | None = None) -> None:
        """Record a slice, or the open one. Raises nothing."""
        held = held or self._slice
        if held is self._slice:
            self._slice = Slice(None, 0)
            self._slice.is_full = self.is_limited
        self._recorded_at = time.monotonic()
        if held.rows or held.row is not None:
            self._ledger.settle(self._spent(held) if held.rows else None, held.row)

    def _fill(self) -> None:
        """Begin no more rows in the open slice."""
        self._slice.is_full = True
        if not self._slice.under_way and self._slice.row is not None:
            self.record(self._slice)

    def _spent(self, held: Slice) -> Spent:
        from missy.sessions.spend import Spent

        micro = None if held.nano is None else -(-held.nano // 1000)
        given, made, cached = held.counts
        source = self._source or None
        return Spent(self._entry.entry, self._model, None, given, made, cached, micro, source)
