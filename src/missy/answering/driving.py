"""The events of one answer, for sync and async code: from whoever is asked for it."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from missy.answering.route import is_shown
from missy.errors import MissyError
from missy.events import Notice
from missy.kinds import kind_of
from missy.providers.checked import checked_astream, checked_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.answering.route import Route
    from missy.config.schema import Entry
    from missy.events import Event
    from missy.providers.base import Answering, Provider, Request
    from missy.runtime import Runtime


@contextmanager
def answering(runtime: Runtime) -> Iterator[None]:
    """Keep alive what an answer needs; afterwards close what nobody needs."""
    runtime.acquire()
    try:
        yield
    finally:
        for door in runtime.release():
            door.close()


@asynccontextmanager
async def async_answering(runtime: Runtime) -> AsyncIterator[None]:
    """Like `answering`, for async code."""
    runtime.acquire()
    try:
        yield
    finally:
        for door in runtime.release():
            await door.aclose()
            door.close()


def events(runtime: Runtime, route: Route) -> Iterator[Event]:
    """Yield the events of an answer; ask the next entry of the route where the one before failed. Raises MissyError."""
    with answering(runtime):
        for text in runtime.pending_notices():
            yield Notice(text)
        while True:
            is_begun, stream = False, None
            try:
                provider = _provider(runtime, route.entry)
                for text in _cautions(route.entry, route.request):
                    yield Notice(text)
                stream = _stream(route.meter.on(provider, route.entry), route)
                for event in stream:
                    is_begun = is_begun or is_shown(event)
                    yield event
                return
            except MissyError as error:
                if is_begun or not route.has_others:
                    raise
                told, last = route.move(error)
                for text in told:
                    yield Notice(text)
                if last is error:
                    raise
                if last is not None:
                    raise last from None
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()


async def aevents(runtime: Runtime, route: Route) -> AsyncIterator[Event]:
    """Like `events`, for async code."""
    async with async_answering(runtime):
        for text in runtime.pending_notices():
            yield Notice(text)
        while True:
            is_begun, stream = False, None
            try:
                provider = await _aprovider(runtime, route.entry)
                for text in _cautions(route.entry, route.request):
                    yield Notice(text)
                stream = _astream(route.meter.on(provider, route.entry), route)
                async for event in stream:
                    is_begun = is_begun or is_shown(event)
                    yield event
                return
            except MissyError as error:
                if is_begun or not route.has_others:
                    raise
                from missy import threads

                told, last = await threads.in_thread(route.move, error)
                for text in told:
                    yield Notice(text)
                if last is error:
                    raise
                if last is not None:
                    raise last from None
            finally:
                aclose = getattr(stream, "aclose", None)
                if aclose is not None:
                    await aclose()


def _stream(provider: Answering, route: Route) -> Iterator[Event]:
    if not route.request.in_loop:
        return checked_stream(provider, route.request, route.held)
    from missy.toolbox.drive import tool_stream

    return tool_stream(provider, route.request, *route.tool_run(), route.held)


def _astream(provider: Answering, route: Route) -> AsyncIterator[Event]:
    if not route.request.in_loop:
        return checked_astream(provider, route.request, route.held)
    from missy.toolbox.drive import tool_astream

    run, around = route.tool_run()
    return tool_astream(provider, route.request, run.on_loop(), around, route.held)


def _provider(runtime: Runtime, entry: Entry) -> Provider:
    return runtime.provider(entry)


async def _aprovider(runtime: Runtime, entry: Entry) -> Provider:
    """Return the provider; getting one that starts a server takes seconds, so it is done in a thread."""
    ready = runtime.ready_provider(entry)
    if ready is not None:
        return ready
    import asyncio

    return await asyncio.to_thread(runtime.provider, entry)


def _cautions(entry: Entry, request: Request) -> Iterator[str]:
    """Yield what should be known before a request is sent."""
    if notice := kind_of(entry).announce(entry):
        yield notice
    if files := request.messages[-1].attachments:
        from missy.attachments.content import size_notice

        if large := size_notice(files):
            yield large
