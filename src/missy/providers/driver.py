"""Driving one call: attempts, parsing the response to events, the clock.

`answer_steps` is the call itself, for sync and async code: a generator without I/O ("sans-IO"). It yields I/O steps,
receives their results, and yields the answer's events. `drive` and `adrive` execute the steps.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from missy.errors import MissyError, ProviderError
from missy.net.limits import Clock
from missy.providers.pacing import next_delay, note_limits, shared_pause
from missy.providers.recorded import recorded_of
from missy.providers.replays import own_replays, stamped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping

    from missy.events import Event
    from missy.net.gate import Attribution
    from missy.net.messages import HttpRequest, HttpResponse
    from missy.providers.attempts import Attempts
    from missy.providers.base import Request
    from missy.providers.endpoint import Endpoint
    from missy.providers.replays import Issuer
    from missy.providers.reply import EventParser, ResponseReader

MAX_END_SECONDS = 5.0  # for usage and the end marker after the answer is finished
MAX_DRAIN_SECONDS = 0.05  # to read the end of the body, so that the connection can be reused


class ProviderAdapter(Protocol):
    """The interface of a provider to the driver: the endpoint, the body, and the parser of the response.

    `may_wait`: getting a credential may use the network, so async code does it in a thread.
    """

    endpoint: Endpoint
    may_wait: bool
    path: str

    def attempts(self, request: Request, clock: Clock) -> Attempts:
        """Start a call: return its credentials and the parameters that its endpoint is known to refuse."""

    def issuer(self, request: Request, attempts: Attempts) -> Issuer:
        """Say who answers: what they seal for themselves goes back to them alone."""

    def body(self, request: Request, attempts: Attempts) -> dict[str, Any]:
        """Build the body of the next attempt."""

    def headers(self, attempts: Attempts) -> dict[str, str]:
        """Return the headers with the credential of the next attempt."""

    def reader(self, request: Request, headers: Mapping[str, str]) -> tuple[EventParser, ResponseReader]:
        """Return the reader for a response with these headers."""

    def succeeded(self, request: Request, attempts: Attempts) -> None:
        """Record a successful call."""


class _Open(NamedTuple):
    """Send a request; the result is the response with its body unread. The previous response is closed first."""

    request: HttpRequest
    attribution: Attribution


class _Run(NamedTuple):
    """Call a function; the result is its return value. `may_wait`: it may block, so it must not run on an event loop."""

    function: Callable[[], Any]
    may_wait: bool


class _Sleep(NamedTuple):
    """Close the response and wait."""

    seconds: float


class _Read:
    """Read; the result is the next bytes of the body, None at its end."""


_READ = _Read()
_Step = _Open | _Run | _Sleep | _Read
_STEPS = (_Open, _Run, _Sleep, _Read)  # everything else that is yielded is an event


def answer_steps(adapter: ProviderAdapter, request: Request) -> Generator[Event | _Step, Any, None]:
    """Yield the answer's events and the I/O steps, with the retries of `attempts`. Raises MissyError.

    If a step fails, its MissyError is thrown into the generator at the yield.
    """
    clock = Clock(request.timeout, request.deadline, request.patience)
    attempts: Attempts = yield _Run(partial(adapter.attempts, request, clock), adapter.may_wait)
    while True:
        own = own_replays(request, partial(adapter.issuer, request, attempts), attempts.replays)
        body = adapter.body(own, attempts)
        pause = shared_pause(adapter.endpoint.governor, request, clock)
        if pause:
            yield _Sleep(pause)
        try:
            yield from _attempt(adapter, request, body, attempts, clock)
        except MissyError as error:
            retry = partial(attempts.next_delay, error, sent=body, output_started=attempts.output_started)
            retry = partial(next_delay, adapter.endpoint.governor, error, retry)
            yield _Sleep((yield _Run(retry, adapter.may_wait)))
            yield from attempts.told()
            continue
        adapter.succeeded(request, attempts)
        return


def _attempt(
    adapter: ProviderAdapter, request: Request, body: dict[str, Any], attempts: Attempts, clock: Clock
) -> Generator[Event | _Step, Any, None]:
    credential, headers = attempts.credential, adapter.headers(attempts)
    http = adapter.endpoint.build("post", adapter.path, credential, body, headers)
    clock.reset_idle()  # only here: the first request loads the `openai` package, which takes time
    attribution = adapter.endpoint.attribution(credential, clock, recorded_of(request))
    response: HttpResponse = yield _Open(http, attribution)
    if not 200 <= response.status < 300:
        raw = bytearray()
        while (chunk := (yield _READ)) is not None:
            raw += chunk
        raise adapter.endpoint.error(response, bytes(raw), credential, body)
    headers = response.headers
    note_limits(adapter.endpoint.governor, headers)
    parser, reply = adapter.reader(request, headers)
    cut: MissyError | None = None
    while not reply.finished_reading:
        try:
            chunk = yield _READ
        except MissyError as error:
            cut = error
            if isinstance(error, ProviderError):
                error.in_answer = True
            break
        if chunk is None:
            break
        before = parser.progress
        events, _ = reply.feed(chunk)
        _note_life(clock, parser, before)
        if events:
            paused = clock.pause()
            attempts.output_started = True
            yield from events
            clock.resume(paused)
    try:
        for last_events in (reply.flush, reply.end):
            for event in last_events(cut):
                attempts.output_started = True
                yield stamped(event, adapter.issuer(request, attempts))
    except MissyError as error:
        response.body.ended(error)  # the audit records that the answer is not complete
        raise
    response.body.ended()  # the answer is complete; only usage and the end marker follow
    clock.reset_idle(MAX_DRAIN_SECONDS)
    try:
        while (yield _READ) is not None:
            pass
    except MissyError:
        pass


def _note_life(clock: Clock, parser: EventParser, before: int) -> None:
    """Update the clock after a read: progress, a sign that the endpoint is alive, or a finished answer."""
    if parser.progress != before:
        clock.reset_idle(MAX_END_SECONDS if parser.settled else None)
    elif parser.settled:
        clock.finish(MAX_END_SECONDS)
    else:
        clock.alive()


def drive(adapter: ProviderAdapter, request: Request) -> Iterator[Event]:
    """Yield the answer's events as they arrive. Raises MissyError."""
    steps = answer_steps(adapter, request)
    response: HttpResponse | None = None
    chunks: Any = None
    outcome, failure = None, None
    try:
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration:
                return
            outcome, failure = None, None
            try:
                if isinstance(step, _Read):
                    outcome = next(chunks, None)
                elif not isinstance(step, _STEPS):
                    yield step
                elif isinstance(step, _Run):
                    outcome = step.function()
                else:
                    if response is not None:
                        closing = response
                        response = None
                        closing.body.close()
                    if isinstance(step, _Sleep):
                        time.sleep(step.seconds)
                    else:
                        outcome = response = adapter.endpoint.core().send(step.request, step.attribution)
                        chunks = iter(response.body)
            except MissyError as error:
                failure = error
    finally:
        if response is not None:
            response.body.close()


async def adrive(adapter: ProviderAdapter, request: Request) -> AsyncIterator[Event]:
    """Like `drive`, for async code. What may block on a file, a child process or the network runs in a thread."""
    import asyncio

    steps = answer_steps(adapter, request)
    response: HttpResponse | None = None
    chunks: Any = None
    outcome, failure = None, None
    try:
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration:
                return
            outcome, failure = None, None
            try:
                if isinstance(step, _Read):
                    outcome = await anext(chunks, None)
                elif not isinstance(step, _STEPS):
                    yield step
                elif isinstance(step, _Run):
                    outcome = await asyncio.to_thread(step.function) if step.may_wait else step.function()
                else:
                    if response is not None:
                        closing = response
                        response = None
                        await closing.body.aclose()
                    if isinstance(step, _Sleep):
                        await asyncio.sleep(step.seconds)
                    else:
                        outcome = response = await adapter.endpoint.async_core().send(
                            step.request, step.attribution
                        )
                        chunks = aiter(response.body)
            except MissyError as error:
                failure = error
    finally:
        if response is not None:
            await response.body.aclose()
