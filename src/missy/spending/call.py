"""One call to a provider: what was counted of it, and what it cost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from missy.errors import IncompleteError, TimedOut
from missy.events import Done, Notice, Reasoning, Text, ToolCall, Usage

if TYPE_CHECKING:
    from decimal import Decimal

    from missy.config.schema import Config, Entry
    from missy.cost.price import Price
    from missy.events import Event
    from missy.providers.base import Request
    from missy.sessions.spend import Spent
    from missy.spending.ledger import Ledger


class Call:
    """One call. `cost` is known once it has ended; `estimated`: the endpoint did not say how many tokens it took."""

    def __init__(
        self, ledger: Ledger, config: Config, entry: Entry, request: Request, session: str | None
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._entry = entry
        self._request = request
        self._session = session
        self._model = request.model
        self._usage: Usage | None = None
        self._bytes = 0  # of output
        self._events = 0
        self._mutex = threading.RLock()
        self._ended = False
        self._settled = False
        self.row: int | None = None  # its reservation
        self.was_answered: bool = False
        self.most: Decimal | None = None  # that it can cost, if there is a limit
        self.cost: Decimal | None = None
        self.estimated: bool = False
        self.price_from: str = ""

    def note(self, event: Event) -> bool:
        """Take one event. Returns whether it is the last one of a whole answer."""
        kind = type(event)
        if kind is Text or kind is Reasoning:
            self._bytes += len(event.text)  # type: ignore[union-attr]
            if not event.text.isascii():  # type: ignore[union-attr]
                self._bytes += len(event.text.encode("utf-8", "replace")) - len(event.text)  # type: ignore[union-attr]
        elif kind is Notice:
            return False
        elif isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, ToolCall):
            from missy.spending.estimate import call_bytes

            self._bytes += call_bytes(event)
        self._events += 1
        if self._events == 2:  # the first one is shown by now
            self._load_price()
        if isinstance(event, Done):
            self._model = event.model or self._model
            return True
        return False

    def _load_price(self) -> None:
        """Begin to load the table of prices if it is needed, while the answer streams."""
        model = self._request.model
        if self._ledger.loads_table(self._config, self._entry, model):
            threading.Thread(target=self._find_price, args=(model,), daemon=True).start()

    @property
    def ends_at_once(self) -> bool:
        """Whether `end` needs no file: the price was looked up before."""
        models = {self._model, self._request.model}
        return all(self._ledger.knows(self._config, self._entry, model) for model in models)

    @property
    def settles_at_once(self) -> bool:
        """Whether `settle` needs no file: nothing was reserved, and it has ended."""
        return self.row is None and self._ended

    def end(self, error: BaseException | None) -> None:
        """Say what the call cost, once. `error` is what ended it before its end."""
        with self._mutex:
            if not self._ended:
                self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        stopped = error is not None and not isinstance(error, Exception)
        self.was_answered = self._events > 0 or stopped or isinstance(error, (IncompleteError, TimedOut))
        if self.was_answered:
            self._count()

    def _count(self) -> None:
        usage = self._usage or Usage()
        if usage.cost is not None:
            self.cost, self.price_from = usage.cost, "endpoint"
            return
        price, source = self._answered_price()
        if price is None:
            return
        from datetime import UTC, datetime

        now = datetime.now(UTC)
        self.cost, self.price_from = price.cost(usage, now), source
        if self.cost is None:
            from missy.spending import estimate

            given = usage.input_tokens
            made = usage.output_tokens
            self.cost = price.upper(
                estimate.input_tokens(self._request) if given is None else given,
                estimate.tokens(self._bytes) if made is None else made,
                now,
            )
            # What costs nothing costs nothing, however much of it there was.
            self.estimated = source != "free"

    def _answered_price(self) -> tuple[Price | None, str]:
        """Return the price of the model that answered. Another name of the requested one has its price."""
        found = self._find_price(self._model)
        asked = self._request.model
        if found[0] is None and asked != self._model and self._model:
            from missy.providers.counts import other_model

            if not other_model(asked, self._model):
                found = self._find_price(asked)
        return found

    def _find_price(self, model: str | None) -> tuple[Price | None, str]:
        try:
            return self._ledger.price(self._config, self._entry, model)
        except Exception:  # no answer is lost for want of a price
            return None, ""

    def drop(self) -> None:
        """Give the reservation back: the call was not sent."""
        with self._mutex:
            self._ended = True
        self.settle()

    def settle(self) -> None:
        """Record the call, once. Raises nothing: the answer is there."""
        with self._mutex:
            if self._settled:
                return
            self._settled = True
            if not self._ended:  # a task that is cancelled twice does not wait for `end`
                self._end(GeneratorExit())
        self._ledger.settle(self.as_spent() if self.was_answered else None, self.row)

    def as_spent(self) -> Spent:
        """Return the call as it is recorded."""
        from missy.cost.price import to_micro
        from missy.sessions.spend import Spent

        usage: Any = self._usage or Usage()
        return Spent(
            self._entry.entry,
            self._model,
            self._session,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            None if self.cost is None else to_micro(self.cost),
            ("~" if self.estimated else "") + self.price_from or None,
            time.time(),
        )
