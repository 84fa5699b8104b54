"""Asking the rows of one job: one reader, as many requests at a time as the governor allows, one journal.

A row is asked again only where the endpoint failed before it began to answer, or refused it for its rate. It is finished
when its line is in the journal, and counts as stored when that line is synced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.batch import failures
from missy.batch.around import Stop, cap_reached
from missy.batch.commits import Commits
from missy.batch.item import Item, row_out
from missy.errors import BudgetError, LimitError, MissyError, ProviderError, SchemaMismatch
from missy.events import Done, Text, Usage
from missy.providers.checked import checked_astream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from missy.batch.around import Around
    from missy.governor.core import Ticket

MAX_OUTAGES = 20  # failures in a row that end the run
MAX_REFUSALS = 30  # refusals for the rate in a row, over growing waits
TRIES = 4  # of a row while other rows are answered
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0
DRAIN_SECONDS = 0.5  # for the rows under way, when the run is stopped


class Drive:
    """One run. `stopped` says why it ended early; `waiting` is how long it waits now for the endpoint, in seconds."""

    def __init__(self, around: Around, *, on_stored: Callable[[list[int]], None] | None = None) -> None:
        self._around = around
        self._governor, self._purse, self._journal = around.governor, around.purse, around.journal
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: deque[Item] = deque()
        self._changed = asyncio.Event()
        self._outages = 0
        self._answers = 0
        self._is_last = False  # the input is read
        self.commits: Commits = Commits(around.journal, self._changed.set, self._fatal, on_stored)
        self.stopped: Stop | None = None
        self.waiting: float = 0.0
        self.lost_rows: int = 0  # that were cancelled under way
        self.lost_nano: int = 0  # that they can have cost

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._tasks)

    def stop(self, code: int, error: MissyError | None = None, *, drain: bool = False) -> None:
        """End the run. The first reason counts."""
        if self.stopped is None:
            self.stopped = Stop(code, error, drain)
            self._changed.set()

    def _fatal(self, error: MissyError) -> None:
        self.stop(error.exit_code, error)

    async def run(self, items: Iterator[Item]) -> None:
        """Ask every row. Raises what reading the input raises, once nothing is under way any more."""
        committing = asyncio.create_task(self.commits.run())
        try:
            await self._dispatch(items)
            if self.stopped is None or self.stopped.drain:
                while self._tasks:
                    await self._wait(None)
        finally:
            await self._end_tasks()
            self.commits.end()
            await committing
            await asyncio.to_thread(self._around.sheet.record)

    async def _dispatch(self, items: Iterator[Item]) -> None:
        while self.stopped is None:
            item = self._next(items)
            if item is None:
                if self._is_last and not self._again and not self._tasks:
                    return
                due = min((one.due for one in self._again), default=None)
                await self._wait(None if due is None else max(0.0, due - monotonic()))
            elif item.slice is not None or await self._afford(item):
                await self._send(item)

    def _next(self, items: Iterator[Item]) -> Item | None:
        """Return the next row: one that is to be asked again and is due, else a new one."""
        now = monotonic()
        for place, item in enumerate(self._again):
            if item.due <= now:
                del self._again[place]
                return item
        if self._is_last or len(self._again) > self._governor.most:
            return None
        found = next(items, None)
        self._is_last = found is None
        return found

    async def _wait(self, seconds: float | None) -> None:
        """Wait until something ends or a time has passed."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # --- before a row is sent

    async def _afford(self, item: Item) -> bool:
        """Reserve what a row can cost at most. Where the cap is reached, the run ends once the others have ended."""
        item.most = self._purse.most(item.request)
        while not self._purse.reserve(item.most):
            if not self._tasks and not self._again:
                self.stop(BudgetError.exit_code, cap_reached(self._purse), drain=True)
                return False
            if not self._tasks:  # only rows that wait for their next try: they come first
                item.due = monotonic()
                await self._send(self._again.popleft())
                continue
            await self._wait(None)
            if self.stopped is not None:
                return False
        sheet = self._around.sheet
        if not sheet.has_room(item.most):
            try:
                await asyncio.to_thread(sheet.open, item.most)
            except MissyError as error:
                self._purse.settle(item.most, 0)
                self.stop(error.exit_code, error, drain=True)
                return False
        item.slice = sheet.take(item.most)
        return True

    async def _send(self, item: Item) -> None:
        """Wait until the governor lets a row go, and ask it."""
        governor, pace = self._governor, self._around.pace
        while self.stopped is None:
            now = monotonic()
            delay = governor.delay(item.tokens, now)
            if self.commits.is_behind:
                delay = inf
            elif delay == 0:
                delay = pace.delay(governor, now)
            self.waiting = 0.0 if delay == inf else delay
            if delay == 0:
                ticket = governor.send(item.tokens, now)
                self._around.lock.may_ask(governor.in_flight, self._purse.reserved)
                task = asyncio.create_task(self._row(item, ticket))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
                return
            await self._wait(None if delay == inf else min(delay, 1.0))
        self._again.append(item)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            known = error if isinstance(error, MissyError) else MissyError(f"{type(error).__name__}: {error}")
            self._fatal(known)

    # --- one row

    async def _row(self, item: Item, ticket: Ticket) -> None:
        text: list[str] = []
        usage: Usage | None = None
        done: Done | None = None
        error: MissyError | None = None
        try:
            async for event in checked_astream(self._around.provider, item.request):
                kind = type(event)
                if kind is Text:
                    if not event.commentary:  # type: ignore[union-attr]
                        text.append(event.text)  # type: ignore[union-attr]
                elif isinstance(event, Usage):
                    usage = event
                elif isinstance(event, Done):
                    done = event
        except MissyError as failure:
            error = failure
        except BaseException:  # cancelled: the endpoint may have answered, and be paid
            self._governor.failed()
            self.lost_rows += 1
            self.lost_nano += item.most
            raise
        now = monotonic()
        self._tell_governor(ticket, now, usage, error)
        if error is not None and (failures.stops(error) or self._asks_again(item, error, now)):
            if failures.stops(error):
                self._fatal(error)
            self._again.append(item)
            return
        self._store(item, "".join(text), usage, done, error, round((now - ticket.at) * 1000))

    def _tell_governor(
        self, ticket: Ticket, now: float, usage: Usage | None, error: MissyError | None
    ) -> None:
        governor = self._governor
        if isinstance(error, LimitError):
            governor.refused(ticket, now, error.retry_after)
            self._around.pace.tell(governor, now)
            if governor.refusals >= MAX_REFUSALS:
                self._fatal(error)
        elif error is not None and failures.is_outage(error):
            governor.failed()
            if isinstance(error, ProviderError) and error.retry_after:
                governor.hold(error.retry_after, now)
            self._outages += 1
            if self._outages >= MAX_OUTAGES:
                self._fatal(error)
        else:
            governor.accepted(ticket, now, None if usage is None else usage.total_tokens)
            self._outages = 0
            self._answers += 1

    def _asks_again(self, item: Item, error: MissyError, now: float) -> bool:
        """Decide whether a row that failed is asked again, and when."""
        if not failures.may_ask_again(error):
            return False
        if isinstance(error, LimitError):  # no failure of the row
            item.due = now
            return True
        if item.tries == 0:
            item.answers = self._answers
        item.tries += 1
        others = self._answers > item.answers or (
            self._answers > 0 and self._is_last and len(self._tasks) <= 1 and not self._again
        )
        if item.tries >= TRIES and others:
            return False
        if failures.is_charged(
            error
        ):  # nobody tells whether it was: it counts, and the next try is reserved anew
            if not self._purse.reserve(item.most):
                return False
            self._purse.settle(item.most, item.most)
            item.paid += item.most
        item.due = now + min(FIRST_BACKOFF_SECONDS * 2 ** min(item.tries - 1, 10), MAX_BACKOFF_SECONDS)
        return True

    def _store(
        self, item: Item, text: str, usage: Usage | None, done: Done | None, error: MissyError | None, ms: int
    ) -> None:
        kind = failures.kind_of(error) if error is not None else "refused" if done and done.refusal else ""
        value: Any = None
        if item.request.schema is not None:
            if isinstance(error, SchemaMismatch):
                text, kind = error.text, "refused" if error.refusal else kind
            elif not kind:
                value = item.request.schema.parse(text)
        if error is not None and not text:
            text = getattr(error, "text", "")
        nano = self._cost(item, usage, error)
        line = row_out(
            item.number, item.id, text=text, done=done, model=item.request.model, usage=usage, nano=nano, ms=ms,
            value=value, kind=kind, error=error,
        )  # fmt: skip
        tokens = 0 if usage is None else (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.commits.append(item.number, item.hash, kind, nano, tokens, line)
        self._purse.settle(item.most, item.most if nano is None else nano - item.paid)
        sheet = self._around.sheet
        assert item.slice is not None
        if sheet.settle(item.slice, usage, nano):
            self.commits.later(lambda held=item.slice: sheet.record(held if sheet.is_limited else None))  # type: ignore[misc]

    def _cost(self, item: Item, usage: Usage | None, error: MissyError | None) -> int | None:
        """Return what a row cost; where that is not told and there is a price, the most that it can have cost."""
        if error is not None and usage is None and not failures.is_charged(error):
            return item.paid
        told = self._purse.cost(usage)
        if told is None and item.most:
            told = item.most
        return None if told is None else told + item.paid

    async def _end_tasks(self) -> None:
        """Give the rows under way a moment, and cancel what is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
