"""The record of what was spent, and the limits on it: `spend` in sessions.db, which is opened on first use.

A reservation is on the disk before its call is sent. What is only counted is recorded some seconds later, all of it in one
transaction: a transaction of its own for each call takes longer than the call.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from missy import paths
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config, Entry
    from missy.cost.price import Price
    from missy.cost.prices import PriceList
    from missy.policy import Target
    from missy.sessions.spend import Limits, Refused, Spent
    from missy.sessions.store import Store

    Found = tuple[Price | None, str]

RECORD_SECONDS = 1.0  # that a call without a reservation waits at most before it is recorded


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
        self._timer: threading.Timer | None = None
        self._found: dict[tuple[str, str | None], tuple[Config, Entry, Found]] = {}
        self._flushes_at_exit = False
        self.deferred = False

    @property
    def is_pending(self) -> bool:
        """Whether there is something to record."""
        return bool(self._pending)

    def price(self, config: Config, entry: Entry, model: str | None) -> Found:
        """Return the price of a model at an entry, and what it is from; None if it is not known.

        The entry's own price, then nothing for what runs here or in one's own network, then the table. A plan has none.
        """
        if not self.knows(config, entry, model):
            self._found[entry.entry, model] = config, entry, self._look_up(config, entry, model)
        return self._found[entry.entry, model][2]

    def knows(self, config: Config, entry: Entry, model: str | None) -> bool:
        """Tell whether `price` answers without the disk, since it was asked the same before."""
        known = self._found.get((entry.entry, model))
        return known is not None and known[0] is config and known[1] is entry

    def loads_table(self, config: Config, entry: Entry, model: str | None) -> bool:
        """Tell whether `price` looks into the table of prices, which may have to be loaded first."""
        if not model or entry.price is not None or entry.spec.has_login or self.knows(config, entry, model):
            return False
        return _remote(entry) is not None

    def _look_up(self, config: Config, entry: Entry, model: str | None) -> Found:
        from missy.cost.price import FREE, flat

        if entry.price is not None:
            own = entry.price
            return flat(own.input, own.output, own.cached_input), "config"
        target = _remote(entry)
        if target is None or entry.endpoint is None:
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
        if row is not None:
            self._write(
                lambda store, spend: spend.settle(store, row, call) if call else spend.release(store, row)
            )
        elif call is not None:
            self._postpone(call)

    def _postpone(self, call: Spent) -> None:
        with self._mutex:
            self._pending.append(call)
            if self.deferred or self._timer is not None:
                return
            self._timer = threading.Timer(RECORD_SECONDS, self.flush)
            self._timer.daemon = True
            self._timer.start()
            if not self._flushes_at_exit:
                self._flushes_at_exit = True
                atexit.register(_flush_if_alive, weakref.ref(self))

    def flush(self) -> None:
        """Record now what was only counted so far."""
        with self._mutex:
            pending, self._pending = self._pending, []
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if pending:
            self._write(lambda store, spend: spend.record(store, pending))

    def _write(self, change: Callable[[Store, Any], None]) -> None:
        from missy.sessions import spend

        try:
            change(self._open(), spend)
        except MissyError as error:
            self._notice(f"the cost of this answer was not recorded: {error.message} ({error.hint})")


def _remote(entry: Entry) -> Target | None:
    """Return the endpoint of an entry if it is not on this machine."""
    from missy.policy import parse

    target = None if entry.endpoint is None else parse(entry.endpoint)
    return None if target is None or target.is_loopback else target


def _flush_if_alive(ledger: weakref.ref[Ledger]) -> None:
    """Record what is still pending when a program ends that closed nothing."""
    if (alive := ledger()) is not None:
        alive.flush()


def day_start(now: float, days: int = 0) -> float:
    """Return the last local midnight, in Unix seconds; with `days`, the midnight so many days after it."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, 0, 0, 0, 0, -1))
