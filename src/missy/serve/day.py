"""The budget of the day, for the requests of a gateway: in sessions.db, beside what `missy ask`, `run` and `batch` spend.

With `budget.day_usd`, each request is reserved before it is sent, and settled at its end. Without it, what was spent is
recorded in sums, one for each model and half minute.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from missy import threads
from missy.conversation.methods import StoreHandle
from missy.cost.price import MICRO
from missy.errors import BudgetError, MissyError
from missy.serve.faults import Refused, from_error
from missy.sessions.spend import Spent
from missy.spending import limits
from missy.spending.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config

RECORD_SECONDS = 30.0


class DayBudget:
    """What the requests of one gateway count towards the budget of the day. `notice` is told what was not recorded."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._store = StoreHandle()
        self._ledger = Ledger(self._store.to_record, notice)
        self._ledger.deferred = True
        self._notice = notice
        self._sums: dict[tuple[str, str | None, str | None, bool], Spent] = {}

    async def reserve(self, config: Config, call: Spent, most_micro: int) -> int | None:
        """Reserve the most that a request can cost. Returns the reservation; None where there is nothing to limit.

        Raises Refused if the budget would be passed, or cannot be read.
        """
        if config.budget.day_usd is None or not most_micro:
            return None
        most = most_micro * MICRO
        try:
            return await threads.in_thread(limits.reserve, self._ledger, call, most, config.budget, None)
        except BudgetError as error:
            raise from_error(error) from None
        except MissyError as error:
            said = f"the record of what was spent today cannot be used: {error.message}"
            raise Refused(503, "store_unavailable", said, retry_after=1.0) from None

    async def settle(self, row: int | None, call: Spent | None) -> None:
        """Record what a request took, in place of its reservation if it has one; None if it took nothing."""
        if row is not None:
            await threads.in_thread(self._ledger.settle, call, row)
        elif call is not None:
            place = (call.entry, call.model, call.price_from, call.cost_micro is None)
            self._sums[place] = _sum(self._sums.get(place), call)

    async def run(self) -> None:
        """Record the sums from time to time, until cancelled."""
        while True:
            await asyncio.sleep(RECORD_SECONDS)
            await threads.in_thread(self._record, self._taken())

    def close(self) -> None:
        """Record what is pending, and close the file."""
        self._record(self._taken())
        self._store.close(None, self._notice)

    def _taken(self) -> list[Spent]:
        sums, self._sums = self._sums, {}
        return list(sums.values())

    def _record(self, calls: list[Spent]) -> None:
        for call in calls:
            self._ledger.settle(call, None)
        self._ledger.flush()


def _sum(before: Spent | None, call: Spent) -> Spent:
    if before is None:
        return call._replace(at=time.time())
    return before._replace(
        in_tok=(before.in_tok or 0) + (call.in_tok or 0),
        out_tok=(before.out_tok or 0) + (call.out_tok or 0),
        cached_tok=(before.cached_tok or 0) + (call.cached_tok or 0),
        cost_micro=None if before.cost_micro is None else before.cost_micro + (call.cost_micro or 0),
    )
