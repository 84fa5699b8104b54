"""`m.session(...)` and `m.sessions`, sync and async."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import threading

import pytest

import missy as library
from tests.servers import Gate, chat_chunk, chat_stream, event_stream, sse
from tests.sessions.conftest import texts
from tests.sessions.worker import answer_of


def states(turns):
    """Number, prompt and place of each turn."""
    return [(turn.n, turn.prompt, turn.active) for turn in turns]


def test_a_conversation_is_a_tree_and_nothing_is_lost(origin):
    """undo, retry, edit and fork move a pointer: the old turns stay, put aside, under their numbers."""
    with library.Missy.open() as m:
        s = m.session("s")
        assert s.is_new
        for prompt in ("one", "two"):
            assert s.ask(prompt).text() == answer_of(prompt)
        again = s.retry()
        assert (again.text(), again.turn, again.session) == (answer_of("two"), 3, s.id)
        assert s.edit("deux").text() == answer_of("deux")
        assert states(s.turns) == [(1, "one", True), (4, "deux", True)]
        assert states(s.all_turns) == [
            (1, "one", True),
            (2, "two", False),
            (3, "two", False),
            (4, "deux", True),
        ]
        assert texts(origin.last) == [("user", "one"), ("assistant", answer_of("one")), ("user", "deux")]
        fork = s.fork(2, name="other")
        assert states(fork.turns) == [(1, "one", True), (2, "two", True)]
        assert s.undo() == 1
        assert s.undo() == 0
        with pytest.raises(library.UsageError):
            s.undo()
        assert s.turns == []
        s.ask("afresh").text()
        assert texts(origin.last) == [("user", "afresh")]
        assert states(fork.turns) == [(1, "one", True), (2, "two", True)]
        assert m.session(s.id[:5]).name == "s"


def test_a_retry_asks_the_same(missy, serve):
    """The options of a turn are stored with it; another model may be named; the old answer is not sent."""
    origin = serve(chat_stream("x"))
    missy.entry(origin.url)
    with library.Missy.open() as m:
        m.session("s").ask("hi", model="big", temperature=0.5, max_tokens=9, system="Be brief.").text()
    with library.Missy.open() as m:
        m.session("s").retry().text()
        first, second = (request.json() for request in origin.requests)
        assert first == second
        m.session("s").retry(model="small").text()
        assert origin.last.json() == {**first, "model": "small"}


PICTURES = [library.Image(b"\x89PNG\r\n\x1a\n" + bytes([n]) * 40, "image/png") for n in range(2)]


def pictures(request):
    """Which of PICTURES a request holds."""
    return [n for n, one in enumerate(PICTURES) if base64.b64encode(one.data) in request.body]


@pytest.mark.parametrize("kind", [library.Missy, library.AsyncMissy])
def test_edit_takes_files_as_ask_does(kind, missy, serve):
    """Edit and retry keep the files of the question, or take others: `attachments` or `images`; `()` is none."""
    origin = serve(chat_stream("x"))
    missy.entry(origin.url)
    first, second = PICTURES
    asked = (
        lambda s: s.ask("one", [first]),
        lambda s: s.edit("two"),
        lambda s: s.edit("three", attachments=[second]),
        lambda s: s.edit("four", images=[first, second]),
        lambda s: s.retry(attachments=()),
    )

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            for ask in asked:
                assert await ask(m.session("s")).text() == "x"
            with pytest.raises(library.UsageError, match="after"):
                await m.session("s").edit("five", after=1).text()

    if kind is library.AsyncMissy:
        asyncio.run(talk())
    else:
        with library.Missy.open() as m:
            for ask in asked:
                assert ask(m.session("s")).text() == "x"
            with pytest.raises(library.UsageError, match="after"):
                m.session("s").edit("five", after=1)
    assert [pictures(request) for request in origin.requests] == [[0], [0], [1], [0, 1], []]


def test_a_session_that_is_not_saved_is_in_memory_alone(origin, home):
    """`save=False`: history goes along, and nothing of it is in the file, which has the numbers alone."""
    with library.Missy.open() as m:
        s = m.session(save=False)
        s.ask("one").text()
        s.ask("two").text()
        assert len(texts(origin.last)) == 3
        assert states(s.turns) == [(1, "one", True), (2, "two", True)]
        assert m.sessions.list() == []
        with pytest.raises(library.UsageError):
            m.session("s", save=False)
    with sqlite3.connect(home / "sessions.db") as db:
        counts = [
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("session", "turn", "spend")
        ]
    db.close()
    assert counts == [0, 0, 2]


def test_an_answer_that_is_closed_is_kept_as_stopped(missy, serve):
    """close() in mid-answer: the part is kept, the lock is free, and the next question goes along with it."""
    gate = Gate()
    origin = serve(event_stream(sse(chat_chunk("half")), gate), chat_stream("whole"))
    missy.entry(origin.url)
    with library.Missy.open() as m:
        s = m.session("s")
        answer = s.ask("one")
        assert next(event.text for event in answer if isinstance(event, library.Text)) == "half"
        with pytest.raises(library.UsageError, match="still answering"):
            m.session("s").ask("two").text()
        answer.close()
        assert [(turn.state, turn.answer) for turn in s.turns] == [("stopped", "half")]
        gate.open()
        assert s.ask("two").text() == "whole"
        assert texts(origin.last) == [("user", "one"), ("assistant", "half"), ("user", "two")]


HELD = (
    sse(chat_chunk('{"age": ')),
    sse(chat_chunk({"reasoning_content": "hm"})),
)  # text first: it is held back


@pytest.mark.parametrize("tools", [False, True])
def test_text_that_was_not_checked_yet_is_kept_when_the_answer_is_closed(tools, missy, serve, tmp_path):
    """An answer that must fit a schema shows no text before its end; stopped, its text is stored all the same."""
    gate = Gate()
    origin = serve(event_stream(*HELD, gate), chat_stream("whole"))
    missy.entry(origin.url)
    (tmp_path / "work").mkdir()
    options = {"toolbox": library.Toolbox(workspace=str(tmp_path / "work"))} if tools else {}
    with library.Missy.open() as m:
        s = m.session("s")
        answer = s.ask("one", schema="age int", **options)
        assert isinstance(next(iter(answer)), library.Reasoning)
        answer.close()
        assert (answer.so_far, answer.received) == ("", '{"age": ')
        assert [(turn.state, turn.answer) for turn in s.turns] == [("stopped", '{"age": ')]
        gate.open()
        s.ask("two").text()
        assert texts(origin.last)[1] == ("assistant", '{"age": ')


def test_text_that_was_not_checked_yet_is_kept_when_an_async_answer_is_closed(missy, serve):
    """The async twin."""
    gate = Gate()
    missy.entry(serve(event_stream(*HELD, gate)).url)

    async def go():
        async with library.AsyncMissy.open() as m:
            s = await m.session("s")
            answer = s.ask("one", schema="age int")
            assert isinstance(await anext(aiter(answer)), library.Reasoning)
            await answer.aclose()
            gate.open()
            return [(turn.state, turn.answer) for turn in await s.turns()]

    assert asyncio.run(go()) == [("stopped", '{"age": ')]


@pytest.mark.parametrize(
    "end",
    [sse({"error": {"message": "overloaded", "type": "server_error"}}), sse("{broken"), Gate()],
    ids=["an-error", "no-json", "silence"],
)
def test_text_that_was_not_checked_yet_is_kept_whatever_the_error(end, missy, serve):
    """The endpoint fails, sends nonsense or says no more: the turn is cut, with its text."""
    missy.entry(serve(event_stream(*HELD, end)).url, timeout=1, max_retries=0)
    with library.Missy.open() as m:
        s = m.session("s")
        with pytest.raises(library.MissyError):
            s.ask("one", schema="age int").text()
        assert [(turn.state, turn.answer) for turn in s.turns] == [("cut", '{"age": ')]
    if isinstance(end, Gate):
        end.open()


def test_a_deleted_session_stays_deleted(missy, serve):
    """A session that is deleted while it is answering: the answer comes whole, and is told not to be stored."""
    gate = Gate()
    missy.entry(
        serve(
            event_stream(
                sse(chat_chunk("half")), gate, sse(chat_chunk(" way"), chat_chunk({}, "stop"), "[DONE]")
            )
        ).url
    )
    with library.Missy.open() as m:
        answer = m.session("s").ask("one")
        events = iter(answer)
        assert isinstance(next(events), library.Text)
        assert m.sessions.delete("s") == 1
        gate.open()
        with pytest.raises(library.MissyError, match="not stored") as raised:
            list(events)
        assert (raised.value.exit_code, answer.so_far) == (1, "half way")
        assert m.sessions.list() == []


def test_threads_take_turns(origin):
    """Eight threads in one session: every turn is in the line, each after the one before."""
    with library.Missy.open() as m:
        m.session("s").ask("start").text()

        def talk(name: str) -> None:
            s = m.session("s")
            for n in range(4):
                s.ask(f"{name} {n}").text()

        threads = [threading.Thread(target=talk, args=(name,)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        line = m.session("s").turns
        assert [turn.n for turn in line] == list(range(1, 34))
        assert [turn.parent for turn in line] == [None, *(turn.id for turn in line[:-1])]
        assert {turn.state for turn in line} == {"whole"}


def test_what_is_impossible_is_refused_before_anything_is_written(origin, home):
    """An empty prompt, a list of messages, an impossible temperature: nothing is stored and nothing sent."""
    with library.Missy.open() as m:
        s = m.session("s")
        for prompt, options in (
            ("", {}),
            ("hi", {"temperature": 9}),
            (["hi"], {}),
            ("hi", {"provider": "none"}),
        ):
            with pytest.raises(library.UsageError):
                s.ask(prompt, **options)
        assert m.sessions.list() == []
    assert origin.connections == 0


def test_the_async_twin_does_the_same(origin):
    """ask, turns, retry, edit, undo, fork, export, list, search and delete with `await`."""

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            s = await m.session("s")
            assert await s.ask("one").text() == answer_of("one")
            again = m.session("s").retry()
            assert (await again.text(), again.turn) == (answer_of("one"), 2)
            assert await s.edit("uno").text() == answer_of("uno")
            assert states(await s.turns()) == [(3, "uno", True)]
            assert len(await s.all_turns()) == 3
            fork = await s.fork(name="f")
            assert await s.undo() == 0
            assert states(await fork.turns()) == [(1, "uno", True)]
            assert "## You\n\nuno" in await fork.export()
            await s.rename("t")
            assert {one.session.name for one in await m.sessions.list()} == {"t", "f"}
            assert len(await m.sessions.search("UNO")) > 0
            assert await m.sessions.delete("t", "f") == 2
            assert await m.sessions.list() == []

    asyncio.run(talk())


def test_async_tasks_take_turns_and_a_cancelled_one_is_stopped(missy, serve):
    """Two tasks in one session come one after the other; a cancelled answer keeps its part and lets the next one in."""
    gate = Gate()
    origin = serve(event_stream(sse(chat_chunk("half")), gate), chat_stream("whole"))
    missy.entry(origin.url)

    async def talk() -> None:
        async with library.AsyncMissy.open() as m:
            began, waits = asyncio.Event(), asyncio.Event()

            async def first() -> None:
                async for _ in m.session("s").ask("one"):
                    began.set()

            async def second() -> list[library.Event]:
                events = []
                async for event in m.session("s").ask("two"):
                    waits.set()  # first of all comes the notice that somebody else is answering
                    events.append(event)
                return events

            one = asyncio.create_task(first())
            await began.wait()
            two = asyncio.create_task(second())
            await waits.wait()
            assert len(origin.requests) == 1
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one
            gate.open()
            events = await two
            assert library.Text("whole") in events
            turns = await m.session("s").turns()
            assert [(turn.state, turn.answer) for turn in turns] == [("stopped", "half"), ("whole", "whole")]

    asyncio.run(talk())
    assert texts(origin.last) == [("user", "one"), ("assistant", "half"), ("user", "two")]
