"""A conversation for async code: whatever waits for the disk or for another process runs in a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from missy.answer import AsyncAnswer
from missy.conversation.base import SessionBase, again
from missy.conversation.recorder import Unasked, untold, waiting
from missy.errors import MissyError
from missy.events import Done, Notice
from missy.sessions import find, locks, tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence

    from missy.conversation.base import Plan
    from missy.conversation.recorder import Recorder
    from missy.events import Event
    from missy.providers.base import Preview
    from missy.sessions.listing import Totals
    from missy.sessions.records import SessionRecord, Turn
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
        self._open = open_store
        self._wanted = wanted
        self._ready = False
        super().__init__(missy, None, find.fresh())  # type: ignore[arg-type]  # until it is loaded

    def __await__(self) -> Generator[Any, None, AsyncSession]:
        return self._found().__await__()

    async def _found(self) -> AsyncSession:
        """Find the session in the store, in a thread, once. Raises UsageError."""
        if not self._ready:
            self._store, self._stored = await asyncio.to_thread(self._look_up)
            self._ready = True
        return self

    def _look_up(self) -> tuple[Store, SessionRecord]:
        store = self._open()
        if self._wanted is None or isinstance(self._wanted, str):
            return store, find.find_or_new(store, self._wanted)
        return store, self._wanted

    def ask(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> AsyncSessionAnswer:
        """Ask within the conversation; see Session.ask."""

        async def plan() -> Plan:
            await self._found()
            return self._plan(prompt, attachments, **options)

        return self._answer(plan())

    def retry(self, **options: Any) -> AsyncSessionAnswer:
        """Ask the last question again; see Session.retry."""
        return self._answer(self._again(None, options))

    def edit(self, prompt: str, **options: Any) -> AsyncSessionAnswer:
        """Replace the last question; see Session.edit."""
        return self._answer(self._again(prompt, options))

    async def _again(self, prompt: str | None, options: dict[str, Any]) -> Plan:
        await self._found()
        line = await asyncio.to_thread(tree.turns, self._store, self.id, data=True)
        last = line[-1] if line else self._last()
        if prompt is None:
            prompt, options = last.prompt, again(last, options)
        return self._plan(prompt, last.attachments, after=lambda _: last.parent, **options)

    async def preview(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> Preview:
        """Return the exact request that `ask` would send; see Session.preview."""
        await self._found()
        plan = self._plan(prompt, attachments, **options)
        provider, request_options = self._request_options(plan)
        missy: Any = self._missy
        messages = await asyncio.to_thread(self._messages, plan)
        preview: Preview = await missy.preview(messages, provider=provider, **request_options)
        return preview

    async def turns(self) -> list[Turn]:
        """Return the active turns, first to last."""
        await self._found()
        return await asyncio.to_thread(self._turns)

    async def all_turns(self) -> list[Turn]:
        """Return all turns; `active` says which are on the path to the last one."""
        await self._found()
        return await asyncio.to_thread(self._turns, aside=True)

    async def refresh(self) -> int:
        """Load what other processes have changed in it; return how many turns they added. Raises UsageError."""
        await self._found()
        return await asyncio.to_thread(self._look)

    async def totals(self) -> Totals:
        """Return the number of its turns, their tokens and their cost, as far as they are known."""
        await self._found()
        return await asyncio.to_thread(self._totals)

    async def undo(self, count: int = 1) -> int:
        """Make the last turns inactive; return how many active ones are left. Raises UsageError."""
        await self._found()
        return await asyncio.to_thread(self._undo, count)

    async def fork(self, turn: int | Turn | None = None, *, name: str | None = None) -> AsyncSession:
        """Return a new session that continues from a turn of this one."""
        await self._found()
        stored = await asyncio.to_thread(self._fork, turn, name)
        return await AsyncSession(self._missy, lambda: self._store, stored)

    async def rename(self, name: str) -> None:
        """Rename the session. Raises UsageError if the name is invalid or taken."""
        await self._found()
        await asyncio.to_thread(self._rename, name)

    async def export(self, format: str = "md", *, reasoning: bool = False, aside: bool = False) -> str:  # noqa: A002
        """Return the conversation as a document: `md` or `json`."""
        await self._found()
        return await asyncio.to_thread(self._export, format, reasoning=reasoning, aside=aside)

    def _answer(self, plan: Awaitable[Plan]) -> AsyncSessionAnswer:
        answer = AsyncSessionAnswer(_nothing(), asked=Unasked())
        answer._events = self._events(plan, answer)  # noqa: SLF001 our own
        return answer

    async def _events(self, planned: Awaitable[Plan], shown: AsyncSessionAnswer) -> AsyncIterator[Event]:
        plan = await planned
        await asyncio.to_thread(self._refresh)
        shown.session = self.id
        lock = locks.Lock(self._store, self.id, asyncio.current_task())
        try:
            if not await asyncio.to_thread(lock.take):
                yield Notice(waiting(lock.holder()))
                while not await asyncio.to_thread(lock.take):  # noqa: ASYNC110 another process releases it
                    await asyncio.sleep(locks.PAUSE)
            recorder = await asyncio.to_thread(self._start, plan)
            self._show(shown, recorder)
            async for event in self._recorded(recorder):
                yield event
        finally:
            lock.release()

    async def _recorded(self, recorder: Recorder) -> AsyncIterator[Event]:
        answer = recorder.answer
        try:
            async for event in answer:
                recorder.note(event)
                if isinstance(event, Done):
                    fault = await asyncio.to_thread(_keep_whole, recorder, event)
                    yield event
                    if fault is not None:
                        raise fault
                    continue
                if recorder.is_due:
                    await asyncio.to_thread(recorder.keep)
                yield event
        except BaseException as error:
            try:
                # To its end, even if this task is cancelled once more: the lock is released after it.
                await asyncio.shield(asyncio.to_thread(recorder.ended, error))
            except MissyError as fault:
                self._tell(untold(answer, fault))
            await answer.aclose()
            raise


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
