"""Driving an answer with tools: model call, tools, model call, until there is nothing more to run. Sync and async."""

from __future__ import annotations

import time
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from missy import threads
from missy.errors import MissyError
from missy.events import Notice
from missy.providers.checked import checked_astream, checked_stream
from missy.toolbox.bench import Bench
from missy.toolbox.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from missy.events import Event, ToolCall, ToolResult
    from missy.providers.base import Answering, Request
    from missy.providers.checked import HeldText
    from missy.toolbox.bench import Surroundings, ToolRun


def tool_stream(
    provider: Answering, request: Request, run: ToolRun, around: Surroundings, held: HeldText
) -> Iterator[Event]:
    """Yield the events of an answer whose tool calls are run; see `checked_stream`. Raises MissyError."""
    bench = _open(run, around, request)
    turns = Turns(request, bench.limits, time.monotonic)
    try:
        while turns.request is not None:
            events: Any = checked_stream(provider, turns.request, held)
            with closing(events):
                for event in events:
                    for shown in turns.take(event):
                        yield shown
            for shown in turns.finish():
                yield shown
            if not turns.calls:
                continue
            results = _run(bench, turns.calls)
            for text in bench.take_notices():
                yield Notice(text)
            for result in results:  # noqa: UP028 as its twin for async code has it
                yield result
            turns.thought = bench.thought
            turns.answered(results, bench.images)
    except MissyError:
        for shown in turns.usage():
            yield shown
        raise
    finally:
        bench.cancel()
        bench.close()


async def tool_astream(
    provider: Answering, request: Request, run: ToolRun, around: Surroundings, held: HeldText
) -> AsyncIterator[Event]:
    """Like `tool_stream`, for async code. Tools, and whoever is asked, run in a thread."""
    bench = await _aopen(run, around, request)
    turns = Turns(request, bench.limits, time.monotonic)
    try:
        while turns.request is not None:
            events: Any = checked_astream(provider, turns.request, held)
            async with aclosing(events):
                async for event in events:
                    for shown in turns.take(event):
                        yield shown
            for shown in turns.finish():
                yield shown
            if not turns.calls:
                continue
            results = await _arun(bench, turns.calls)
            for text in bench.take_notices():
                yield Notice(text)
            for result in results:
                yield result
            turns.thought = bench.thought
            turns.answered(results, bench.images)
    except MissyError:
        for shown in turns.usage():
            yield shown
        raise
    finally:
        bench.cancel()
        await threads.in_thread(bench.close)


def _open(run: ToolRun, around: Surroundings, request: Request) -> Bench:
    return Bench(run, around, request)


async def _aopen(run: ToolRun, around: Surroundings, request: Request) -> Bench:
    """Open the tools in a thread. If this task is cancelled meanwhile, they are closed again."""
    import asyncio

    opening = threads.start(Bench, run, around, request)
    try:
        await threads.finish(opening)
    except asyncio.CancelledError:
        if opening.exception() is None:
            await threads.in_thread(opening.result().close)
        raise
    return opening.result()


def _run(bench: Bench, calls: Sequence[ToolCall]) -> list[ToolResult]:
    return bench.run(calls)


async def _arun(bench: Bench, calls: Sequence[ToolCall]) -> list[ToolResult]:
    """Run the calls of a round in a thread. If this task is cancelled meanwhile, they are ended, and waited for."""
    import asyncio

    running = threads.start(bench.run, calls)
    try:
        await asyncio.wait([running])
    except asyncio.CancelledError:
        bench.cancel()
        await threads.finish(running)
        raise
    return running.result()
