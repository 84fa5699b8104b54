"""What one request took: counted while it runs, and settled once at its end, whatever that is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.serve.faults import from_error
from missy.serve.ledger import Spent
from missy.serve.pricing import Cost, cost, upper
from missy.sessions import spend
from missy.spending.estimate import tokens

if TYPE_CHECKING:
    from missy.config.schema import Config
    from missy.cost.price import Price
    from missy.events import Usage
    from missy.serve.books import Books
    from missy.serve.day import DayBudget
    from missy.serve.keys import Key
    from missy.serve.metrics import Metrics
    from missy.serve.routes import Target
    from missy.serve.wire import Asked
    from missy.spending.ledger import Found

OK, INCOMPLETE, LEFT = "ok", "incomplete", "left"
_NOTHING = Cost(0, 0, 0, 0, is_estimated=False, is_unpriced=False)


class Meter:
    """The account of one request. `may_cost`: the endpoint may have charged something; `usage` is what it said."""

    def __init__(
        self, books: Books, day: DayBudget, metrics: Metrics, key: Key, target: Target, asked: Asked
    ) -> None:
        self._books = books
        self._day = day
        self._metrics = metrics
        self._key = key
        self._target = target
        self._asked = asked
        self._began = time.monotonic()
        self._price: Price | None = None
        self._source = ""
        self._row: int | None = None  # of the reservation under the day's budget
        self.usage: Usage | None = None
        self.output_bytes = 0
        self.may_cost = False
        self._settled = False

    async def reserve(self, config: Config, found: Found) -> None:
        """Reserve the most that the request can take; `found` is its price. Raises Refused."""
        asked = self._asked
        output = (asked.output_tokens or config.serve.reserve_output_tokens) * asked.choices
        self._price, self._source = found
        is_limited = self._key.budget_micro is not None or config.budget.day_usd is not None
        try:
            most = upper(self._price, self._target, asked.input_tokens, output, limited=is_limited)
        except MissyError as error:
            raise from_error(error) from None
        self._row = await self._day.reserve(config, self._counted(_NOTHING), most)
        try:
            self._reservation = await self._books.reserve(self._key, most, asked.input_tokens + output)
        except BaseException:
            await self._day.settle(self._row, None)
            raise

    async def settle(self, result: str) -> None:
        """Record what the request took, once; `result` is OK, INCOMPLETE, LEFT or the code of an error."""
        if self._settled:
            return
        self._settled = True
        took = _NOTHING
        if self.may_cost:
            took = cost(self._price, self.usage, self._asked.input_tokens, tokens(self.output_bytes))
        target = self._target
        spent = Spent(
            int(time.time()) // 60,
            self._key.name,
            target.entry.entry,
            target.model or "",
            requests=1,
            failed=int(result not in (OK, INCOMPLETE, LEFT)),
            incomplete=int(result in (INCOMPLETE, LEFT)),
            input_tokens=took.input_tokens,
            output_tokens=took.output_tokens,
            cached_tokens=took.cached_tokens,
            cost_micro=took.micro,
            estimated=int(took.is_estimated),
            unpriced=int(took.is_unpriced),
            latency_ms=int((time.monotonic() - self._began) * 1000),
        )
        try:
            await self._books.settle(self._reservation, spent)
        finally:
            await self._day.settle(self._row, self._counted(took) if self.may_cost else None)
        self._metrics.count(spent, result)

    def _counted(self, took: Cost) -> spend.Spent:
        """Return the request as the record of the day's budget has it."""
        is_told = self.usage is not None and self.usage.cost is not None
        source = ("~" if took.is_estimated else "") + ("endpoint" if is_told else self._source)
        return spend.Spent(
            self._target.entry.entry,
            self._target.model,
            in_tok=took.input_tokens,
            out_tok=took.output_tokens,
            cached_tok=took.cached_tokens,
            cost_micro=None if took.is_unpriced or took is _NOTHING else took.micro,
            price_from=source or None,
        )
