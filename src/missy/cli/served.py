"""The ledger of `missy serve`, for commands: opened, used and closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from missy.serve.ledger import Ledger
from missy.serve.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from missy.cli.app import App

_T = TypeVar("_T")


def with_ledger(app: App, work: Callable[[Ledger], Awaitable[_T]]) -> _T:
    """Do some work on the ledger that the configuration names, and return its result. Raises MissyError."""

    async def inside() -> _T:
        store = open_store(app.config().serve.store)
        try:
            await store.open()
            return await work(Ledger(store))
        finally:
            await store.close()

    return asyncio.run(inside())
