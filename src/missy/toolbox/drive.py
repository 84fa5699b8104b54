"""Driving an answer with tools: model call, tools, model call, until there is nothing more to run. Sync and async."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.events import Notice
from missy.providers.checked import checked_astream, checked_stream
from missy.toolbox.bench import Bench
from missy.toolbox.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.events import Event
    from missy.providers.base import Answering, Request
    from missy.toolbox.bench import Surroundings, ToolRun


def tool_stream(provider: Answering, request: Request, run: ToolRun, around: Surroundings) -> Iterator[Event]:
    """Yield the events of an answer whose tool calls are run. Raises MissyError."""
    bench = Bench(run, around, request)
    turns = Turns(request, bench.limits, time.monotonic)
    try:
        while turns.request is not None:
            for event in checked_stream(provider, turns.request):
                for shown in turns.take(event):
                    yield shown
            for shown in turns.finish():
                yield shown
            if not turns.calls:
                continue
            results = bench.run(turns.calls)
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
    provider: Answering, request: Request, run: ToolRun, around: Surroundings
) -> AsyncIterator[Event]:
    """Like `tool_stream`, for async code. Tools, and whoever is asked, run in a thread."""
    import asyncio

    bench = await asyncio.to_thread(Bench, run, around, request)
    turns = Turns(request, bench.limits, time.monotonic)
    try:
        while turns.request is not None:
            async for event in checked_astream(provider, turns.request):
                for shown in turns.take(event):
                    yield shown
            for shown in turns.finish():
                yield shown
            if not turns.calls:
                continue
            results = await asyncio.to_thread(bench.run, turns.calls)
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
        await asyncio.to_thread(bench.close)
