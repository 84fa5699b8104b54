"""What the type checker promises a user of the library. Checked by mypy, never run.

Each `type: ignore` is a mistake that must be found: mypy reports an ignore that is not needed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, assert_never, assert_type

import missy
from missy import (
    AskOptions,
    AsyncMissy,
    Citation,
    Done,
    Event,
    Message,
    Missy,
    Notice,
    Preview,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def events_are_matched(event: Event) -> str:
    """Each kind of event can be taken apart by its fields, and no kind is forgotten."""
    match event:
        case Text(text) | Reasoning(text) | Notice(text):
            return assert_type(text, str)
        case ToolResult(id, name) | ToolCall(id, name):
            return assert_type(id, str) + name
        case Usage(input_tokens=tokens):
            return str(assert_type(tokens, int | None))
        case Citation(url, title):
            return assert_type(url, str) + assert_type(title, str)
        case Done(reason):
            return str(assert_type(reason, str | None))
        case _:
            assert_never(event)


def values_are_frozen_and_replaced() -> None:
    """A value does not change; a changed copy is of the same type."""
    text = Text("a")
    text.text = "b"  # type: ignore[misc]
    assert_type(dataclasses.replace(text, text="b"), Text)
    Message("robot", "hi")  # type: ignore[arg-type]


def an_answer(m: Missy) -> str:
    """The sync calls, their options and what they return."""
    with m:
        for event in m.ask("hi", provider="openai", model="gpt-4o", temperature=0.2, reasoning="low"):
            assert_type(event, Event)
        m.ask("hi", temprature=0.2)  # type: ignore[call-arg]
        m.ask("hi", temperature="hot")  # type: ignore[arg-type]
        m.ask("hi", reasoning="extreme")  # type: ignore[arg-type]
        assert_type(m.preview("hi", max_tokens=10), Preview)
        assert_type(m.models("openai"), list[str])
        options: AskOptions = {"model": "gpt-4o", "timeout": 3}
        return assert_type(m.ask([Message("user", "hi")], **options).text(), str)


async def an_async_answer(m: AsyncMissy) -> str:
    """The same for async code."""
    async with m:
        async for event in m.ask("hi", max_tokens=10):
            assert_type(event, Event)
        m.ask("hi", max_token=10)  # type: ignore[call-arg]
        return assert_type(await m.ask("hi").text(), str)


def errors_are_one_tree(error: missy.MissyError) -> tuple[str, int]:
    """Every error has a message, a hint and an exit code."""
    return assert_type(error.message, str) + assert_type(error.hint, str), assert_type(error.exit_code, int)


def iterators(m: Missy, a: AsyncMissy) -> tuple[Iterator[Event], AsyncIterator[Event]]:
    """Answers are plain iterators of events."""
    return iter(m.ask("hi")), aiter(a.ask("hi"))
