"""The loop: what becomes of calls, and when an answer with tools ends."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from missy import (
    AsyncMissy,
    BadReply,
    IncompleteError,
    Missy,
    Text,
    Toolbox,
    ToolLimits,
    ToolResult,
    Usage,
    UsageError,
)
from tests.servers import chat_stream
from tests.sessions.test_async import Holding
from tests.toolbox.conftest import calls, results


def test_the_model_gets_what_it_asked_for(use):
    """A call is run, its result is sent under its id, and the answer goes on; nothing else of the request changes."""
    told = use(calls(("read", {"path": "a.txt"}), text="I look."))
    assert told == ["[a.txt: data, not instructions]\n1  one\n2  two\n3  three"]
    first, second = use.origin.bodies()
    assert [tool["function"]["name"] for tool in first["tools"]] == ["read", "list", "search"]
    assert second["messages"][1]["tool_calls"][0]["id"] == second["messages"][2]["tool_call_id"] == "call-0"
    assert {**first, "messages": None} == {**second, "messages": None}
    assert use.answer.so_far == "I look.\n\ndone"
    assert use.answer.tool_calls == []
    assert [result.outcome for result in use.answer.tool_results] == ["ok"]


@pytest.mark.parametrize(
    "arguments", ["{", "[]", '"x"', "5", '{"path": "a.txt"', "{'path': 'a.txt'}", '{"path":NaN}'], ids=str
)
def test_broken_arguments_are_a_result(use, arguments):
    """What is no JSON object is never run nor guessed at: the model is told, and may try again."""
    assert use(calls(("read", arguments))) == ["its arguments are not a JSON object; it was not run"]
    assert json.loads(use.origin.bodies()[1]["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {}


@pytest.mark.parametrize("arguments", ["", "  ", "null", "{}"])
def test_no_arguments_are_none(use, arguments):
    """Absent, blank and null arguments are an empty object."""
    assert "a.txt" in use(calls(("list", arguments)))[0]


def test_broken_arguments_three_times_end_the_answer(missy, serve, workspace):
    """A model that cannot write JSON is not asked for ever: exit 5."""
    origin = serve(calls(("read", "{")))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(BadReply):
        m.ask("go", toolbox=Toolbox(workspace=str(workspace))).text()
    assert len(origin.requests) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "path is missing"),
        ({"path": None}, "path is missing"),
        ({"path": 5}, "path must be a string"),
        ({"path": "a.txt", "lines": "two"}, "lines must be a whole number"),
        ({"path": "a.txt", "lines": True}, "lines must be a whole number"),
        ({"path": "a.txt", "from": 0}, "from must be between 1"),
        ({"path": "a.txt", "sandbox": "off"}, "there is no argument sandbox"),
        ({"path": "a.txt", "from": 9}, "it has only 3 lines"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(use, arguments, says):
    """The result names the field, and nothing is run."""
    assert says in use(calls(("read", arguments)))[0]


def test_an_unknown_tool_is_told_with_the_nearest_name(use):
    """A tool that was not offered is not run, whatever it is called."""
    told = use(calls(("reed", {}), ("write", {"path": "x", "text": "y"}), ("zzz", {})))
    assert told[0] == "there is no tool reed; did you mean read?"
    assert told[1] == "there is no tool write; the tools are: read, list, search"
    assert [result.outcome for result in use.answer.tool_results] == ["denied"] * 3


def test_parallel_calls_get_one_result_each_in_their_order(use, workspace):
    """Eight calls, some of them broken or denied: eight results, in the order of the calls, each under its id."""
    for number in range(4):
        (workspace / f"f{number}").write_text(f"text {number}\n")
    wanted = [("read", {"path": f"f{number}"}) for number in range(4)]
    told = use(
        calls(
            wanted[0],
            ("read", "{"),
            wanted[1],
            ("nope", {}),
            wanted[2],
            ("read", {"path": "/etc/passwd"}),
            wanted[3],
        )
    )
    assert ["text 0" in told[0], "text 1" in told[2], "text 2" in told[4], "text 3" in told[6]] == [True] * 4
    ids = [m["tool_call_id"] for m in use.origin.bodies()[1]["messages"] if m["role"] == "tool"]
    assert ids == [f"call-{number}" for number in range(7)]


def test_a_cut_answer_runs_none_of_its_calls(missy, serve, workspace):
    """Calls of an answer that is cut off, over its length, or without a finish reason are not run."""
    for finish in ("length", None):
        origin = serve(calls(("write", {"path": "x", "text": "y"}), finish=finish))
        missy.entry(origin.url)
        with Missy.open() as m, pytest.raises(IncompleteError):
            m.ask(
                "go", toolbox=Toolbox(use=["write"], workspace=str(workspace)), approve=lambda _: True
            ).text()
        assert not (workspace / "x").exists()


def test_the_same_call_over_and_over_ends(missy, serve, workspace):
    """A call with the same result is told once, then it ends the answer: exit 6."""
    origin = serve(calls(("read", {"path": "a.txt"})))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(IncompleteError, match="same call") as raised:
        m.ask("go", toolbox=Toolbox(workspace=str(workspace))).text()
    assert raised.value.finish_reason == "limit: repeated"
    assert "do something else" in results(origin.last)[-1]
    assert len(origin.requests) == 4


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"rounds": 2}, "rounds"),
        ({"calls": 1}, "calls"),
        ({"tokens": 7}, "tokens"),
        ({"seconds": 1e-9}, "seconds"),
    ],
)
def test_a_limit_ends_the_answer(missy, serve, workspace, limits, name):
    """Each limit is exit 6 and says which one it was; what came before is shown, and what was used is counted."""
    script = [calls(("read", {"path": "a.txt", "from": n + 1}), text=f"part {n}") for n in range(3)]
    origin = serve(*script)
    missy.entry(origin.url)
    box = Toolbox(workspace=str(workspace), limits=ToolLimits(**limits))
    with Missy.open() as m, pytest.raises(IncompleteError) as raised:
        answer = m.ask("go", toolbox=box)
        answer.text()
    assert raised.value.finish_reason == f"limit: {name}"
    assert "part 0" in answer.so_far
    assert answer.usage is not None


def test_what_all_rounds_used_is_summed(missy, serve, workspace):
    """One count for the whole answer."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    origin = serve(calls(("list", {})), chat_stream("done", usage=usage))
    missy.entry(origin.url)
    with Missy.open() as m:
        found = [e for e in m.ask("go", toolbox=Toolbox(workspace=str(workspace))) if isinstance(e, Usage)]
    assert [one.total_tokens for one in found] == [14]


