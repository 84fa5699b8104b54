"""The ledger as requests use it: who calls, what is reserved and settled, also while the store comes and goes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

from missy.serve import limits
from missy.serve.faults import Refused, store_unavailable
from missy.serve.keys import hash_of, presented
from missy.serve.ledger import Ledger, Reservation, Spent
from missy.serve.store import StoreDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.serve.keys import Key
    from missy.serve.metrics import Metrics

TICK_SECONDS = 1.0
_LEASE_TICKS = 5  # a third of a lease
MAX_UNSETTLED = 10_000
MAX_REMEMBERED_KEYS = 1_000
_NO_KEY = "a key of this gateway is needed: Authorization: Bearer mk-..."
_WRONG_KEY = "this key is not known here, or it was revoked, or it has expired"


class Books:
    """Keys, limits and usage for the requests of one replica. `allows` says whether requests pass while it is down."""

    def __init__(self, ledger: Ledger, metrics: Metrics, allows: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._allows = allows
        self._unsettled: list[tuple[Reservation, Spent]] = []
        self._refused: dict[tuple[str, str, str], int] = {}
        self._seen: OrderedDict[str, Key] = OrderedDict()  # for the time without a store

    async def who(self, authorization: str) -> Key:
        """Return the key of a request. Raises Refused."""
        key = presented(authorization)
        if key is None:
            raise Refused(401, "invalid_api_key", _NO_KEY if not authorization else _WRONG_KEY)
        return await self.who_is(hash_of(key))

    async def who_is(self, digest: str) -> Key:
        """Return the key of a hash. Raises Refused for one that cannot be used."""
        try:
            found = await self._ledger.find(digest)
            self._metrics.store_up = True
        except StoreDown:
            self._metrics.store_up = False
            found = self._seen.get(digest)
            if not self._allows() or found is None:
                raise store_unavailable() from None
        if found is None or found.state(time.time()) != "valid":
            self._seen.pop(digest, None)
            raise Refused(401, "invalid_api_key", _WRONG_KEY)
        self._seen[digest] = found
        self._seen.move_to_end(digest)
        while len(self._seen) > MAX_REMEMBERED_KEYS:
            self._seen.popitem(last=False)
        return found

    async def reserve(self, key: Key, most_micro: int, tokens: int) -> Reservation:
        """Reserve what a request may take. Raises Refused."""
        now = time.time()
        counters = limits.counters(key, most_micro, tokens, now)
        try:
            made = await self._ledger.reserve(key, counters)
            self._metrics.store_up = True
        except StoreDown:
            self._metrics.store_up = False
            if not self._allows():
                raise store_unavailable() from None
            return Reservation("", key.name, ())
        if isinstance(made, Reservation):
            return made
        raise limits.refusal(key, *made, now)

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Record what a request took. While the store is down it is kept in memory, and recorded later."""
        try:
            await self._ledger.settle(reservation, spent)
        except StoreDown:
            self._metrics.store_up = False
            if len(self._unsettled) < MAX_UNSETTLED:
                self._unsettled.append((reservation, spent))
                self._metrics.unsettled = len(self._unsettled)

    def refused(self, key: str, entry: str, model: str) -> None:
        """Count a refusal; it is written with the next tick, so that refusing costs no transaction."""
        place = (key, entry, model)
        if place in self._refused or len(self._refused) < MAX_UNSETTLED:
            self._refused[place] = self._refused.get(place, 0) + 1

    async def run(self) -> None:
        """Extend leases, give back what others left, and record what is pending, until cancelled."""
        tick = 0
        while True:
            with suppress(StoreDown):
                await self.flush()
                if tick % _LEASE_TICKS == 0:
                    await self._ledger.keep_alive()
                    await self._ledger.sweep()
                    self._metrics.store_up = True
            tick += 1
            await asyncio.sleep(TICK_SECONDS)

    async def is_up(self) -> bool:
        """Whether the store can be reached now."""
        try:
            await self._ledger.taken("", "")
        except StoreDown:
            self._metrics.store_up = False
            return False
        self._metrics.store_up = True
        return True

    async def close(self) -> None:
        """Record what is pending, if the store is there."""
        with suppress(StoreDown):
            await self.flush()

    async def flush(self) -> None:
        """Record what is pending. Raises StoreDown."""
        while self._unsettled:
            await self._ledger.settle(*self._unsettled[0])
            self._unsettled.pop(0)
            self._metrics.unsettled = len(self._unsettled)
        if self._refused:
            taken, self._refused = self._refused, {}
            minute = int(time.time()) // 60
            try:
                await self._ledger.add_usage([Spent(minute, *place, refused=n) for place, n in taken.items()])
            except StoreDown:
                for place, count in self._refused.items():
                    taken[place] = taken.get(place, 0) + count
                self._refused = taken
                raise
