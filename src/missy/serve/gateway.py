"""What all requests of one gateway share: the runtime, the ledger, prices, counts, and who is being answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from missy.errors import UsageError
from missy.policy import parse
from missy.runtime import Runtime
from missy.serve.books import Books
from missy.serve.day import DayBudget
from missy.serve.ledger import Ledger
from missy.serve.metrics import Metrics
from missy.serve.pricing import Pricing

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config, Entry
    from missy.providers.relay import Relaying
    from missy.serve.routes import Target
    from missy.serve.store import Store
    from missy.serve.watched import Watched


class Gateway:
    """One gateway, until `close`."""

    def __init__(self, config: Config, store: Store, notice: Callable[[str], None]) -> None:
        self.runtime: Runtime = Runtime(config, notice=notice)
        self.metrics: Metrics = Metrics()
        self.ledger: Ledger = Ledger(store)
        self.books: Books = Books(self.ledger, self.metrics, self._allows)
        self.day: DayBudget = DayBudget(notice)
        self.pricing: Pricing = Pricing(notice)
        self.active: set[Watched] = set()
        self._store = store
        self._ticking: list[asyncio.Task[None]] = []

    def _allows(self) -> bool:
        return self.runtime.config.serve.on_store_failure == "allow"

    async def open(self) -> None:
        """Open the store, and begin to keep the ledger. Raises MissyError."""
        await self._store.open()
        self._ticking = [asyncio.create_task(one.run()) for one in (self.books, self.day)]

    async def provider(self, entry: Entry) -> Relaying:
        """Return the provider of an entry. Raises MissyError."""
        found = self.runtime.ready_provider(entry)
        if found is None:
            found = await asyncio.to_thread(self.runtime.provider, entry)
        # No kind without it may be served: the configuration refuses them. An isinstance check of a Protocol takes 20 us.
        if not hasattr(found, "fresh_attempts"):
            raise UsageError(f"the entry {entry.entry} cannot be served")
        return cast("Relaying", found)

    def model_of(self, target: Target) -> str:
        """Return the name of the model that is asked at the endpoint. Raises UsageError for an entry without one."""
        if target.model is not None:
            return target.model
        _, request = self.runtime.plan("hi", target.entry.entry, {})
        if request.model is None:
            name = target.entry.entry
            raise UsageError(f"the entry {name} names no model", hint=f"ask for {name}/MODEL")
        return request.model

    def host_of(self, target: Target) -> str:
        """Return the host of an entry, for messages."""
        endpoint = target.entry.endpoint
        return target.entry.entry if endpoint is None else parse(endpoint).host

    def stop_all(self) -> None:
        """End every answer that is under way."""
        for watched in list(self.active):
            watched.stop()

    async def close(self) -> None:
        """Write what is pending, and close every connection."""
        for task in self._ticking:
            task.cancel()
        await asyncio.gather(*self._ticking, return_exceptions=True)
        await self.books.close()
        self.day.close()
        await self._store.close()
        for door in self.runtime.end():
            await door.aclose()
        self.runtime.audit.close()
