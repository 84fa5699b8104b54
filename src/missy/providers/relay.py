"""A call whose body another program wrote: sent as it is, with the entry's own key, and retried like any other call.

The reply is handed out unread. Only its head was looked at: a status of success is returned, anything else is an error.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.net.limits import Clock
    from missy.net.messages import HttpResponse
    from missy.providers.attempts import Attempts
    from missy.providers.endpoint import Endpoint


class Relaying(Protocol):
    """What is needed of a provider. `may_wait`: getting a credential may take time, so it is done in a thread."""

    endpoint: Endpoint
    may_wait: bool
    path: str

    def fresh_attempts(self, clock: Clock) -> Attempts:
        """Start a call of which nothing may be left out."""


async def relay(
    provider: Relaying, content: bytes, model: str, clock: Clock, recorded: Mapping[str, str]
) -> HttpResponse:
    """Send `content`, JSON, and return the response with its body unread; the caller closes it. Raises MissyError."""
    begin = partial(provider.fresh_attempts, clock)
    attempts = await asyncio.to_thread(begin) if provider.may_wait else begin()
    while True:
        try:
            return await _attempt(provider, attempts, content, model, clock, recorded)
        except MissyError as error:
            pause = partial(attempts.next_delay, error, sent=(), output_started=False)
            await asyncio.sleep(await asyncio.to_thread(pause) if provider.may_wait else pause())


async def _attempt(
    provider: Relaying,
    attempts: Attempts,
    content: bytes,
    model: str,
    clock: Clock,
    recorded: Mapping[str, str],
) -> HttpResponse:
    endpoint, credential = provider.endpoint, attempts.credential
    request = endpoint.build_plain(provider.path, credential, content)
    clock.reset_idle()
    response = await endpoint.async_core().send(request, endpoint.attribution(credential, clock, recorded))
    if 200 <= response.status < 300:
        return response
    raw = bytearray()
    try:
        async for piece in response.body:
            raw += piece
    finally:
        await response.body.aclose()
    raise endpoint.error(response, bytes(raw), credential, {"model": model})
