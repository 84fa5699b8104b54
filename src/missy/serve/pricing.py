"""What a request may cost, and what it cost. The price is that of `missy ask`; what was found is remembered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from missy.cost.price import to_micro
from missy.spending.ledger import Ledger as Prices
from missy.spending.limits import unknown_price

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config
    from missy.cost.price import Price
    from missy.events import Usage
    from missy.serve.routes import Target
    from missy.sessions.store import Store
    from missy.spending.ledger import Found

_MAX_REMEMBERED = 1_000


class Cost(NamedTuple):
    """What a request took. `micro` is in millionths of a dollar, 0 for an unknown price."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    micro: int
    is_estimated: bool
    is_unpriced: bool


class Pricing:
    """The prices of one gateway."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._prices = Prices(_no_store, notice)
        self._known: dict[object, Found] = {}

    async def price(self, config: Config, target: Target) -> Found:
        """Return the price of a model, None if it is not known, and what it is from. A thread does the first look."""
        key = (target.entry, target.model, config.network)
        if key not in self._known:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = await asyncio.to_thread(self._prices.price, config, target.entry, target.model)
        return self._known[key]


def upper(
    price: Price | None, target: Target, input_tokens: int, output_tokens: int, *, limited: bool
) -> int:
    """Return the most that a request can cost, in micro-dollars. Raises BudgetError if `limited` and unknown."""
    most = None if price is None else price.upper(input_tokens, output_tokens, datetime.now(UTC))
    if most is None:
        if limited:
            raise unknown_price(target.entry, target.model)
        return 0
    return to_micro(most)


def cost(price: Price | None, usage: Usage | None, given: int, made: int) -> Cost:
    """Return what a request took by the endpoint's usage; `given` and `made` are estimates of what that does not say.

    A count of 0 is a count.
    """
    told_in = None if usage is None else usage.input_tokens
    told_out = None if usage is None else usage.output_tokens
    cached = (usage.cached_tokens or 0) if usage is not None else 0
    is_estimated = told_in is None or told_out is None
    tokens_in = given if told_in is None else told_in
    tokens_out = made if told_out is None else told_out
    now = datetime.now(UTC)
    if usage is not None and usage.cost is not None:
        return Cost(tokens_in, tokens_out, cached, to_micro(usage.cost), is_estimated, is_unpriced=False)
    found = None
    if price is not None:
        exact = None if is_estimated or usage is None else price.cost(usage, now)
        found = price.upper(tokens_in, tokens_out, now) if exact is None else exact
    return Cost(
        tokens_in, tokens_out, cached, 0 if found is None else to_micro(found), is_estimated, found is None
    )


def _no_store() -> Store:
    raise AssertionError("prices need no database")
