"""The meter of one answer: it stands between a provider and the answer, and sees every call, also one that repairs."""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from missy.spending.call import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from decimal import Decimal

    from missy.config.schema import Config, Entry
    from missy.events import Event
    from missy.providers.base import Answering, Request
    from missy.spending.ledger import Ledger


class Meter:
    """What one answer costs, over all its calls.

    `session` is the stored session that it belongs to; `spent_in_memory` says what a session cost that is not stored, in
    millionths of a dollar.
    """

    def __init__(self, ledger: Ledger, config: Config) -> None:
        self._ledger = ledger
        self._config = config
        self._calls: list[Call] = []
        self.session: str | None = None
        self.spent_in_memory: Callable[[], int] | None = None

    def on(self, provider: Answering, entry: Entry) -> MeteredProvider:
        """Return the provider of an entry with this meter on it."""
        return MeteredProvider(provider, self, entry)

    @property
    def cost(self) -> Decimal | None:
        """What the calls that have ended cost; None if that is not known of one of them, or if there is none."""
        costs = [call.cost for call in self._calls if call.was_answered]
        if not costs or None in costs:
            return None
        from decimal import Decimal

        return sum((cost for cost in costs if cost is not None), Decimal(0))

    @property
    def estimated(self) -> bool:
        """Whether a part of the cost is an estimate, because an endpoint did not tell the tokens."""
        return any(call.estimated for call in self._calls)

    @property
    def price_from(self) -> str | None:
        """What the prices are from; `~` before it if the cost is an estimate."""
        names = dict.fromkeys(call.price_from for call in self._calls if call.price_from)
        return f"{'~' if self.estimated else ''}{', '.join(names)}" if names else None

    def stop(self, error: BaseException) -> None:
        """Count a call that is under way as ended by `error`."""
        for call in self._calls:
            call.end(error)

    def has_limit(self, request: Request) -> bool:
        """Whether there is a limit to keep, so that a call must be reserved before it is sent."""
        return request.max_cost is not None or self._has_budget

    @property
    def _has_budget(self) -> bool:
        budget = self._config.budget
        return budget.day_usd is not None or budget.session_usd is not None

    def begin(self, entry: Entry, request: Request) -> Call:
        """Begin a call; under a limit, reserve the most that it can cost. Raises BudgetError."""
        call = Call(self._ledger, self._config, entry, request, self.session)
        if self.has_limit(request):
            self._reserve(call, entry, request)
        self._calls.append(call)
        return call

    def _reserve(self, call: Call, entry: Entry, request: Request) -> None:
        from datetime import UTC, datetime
        from decimal import Decimal

        from missy.spending import estimate, limits

        price, source = self._ledger.price(self._config, entry, request.model)
        if source == "free":
            return
        given, made = estimate.input_tokens(request), estimate.output_tokens(request)
        most = price.upper(given, made, datetime.now(UTC)) if price is not None else None
        if most is None:
            raise limits.unknown_price(entry, request.model)
        if request.max_cost is not None:
            limits.check_call(most, self._counted(), Decimal(str(request.max_cost)))
        if self._has_budget:
            spent = None if self.spent_in_memory is None else self.spent_in_memory()
            call.row = limits.reserve(self._ledger, call.as_spent(), most, self._config.budget, spent)
        call.most = most

    def _counted(self) -> Decimal:
        """What counts towards the limit of the answer: what its calls cost, or could have cost where that is not known."""
        from decimal import Decimal

        counted = [call.most if call.cost is None else call.cost for call in self._calls if call.was_answered]
        return sum((cost for cost in counted if cost is not None), Decimal(0))


class MeteredProvider:
    """A provider whose calls are counted. See missy.providers.base.Answering."""

    def __init__(self, provider: Answering, meter: Meter, entry: Entry) -> None:
        self._provider = provider
        self._meter = meter
        self._entry = entry

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events. Raises MissyError; BudgetError before anything is sent."""
        call = self._begin(request)
        events: Any = self._provider.stream(request)
        try:
            with closing(events):
                for event in events:
                    if call.note(event):
                        call.end(None)
                    yield event
        except BaseException as error:
            call.end(error)
            raise
        finally:
            call.settle()

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code. What may use the disk runs in a thread, to its end."""
        from missy import threads

        call = await self._abegin(request)
        events: Any = self._provider.astream(request)
        try:
            async with aclosing(events):
                async for event in events:
                    if call.note(event):
                        call.end(None) if call.ends_at_once else await threads.in_thread(call.end, None)
                    yield event
        except BaseException as error:
            await threads.in_thread(call.end, error)
            raise
        finally:
            call.settle() if call.settles_at_once else await threads.in_thread(call.settle)

    def _begin(self, request: Request) -> Call:
        return self._meter.begin(self._entry, request)

    async def _abegin(self, request: Request) -> Call:
        """Begin a call. If this task is cancelled while it is reserved, nothing is sent, and nothing stays reserved."""
        if not self._meter.has_limit(request):
            return self._begin(request)
        import asyncio

        from missy import threads

        beginning = threads.start(self._meter.begin, self._entry, request)
        try:
            await threads.finish(beginning)
        except asyncio.CancelledError:
            if beginning.exception() is None:
                await threads.in_thread(beginning.result().drop)
            raise
        return beginning.result()