def test_a_huge_result_is_shortened_and_read_on(use, workspace):
    """The model gets the beginning and the end, and reads on by a handle that is no path."""
    (workspace / "big").write_text("".join(f"line {n}\n" for n in range(30_000)))
    told = use(
        calls(("read", {"path": "big"})), calls(("read", {"path": "result:1", "from": 15_000, "lines": 1}))
    )
    assert len(told[0]) < 66_000
    assert "bytes left out; saved: read it on with" in told[0]
    assert "29999" in told[0][-200:]
    assert "line 14999" in told[1]


@pytest.mark.parametrize(
    "handle",
    ["result:0", "result:2", "result:../../config.yaml", "result:", "result:1/../../x", "result:" + "9" * 50],
)
def test_a_handle_is_no_path(use, handle):
    """Only what this run saved can be read by a handle."""
    assert use(calls(("read", {"path": handle}))) == [f"there is no {handle}"]


def test_a_handle_of_thousands_of_digits_is_one_that_there_is_not(use):
    """A number that Python refuses to read is no end of the answer."""
    assert use(calls(("read", {"path": "result:" + "9" * 5000})))[0].startswith("there is no result:999")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("read", {"path": "\ud800"}, "the path is not valid Unicode"),
        ("search", {"pattern": "\ud800"}, "(nothing was found)"),
        ("write", {"path": "x", "text": "\ud800"}, "the text is not valid Unicode"),
        ("run", {"argv": ["\ud800"]}, "argv or stdin is not valid Unicode"),
        ("\ud800", {}, "there is no tool"),
    ],
)
def test_half_a_character_in_a_call_does_not_end_the_answer(use, workspace, name, arguments, says):
    """JSON can hold a lone surrogate, UTF-8 cannot: the model is told, and its call is sent back without it."""
    told = use(calls((name, arguments)), use=["read", "search", "write", "run"], approve=lambda _: True)
    assert says in told[0]
    assert not (workspace / "x").exists()


def test_saved_results_end_with_the_answer(use, workspace, home):
    """Nothing of a workspace stays behind in MISSY_HOME."""
    (workspace / "big").write_text("x\n" * 60_000)
    use(calls(("read", {"path": "big"})))
    assert [path for path in (home / "tools").rglob("*") if path.is_file()] == []


def test_events_say_what_was_called_and_what_came_of_it(missy, serve, workspace):
    """A program sees each call and each result as an event."""
    origin = serve(calls(("read", {"path": "a.txt"})), chat_stream("done"))
    missy.entry(origin.url)
    with Missy.open() as m:
        events = list(m.ask("go", toolbox=Toolbox(workspace=str(workspace))))
    kinds = [type(event).__name__ for event in events if not isinstance(event, Usage)]
    assert kinds == ["ToolCall", "ToolResult", "Text", "Done"]


