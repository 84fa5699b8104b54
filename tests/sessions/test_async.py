"""`AsyncMissy.session(...)`: tasks that are cancelled, questions at once, and a session that is not loaded yet."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import missy as library
from tests.command import SAFETY
from tests.servers import Gate, chat_chunk, chat_stream, event_stream, sse
from tests.sessions.conftest import texts

MOST_CALLS = 8  # more than one answer makes in threads


class Holding(ThreadPoolExecutor):
    """The event loop's threads: one call is held until `let_go`, and `held` is set when it has come."""

    def __init__(self) -> None:
        super().__init__(4)
        self.held = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(self)
        self._before = 0  # calls that pass before the one that is held; 0: none is held
        self._name = ""  # of the calls that count; "": all
        self._go = threading.Event()

    def hold(self, number: int = 1, name: str = "") -> None:
        """Hold the call of this number from now on, of those of a function of this name."""
        self._before, self._name = number, name

    def let_go(self) -> None:
        """Let the call go on."""
        self._go.set()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a call: a partial of a context's `run` and the function."""
        counts = not self._name or self._name == fn.args[0].__name__
        self._before -= counts
        if counts and self._before == 0:
            return super().submit(self._held, fn, *args, **kwargs)
        return super().submit(fn, *args, **kwargs)

    def _held(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self._loop.call_soon_threadsafe(self.held.set)
        assert self._go.wait(SAFETY)
        return fn(*args, **kwargs)


async def until(task: asyncio.Task[Any], event: asyncio.Event) -> bool:
    """Wait for an event, or for the end of a task; tell whether it was the event."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=SAFETY)
    waiting.cancel()
    return event.is_set()


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_cancelled_task_leaves_no_lock(number, missy, serve, home, database):
    """Cancelled while any of its calls runs in a thread: the lock is free, no turn is left open, and the next one is answered."""
    missy.entry(serve(chat_stream("whole")).url)

    async def talk() -> None:
        threads = Holding()
        async with library.AsyncMissy.open() as m:
            threads.hold(number)
            task = asyncio.create_task(m.session("s").ask("one").text())
            if await until(task, threads.held):
                task.cancel()
                asyncio.get_running_loop().call_soon(threads.let_go)
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert not list((home / "locks").glob("session-*"))
            threads.let_go()  # of an answer that needs fewer calls
            assert await asyncio.wait_for(m.session("s").ask("two").text(), SAFETY) == "whole"

    asyncio.run(talk())
    assert {state for _, state, _ in database.turns()} <= {"whole", "stopped"}


def test_a_task_that_is_cancelled_twice_stores_its_part_before_the_lock_is_free(missy, serve, home, database):
    """A second cancel while the part is being stored: it waits for that."""
    gate = Gate()
    missy.entry(serve(event_stream(sse(chat_chunk("half")), gate), chat_stream("whole")).url)

    async def talk() -> None:
        threads = Holding()
        async with library.AsyncMissy.open() as m:
            began = asyncio.Event()

            async def first() -> None:
                async for _ in m.session("s").ask("one"):
                    began.set()

            task = asyncio.create_task(first())
            await began.wait()
            threads.hold(name="ended")  # the call that stores the part
            task.cancel()
            assert await until(task, threads.held)
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
            assert list((home / "locks").glob("session-*"))
            threads.let_go()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert database.turns() == [("one", "stopped", "half")]
            gate.open()
            assert await m.session("s").ask("two").text() == "whole"

    asyncio.run(talk())


def test_an_async_answer_that_is_closed_is_stored_when_aclose_returns(missy, serve, home, database):
    """aclose() in mid-answer: the part is stored, and the lock is free, when it returns."""
    gate = Gate()
    missy.entry(serve(event_stream(sse(chat_chunk("half")), gate)).url)

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            answer = m.session("s").ask("one")
            assert isinstance(await anext(aiter(answer)), library.Text)
            await answer.aclose()
            assert database.turns() == [("one", "stopped", "half")]
            assert not list((home / "locks").glob("session-*"))
        gate.open()

    asyncio.run(talk())


def test_two_first_questions_at_once_are_one_conversation(missy, serve, database):
    """The session is looked up once: both turns are in it, one after the other."""
    origin = serve(chat_stream("x"))
    missy.entry(origin.url)

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            s = m.session()
            await asyncio.gather(s.ask("one").text(), s.ask("two").text(), s.turns())
            assert [turn.n for turn in await s.turns()] == [1, 2]

    asyncio.run(talk())
    assert database.rows("SELECT count(*) FROM session") == [(1,)]
    assert len(texts(origin.last)) == 3


def test_what_is_not_known_yet_is_refused(missy, origin):
    """Before the first await a session has no id, name, system text or age: UsageError, which says what to do."""

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            await m.session("s").ask("one", system="Be brief.").text()
            s = m.session("s")
            for name in ("id", "name", "system", "is_new"):
                with pytest.raises(library.UsageError) as raised:
                    getattr(s, name)
                assert "await" in raised.value.hint
            await s
            assert (len(s.id), s.name, s.system, s.is_new) == (12, "s", "Be brief.", False)

    asyncio.run(talk())


def test_an_answer_that_is_not_asked_for_leaves_no_warning(missy, origin):
    """ask, retry and edit begin nothing before they are iterated: nothing is left that was never awaited."""

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            s = m.session("s")
            for make in (lambda: s.ask("one"), s.retry, lambda: s.edit("two")):
                make()
            gc.collect()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(talk())
    assert [str(one.message) for one in caught if "never awaited" in str(one.message)] == []
