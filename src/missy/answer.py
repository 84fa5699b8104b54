"""One answer: an iterator over its events that also keeps its text, usage and times. No I/O of its own."""

from __future__ import annotations

import io
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from missy.errors import UsageError
from missy.events import Citation, Done, Notice, Reasoning, Text, ToolCall, ToolResult, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from decimal import Decimal

    from missy.events import Event
    from missy.spending.meter import Meter
    from missy.structured.schema import Schema


class Asked(Protocol):
    """Who is asked for an answer; it changes when another entry is asked instead."""

    @property
    def provider(self) -> str:
        """The name of the entry."""

    @property
    def model(self) -> str | None:
        """The model, None for the endpoint's own choice."""

    @property
    def fallback_from(self) -> str | None:
        """The entry that was asked first, None if it is still asked."""

    @property
    def meter(self) -> Meter | None:
        """What counts the cost; None before the answer begins."""

    @property
    def held_back(self) -> str:
        """The text that has come and is not given out before it was checked."""


class _Tally:
    """Common part of Answer and AsyncAnswer: `so_far` is the text received so far, without commentary.

    `tool_calls` are those that the caller is to run; those that a toolbox dealt with are in `tool_results`.
    `provider` is the entry that answers; `fallback_from` is the one that was asked first, None where that is the same.
    """

    def __init__(self, *, asked: Asked, schema: Schema | None) -> None:
        self._schema = schema
        self._asked = asked
        self.provider: str = asked.provider
        self.model = asked.model
        self.fallback_from: str | None = None
        self.usage: Usage | None = None
        self.done: Done | None = None
        self.tool_calls: list[ToolCall] = []
        self.citations: list[Citation] = []
        self.tool_results: list[ToolResult] = []
        self.ttft_ms: int | None = None
        self._started = monotonic()
        self._ended: float | None = None
        self._text = io.StringIO()

    def _note(self, event: Event) -> None:
        if isinstance(event, Text):
            if not event.commentary:
                self._text.write(event.text)
            if self.ttft_ms is None:
                self.ttft_ms = self._since_start()
            return
        if self.ttft_ms is None and isinstance(event, (Reasoning, ToolCall)):
            self.ttft_ms = self._since_start()
        if isinstance(event, Notice):
            self._take_over()
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Citation):
            self.citations.append(event)
        elif isinstance(event, ToolCall):
            self.tool_calls.append(event)
        elif isinstance(event, ToolResult):
            self.tool_calls = [call for call in self.tool_calls if call.id != event.id]
            self.tool_results.append(event)
        elif isinstance(event, Done):
            self.done = event
            self.model = event.model or self.model
            self._ended = monotonic()

    def _take_over(self) -> None:
        """Note that another entry is asked now: a Notice says so."""
        asked = self._asked
        if asked.provider != self.provider:
            self.provider, self.model, self.fallback_from = asked.provider, asked.model, asked.fallback_from

    def _since_start(self) -> int:
        return round((monotonic() - self._started) * 1000)

    @property
    def so_far(self) -> str:
        """The text received so far; after an error, the text before it."""
        return self._text.getvalue()

    @property
    def received(self) -> str:
        """`so_far`; of an answer that must fit a schema and ended before it was checked, the unchecked text."""
        return self.so_far or self._asked.held_back

    @property
    def cost(self) -> Decimal | None:
        """What the answer cost, in US dollars, with its retries and repairs; None if it has not ended or is not known."""
        meter = self._asked.meter
        return None if meter is None else meter.cost

    @property
    def cost_estimated(self) -> bool:
        """Whether the cost is an estimate from above: a stopped answer comes without counts of tokens."""
        meter = self._asked.meter
        return meter is not None and meter.estimated

    @property
    def price_from(self) -> str | None:
        """What the price is from: `endpoint`, `config`, `free`, or the table; `~` before it for an estimate."""
        meter = self._asked.meter
        return None if meter is None else meter.price_from

    def charge_to(self, session: str | None, spent_in_memory: Callable[[], int]) -> None:
        """Charge the answer to a session before it begins: a stored one, or (None) one in memory."""
        if self._asked.meter is not None:
            self._asked.meter.session = session
            self._asked.meter.spent_in_memory = spent_in_memory if session is None else None

    def stop_meter(self, error: BaseException) -> None:
        """Count what the answer has cost up to now, because `error` ended it."""
        if self._asked.meter is not None:
            self._asked.meter.stop(error)

    def _value(self) -> Any:
        if self._schema is None:
            raise UsageError("this answer has no value: no schema was given", hint="ask(..., schema=...)")
        return self._schema.read(self.so_far)

    @property
    def duration_ms(self) -> int:
        """Milliseconds from the call to the last event, or to now."""
        return round(((self._ended or monotonic()) - self._started) * 1000)


class Answer(_Tally):
    """Iterate over it for typed events as they arrive, or call `text()`. Raises MissyError if it is incomplete."""

    def __init__(
        self,
        events: Iterator[Event],
        *,
        asked: Asked,
        schema: Schema | None = None,
    ) -> None:
        super().__init__(asked=asked, schema=schema)
        self._events = events

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            self._note(event)
            yield event

    def text(self) -> str:
        """Read the answer to its end and return the whole text. Raises IncompleteError instead of returning a part of it."""
        for _ in self:
            pass
        return self.so_far

    def value(self) -> Any:
        """Drain the answer and return what it gives for its schema. Raises SchemaMismatch; UsageError without a schema."""
        self.text()
        return self._value()

    def close(self) -> None:
        """Cancel the answer: close its connection."""
        close = getattr(self._events, "close", None)
        if close is not None:
            close()


class AsyncAnswer(_Tally):
    """The same for async code: `async for`, or `await answer.text()`."""

    def __init__(
        self,
        events: AsyncIterator[Event],
        *,
        asked: Asked,
        schema: Schema | None = None,
    ) -> None:
        super().__init__(asked=asked, schema=schema)
        self._events = events

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for event in self._events:
            self._note(event)
            yield event

    async def text(self) -> str:
        """Read the answer to its end and return the whole text. Raises IncompleteError instead of returning a part of it."""
        async for _ in self:
            pass
        return self.so_far

    async def value(self) -> Any:
        """Drain the answer and return what it gives for its schema. Raises SchemaMismatch; UsageError without a schema."""
        await self.text()
        return self._value()

    async def aclose(self) -> None:
        """Cancel the answer: close its connection."""
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