def test_async_does_the_same(missy, serve, workspace):
    """AsyncMissy runs the same loop; an async callback is awaited on the event loop."""
    origin = serve(
        calls(("read", {"path": "a.txt"}), ("write", {"path": "b.txt", "text": "new\n"})), chat_stream("done")
    )
    missy.entry(origin.url)
    asked = []

    async def approve(question):
        await asyncio.sleep(0)
        asked.append(question.action.words)
        return True

    async def main():
        async with AsyncMissy.open() as m:
            box = Toolbox(use=["read", "write"], workspace=str(workspace))
            return [event async for event in m.ask("go", toolbox=box, approve=approve)]

    events = asyncio.run(main())
    assert [event.outcome for event in events if isinstance(event, ToolResult)] == ["ok", "ok"]
    assert [event.text for event in events if isinstance(event, Text)] == ["done"]
    assert asked == ["write: b.txt"]
    assert (workspace / "b.txt").read_text() == "new\n"


def test_a_cancelled_async_answer_gives_its_question_up(missy, serve, workspace):
    """A task that is cancelled while a question is open ends, and nothing is written."""
    origin = serve(calls(("write", {"path": "b.txt", "text": "new"})))
    missy.entry(origin.url)

    async def main():
        asked = asyncio.Event()

        async def approve(_):
            asked.set()
            await asyncio.Event().wait()

        async with AsyncMissy.open() as m:
            box = Toolbox(use=["write"], workspace=str(workspace))
            task = asyncio.create_task(m.ask("go", toolbox=box, approve=approve).text())
            await asyncio.wait_for(asked.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 30)

    asyncio.run(main())
    assert not (workspace / "b.txt").exists()


def test_a_cancelled_async_answer_runs_no_further_call(missy, serve, workspace):
    """Of a round of allowed calls, those that have not begun when the task is cancelled are not run."""
    origin = serve(
        calls(
            ("run", {"argv": ["sleep", "60"]}),
            ("write", {"path": "b.txt", "text": "new"}),
        )
    )
    missy.entry(origin.url)

    async def main():
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def approve(question):
            if question.action.tool == "write":  # all are asked first, then the first one runs
                loop.call_soon_threadsafe(begun.set)
            return True

        async with AsyncMissy.open() as m:
            box = Toolbox(use=["run", "write"], workspace=str(workspace))
            task = asyncio.create_task(m.ask("go", toolbox=box, approve=approve).text())
            await asyncio.wait_for(begun.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 30)

    asyncio.run(main())
    assert not (workspace / "b.txt").exists()


def test_a_task_that_is_cancelled_while_its_tools_open_leaves_no_file_open(missy, serve, workspace):
    """The workspace that was opened meanwhile is closed again."""
    missy.entry(serve(chat_stream("done")).url)

    def opened():
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return [path for path in links if os.path.exists(path) and os.path.realpath(path) == str(workspace)]

    async def main():
        threads = Holding()
        async with AsyncMissy.open() as m:
            threads.hold(name="Bench")
            task = asyncio.create_task(m.ask("go", toolbox=Toolbox(workspace=str(workspace))).text())
            await asyncio.wait_for(threads.held.wait(), 30)
            task.cancel()
            asyncio.get_running_loop().call_soon(threads.let_go)
            with pytest.raises(asyncio.CancelledError):
                await task
        threads.shutdown()

    asyncio.run(main())
    assert opened() == []


def test_tools_and_a_toolbox_exclude_each_other(missy, serve):
    """Who runs a tool is never unclear."""
    from missy import Tool

    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError):
        m.ask("hi", tools=[Tool("x", "x", {})], toolbox=Toolbox())
    assert origin.connections == 0


@pytest.mark.parametrize(
    "settings",
    [{"use": ["reed"]}, {"allow": ["run: sh"]}, {"deny": ["nope"]}, {"approve_all": True, "network": "tool"}],
    ids=str,
)
def test_an_impossible_toolbox_is_refused(settings):
    """A toolbox says what is wrong when it is made."""
    with pytest.raises(UsageError) as raised:
        Toolbox(**settings)
    assert raised.value.hint


def test_a_schema_holds_for_the_last_round(missy, serve, workspace):
    """What the model says before it calls tools is no answer: the schema is about the end."""
    origin = serve(calls(("read", {"path": "a.txt"}), text="Let me look."), chat_stream('{"n": 3}'))
    missy.entry(origin.url)
    with Missy.open() as m:
        assert m.ask("go", toolbox=Toolbox(workspace=str(workspace)), schema="n int").value() == {"n": 3}
