"""Driving one call: attempts, the reply's bytes to events, the clock. Sync and async are two thin loops over one design."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.net.limits import Clock
from missy.net.transport import BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.events import Event
    from missy.providers.attempts import Attempts
    from missy.providers.base import Request
    from missy.providers.protocols import Dialect, Wire

_GRACE = 5.0  # seconds that usage and the end marker may take once the answer is finished
_DRAIN = 0.05  # seconds to take the end of the body, so that the connection can serve again


def drive(dialect: Dialect, request: Request) -> Iterator[Event]:
    """Yield the answer's events as they arrive, trying again as `attempts` says. Raises MissyError."""
    clock = Clock(request.timeout, request.deadline, request.patience)
    attempts = dialect.attempts(request, clock)
    while True:
        body, shown = dialect.body(request, attempts), False
        try:
            for event in _attempt(dialect, request, body, attempts, clock):
                shown = True
                yield event
        except MissyError as error:
            time.sleep(attempts.after(error, sent=body, shown=shown))
            continue
        dialect.succeeded(request, attempts)
        return


def _attempt(
    dialect: Dialect, request: Request, body: dict[str, Any], attempts: Attempts, clock: Clock
) -> Iterator[Event]:
    clock.restart()
    call: dict[str, Any] = {
        "credential": attempts.credential,
        "clock": clock,
        "headers": dialect.headers(attempts),
    }
    with dialect.sdk.send("post", dialect.path, body=body, **call) as response:
        wire, reply = dialect.reader(request, response.headers)
        source: Any = response.extensions[BODY]
        chunks, cut = iter(source), None
        while not reply.over:
            try:
                chunk = next(chunks, None)
            except MissyError as error:
                cut = error
                break
            if chunk is None:
                break
            before = wire.progress
            events, _ = reply.feed(chunk)
            _note_life(clock, wire, before)
            if events:
                paused = clock.pause()
                yield from events
                clock.resume(paused)
        try:
            yield from reply.flush(cut)
            yield from reply.end(cut)
        except MissyError as error:
            source.ended(error)  # the record says that this was no whole answer
            raise
        source.ended()  # the answer is over; what follows is housekeeping
        clock.restart(_DRAIN)
        try:
            for _ in chunks:
                pass
        except MissyError:
            pass


def _note_life(clock: Clock, wire: Wire, before: int) -> None:
    """Tell the clock what bytes have shown: progress, life, or that no more is to come than the end."""
    if wire.progress != before:
        clock.restart(_GRACE if wire.settled else None)
    elif wire.settled:
        clock.finish(_GRACE)
    else:
        clock.alive()


async def adrive(dialect: Dialect, request: Request) -> AsyncIterator[Event]:
    """Like `drive`, for async code. A credential that needs a refresh is waited for in a thread."""
    import asyncio

    clock = Clock(request.timeout, request.deadline, request.patience)
    waits = dialect.may_wait  # for a login's renewal: not on the event loop
    attempts = (
        await asyncio.to_thread(dialect.attempts, request, clock)
        if waits
        else dialect.attempts(request, clock)
    )
    while True:
        body, shown = dialect.body(request, attempts), False
        try:
            async for event in _aattempt(dialect, request, body, attempts, clock):
                shown = True
                yield event
        except MissyError as error:
            after = partial(attempts.after, error, sent=body, shown=shown)
            await asyncio.sleep(await asyncio.to_thread(after) if waits else after())
            continue
        dialect.succeeded(request, attempts)
        return


async def _aattempt(
    dialect: Dialect, request: Request, body: dict[str, Any], attempts: Attempts, clock: Clock
) -> AsyncIterator[Event]:
    clock.restart()
    call: dict[str, Any] = {
        "credential": attempts.credential,
        "clock": clock,
        "headers": dialect.headers(attempts),
    }
    async with dialect.sdk.asend("post", dialect.path, body=body, **call) as response:
        wire, reply = dialect.reader(request, response.headers)
        source: Any = response.extensions[BODY]
        chunks, cut = aiter(source), None
        while not reply.over:
            try:
                chunk = await anext(chunks, None)
            except MissyError as error:
                cut = error
                break
            if chunk is None:
                break
            before = wire.progress
            events, _ = reply.feed(chunk)
            _note_life(clock, wire, before)
            if events:
                paused = clock.pause()
                for event in events:
                    yield event
                clock.resume(paused)
        try:
            for event in reply.flush(cut):
                yield event
            for event in reply.end(cut):
                yield event
        except MissyError as error:
            source.ended(error)
            raise
        source.ended()
        clock.restart(_DRAIN)
        try:
            async for _ in chunks:
                pass
        except MissyError:
            pass
