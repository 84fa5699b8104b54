"""A conversation for async code: whatever waits for the disk or for another process runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from missy.answer import AsyncAnswer
from missy.conversation.base import SessionBase, again
from missy.conversation.recorder import Unasked, untold, waiting
from missy.errors import MissyError, UsageError
from missy.events import Done, Notice
from missy.sessions import find, locks
from missy.sessions.records import SessionRecord
from missy.threads import finish, in_thread, start

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence

    from missy.conversation.base import Asker, Plan
    from missy.conversation.recorder import Recorder
    from missy.events import Event
    from missy.providers.base import Preview
    from missy.sessions.listing import Totals
    from missy.sessions.records import Turn
    from missy.sessions.store import Store


class AsyncSessionAnswer(AsyncAnswer):
    """See SessionAnswer."""

    session: str | None = None
    turn: int | None = None


class AsyncSession(SessionBase):
    """One conversation. Made by `AsyncMissy.session`; awaiting it loads it at once."""

    def __init__(
        self, missy: Any, open_store: Callable[[], Store], wanted: str | SessionRecord | None
    ) -> None:
        self._missy: Asker = missy
        self._open = open_store
        self._wanted = wanted
        self._loading = threading.Lock()
        self._loaded: SessionRecord | None = None

    @property
    def _stored(self) -> SessionRecord:
        """The record. Raises UsageError until it is loaded: what it would say is not known yet."""
        if self._loaded is None:
            raise UsageError(
                "this session is not loaded yet", hint="await it first: s = await m.session(...)"
            )
        return self._loaded

    @_stored.setter
    def _stored(self, record: SessionRecord) -> None:
        self._loaded = record

    def __await__(self) -> Generator[Any, None, AsyncSession]:
        return self._found().__await__()

    async def _found(self) -> AsyncSession:
        """Find the session in the store, in a thread, once. Raises UsageError."""
        if self._loaded is None:
            await in_thread(self._load)
        return self

    def _load(self) -> None:
        with self._loading:  # of two first questions at once, the second takes what the first has found
            if self._loaded is not None:
                return
            self._store = self._open()
            if isinstance(self._wanted, SessionRecord):
                self._loaded = self._wanted
            else:
                self._loaded = find.find_or_new(self._store, self._wanted)

    def ask(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> AsyncSessionAnswer:
        """Ask within the conversation; see Session.ask."""

        async def plan() -> Plan:
            await self._found()
            return self._plan(prompt, attachments, options)

        return self._answer(plan)

    def retry(self, *, attachments: Sequence[Any] | None = None, **options: Any) -> AsyncSessionAnswer:
        """Ask the last question again; see Session.retry."""

        async def plan() -> Plan:
            last = await self._last_with_files()
            return self._plan_edit(last, last.prompt, attachments, again(last, options))

        return self._answer(plan)

    def edit(
        self, prompt: str, attachments: Sequence[Any] | None = None, **options: Any
    ) -> AsyncSessionAnswer:
        """Replace the last question; see Session.edit."""

        async def plan() -> Plan:
            return self._plan_edit(await self._last_with_files(), prompt, attachments, options)

        return self._answer(plan)

    async def _last_with_files(self) -> Turn:
        await self._found()
        return await in_thread(self._last, data=True)

    async def preview(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> Preview:
        """Return the exact request that `ask` would send; see Session.preview."""
        await self._found()
        plan = self._plan(prompt, attachments, options)
        provider, request_options = self._request_options(plan)
        missy: Any = self._missy
        messages = await in_thread(self._messages, plan)
        preview: Preview = await missy.preview(messages, provider=provider, **request_options)
        return preview

    async def turns(self) -> list[Turn]:
        """Return the active turns, first to last."""
        await self._found()
        return await in_thread(self._turns)

    async def all_turns(self) -> list[Turn]:
        """Return all turns; `active` says which are on the path to the last one."""
        await self._found()
        return await in_thread(self._turns, aside=True)

    async def refresh(self) -> int:
        """Load what other processes have changed in it; return how many turns they added. Raises UsageError."""
        await self._found()
        return await in_thread(self._look)

    async def totals(self) -> Totals:
        """Return the number of its turns, their tokens and their cost, as far as they are known."""
        await self._found()
        return await in_thread(self._totals)

    async def undo(self, count: int = 1) -> int:
        """Make the last turns inactive; return how many active ones are left. Raises UsageError."""
        await self._found()
        return await in_thread(self._undo, count)

    async def fork(self, turn: int | Turn | None = None, *, name: str | None = None) -> AsyncSession:
        """Return a new session that continues from a turn of this one."""
        await self._found()
        stored = await in_thread(self._fork, turn, name)
        return await AsyncSession(self._missy, lambda: self._store, stored)

    async def rename(self, name: str) -> None:
        """Rename the session. Raises UsageError if the name is invalid or taken."""
        await self._found()
        await in_thread(self._rename, name)

    async def export(self, format: str = "md", *, reasoning: bool = False, aside: bool = False) -> str:  # noqa: A002
        """Return the conversation as a document: `md` or `json`."""
        await self._found()
        return await in_thread(self._export, format, reasoning=reasoning, aside=aside)

    def _answer(self, plan: Callable[[], Awaitable[Plan]]) -> AsyncSessionAnswer:
        answer = AsyncSessionAnswer(_nothing(), asked=Unasked())
        answer._events = self._events(plan, answer)  # noqa: SLF001 our own
        return answer

    async def _events(
        self, make_plan: Callable[[], Awaitable[Plan]], shown: AsyncSessionAnswer
    ) -> AsyncIterator[Event]:
        plan = await make_plan()
        await in_thread(self._refresh)
        shown.session = self.id
        lock = locks.Lock(self._store, self.id, asyncio.current_task())
        try:
            if not await in_thread(lock.take):
                yield Notice(waiting(lock.holder()))
                while not await in_thread(lock.take):  # noqa: ASYNC110 another process releases it
                    await asyncio.sleep(locks.PAUSE)
            recorder = await self._begin(plan)
            self._show(shown, recorder)
            # Closed here, not by the garbage collector: the lock is released after the answer is stored.
            async with aclosing(self._recorded(recorder)) as events:
                async for event in events:
                    yield event
        finally:
            lock.release()

    async def _begin(self, plan: Plan) -> Recorder:
        """Store the question. If this task is cancelled meanwhile, the turn is stored as stopped."""
        starting = start(self._start, plan)
        try:
            await finish(starting)
        except asyncio.CancelledError as error:
            if starting.exception() is None:
                await self._store_end(starting.result(), error)
            raise
        return starting.result()

    async def _recorded(self, recorder: Recorder) -> AsyncGenerator[Event]:
        answer = recorder.answer
        try:
            async for event in answer:
                recorder.note(event)
                if isinstance(event, Done):
                    fault = await in_thread(_keep_whole, recorder, event)
                    yield event
                    if fault is not None:
                        raise fault
                    continue
                if recorder.is_due:
                    await in_thread(recorder.keep)
                yield event
        except BaseException as error:
            await self._store_end(recorder, error)
            raise

    async def _store_end(self, recorder: Recorder, error: BaseException) -> None:
        """Store the part of an incomplete answer and close it, even if this task is cancelled once more."""
        ending = start(recorder.ended, error)
        try:
            await finish(ending)
        finally:
            fault = ending.exception()
            if isinstance(fault, MissyError):
                self._tell(untold(recorder.answer, fault))
            await recorder.answer.aclose()
        if fault is not None and not isinstance(fault, MissyError):
            raise fault


def _keep_whole(recorder: Recorder, done: Done) -> MissyError | None:
    try:
        recorder.whole(done)
    except MissyError as error:
        return error
    return None


async def _nothing() -> AsyncIterator[Event]:
    none: list[Event] = []
    for event in none:
        yield event
