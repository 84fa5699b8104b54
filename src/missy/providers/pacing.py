"""What calls tell the governor of their endpoint, and what it tells them. Pure except for the clock."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from missy.errors import LimitError, MissyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.governor.core import Governor
    from missy.net.limits import Clock
    from missy.providers.base import Request

_BUSY = 503


def shared_pause(governor: Governor, request: Request, clock: Clock) -> float:
    """Return the seconds to wait because the endpoint asked another call to.

    A wait that is longer than the call's own time is left to the endpoint: it is asked, and says so itself.
    """
    wait = governor.pause(monotonic())
    left = clock.total_remaining()
    return wait if wait <= request.timeout and (left is None or wait < left) else 0.0


def next_delay(governor: Governor, error: MissyError, retry: Callable[[], float]) -> float:
    """Return the delay of the next attempt, or raise `error`. Where no other key takes over, note the wait it names."""
    try:
        delay = retry()
    except MissyError:
        _note_refusal(governor, error)
        raise
    if delay:
        _note_refusal(governor, error)
    return delay


def _note_refusal(governor: Governor, error: MissyError) -> None:
    if not isinstance(error, ProviderError) or error.retry_after is None or error.lasting:
        return
    if isinstance(error, LimitError) or error.status == _BUSY:
        governor.hold(error.retry_after, monotonic())


def note_limits(governor: Governor, headers: Mapping[str, str]) -> None:
    """Note the wait in the headers of an answer: a limit that it used up resets after so long."""
    for name, value in headers.items():
        if value in ("0", "0.0") and "remaining" in name and "ratelimit" in name.replace("-", ""):
            from missy.net import waits

            wait = waits.duration(headers.get(name.replace("remaining", "reset")))
            if wait:
                governor.hold(wait, monotonic())
