"""The record of what was spent, and the limits on it: `spend` in sessions.db, which is opened on first use."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from missy import paths
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config, Entry
    from missy.cost.price import Price
    from missy.cost.prices import PriceList
    from missy.sessions.spend import Limits, Refused, Spent
    from missy.sessions.store import Store


class Ledger:
    """The prices and the record of one Missy or AsyncMissy. Safe to use from several threads.

    With `deferred`, calls without a reservation are recorded at `flush`.
    """

    def __init__(self, open_store: Callable[[], Store], notice: Callable[[str], None]) -> None:
        self._open = open_store
        self._notice = notice
        self._prices: PriceList | None = None
        self._mutex = threading.Lock()
        self._pending: list[Spent] = []
        self.deferred = False

    @property
    def is_pending(self) -> bool:
        """Whether there is something to record."""
        return bool(self._pending)

    def price(self, config: Config, entry: Entry, model: str | None) -> tuple[Price | None, str]:
        """Return the price of a model at an entry, and what it is from; None if it is not known.

        The entry's own price, then nothing for what runs here or in one's own network, then the table. A plan has none.
        """
        from missy.cost.price import FREE, flat

        if entry.price is not None:
            own = entry.price
            return flat(own.input, own.output, own.cached_input), "config"
        from missy.policy import parse

        target = None if entry.endpoint is None else parse(entry.endpoint)
        if target is None or entry.endpoint is None or target.is_loopback:
            return FREE, "free"  # here, by a server of Missy's own or another one
        if entry.spec.has_login:
            return None, ""  # paid by a plan, not by the call
        path = "/" + entry.endpoint.partition("://")[2].partition("/")[2]
        listed = self._list()
        found = listed.find(target.host, path, model) if model else None
        if found is not None:
            return found, listed.source
        from missy.cost.free import is_free

        return (FREE, "free") if is_free(config, entry) else (None, "")

    def _list(self) -> PriceList:
        if self._prices is None:
            from missy.cost.prices import NOTE_FILE, PriceList

            self._prices = PriceList(paths.home() / NOTE_FILE)
        return self._prices

    def reserve(self, call: Spent, amount: int, limits: Limits) -> int | Refused:
        """Reserve an amount. Returns the row; or the limit that would be passed. Raises MissyError."""
        from missy.sessions import spend

        return spend.reserve(self._open(), call, amount, limits)

    def settle(self, call: Spent | None, row: int | None) -> None:
        """Record what a call cost, in place of its reservation if it has one; None if it cost nothing.

        The answer is there already, so an error is only told: an unsettled reservation counts whole.
        """
        if call is not None and row is None and self.deferred:
            self._pending.append(call)
            return
        self._store(call, row)

    def flush(self) -> None:
        """Record what was deferred."""
        with self._mutex:
            pending, self._pending = self._pending, []
        for call in pending:
            self._store(call, None)

    def _store(self, call: Spent | None, row: int | None) -> None:
        if call is None and row is None:
            return
        from missy.sessions import spend

        try:
            store = self._open()
            if row is None:
                assert call is not None
                spend.record(store, call)
            elif call is None:
                spend.release(store, row)
            else:
                spend.settle(store, row, call)
        except MissyError as error:
            self._notice(f"the cost of this answer was not recorded: {error.message} ({error.hint})")


def day_start(now: float, days: int = 0) -> float:
    """Return the last local midnight, in Unix seconds; with `days`, the midnight so many days after it."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, 0, 0, 0, 0, -1))
