"""The rate that an endpoint allows, learnt from its refusals where nobody names it. Pure.

It is kept as a number of requests in a window of time, since that is how endpoints count. A refusal (429) says how long to
wait, which is taken for the window. What the endpoint allows is how many requests were sent in such a time before the
refused one, and not refused, or how many were answered in it, if that is more. Refusals that follow each other closely
halve it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MIN_WINDOW_SECONDS = 1.0  # a shorter time says little
MARGIN = 1.03  # a request may arrive a little sooner than the one before it did
CLOSE = 20  # requests between two refusals that count as closely following each other
STEADY = (30.0, 10)  # before more is tried: seconds, and windows
EARLY = (10.0, 5)  # the same before the second refusal
RECOVERY = (2.0, 2)  # the same while the rate is far below the one that was refused
_REMEMBERED = 8192


class Allowance(NamedTuple):
    """So many requests in a window of so many seconds."""

    requests: int
    window: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.window


class LearnedRate:
    """`allowed` is None until the endpoint refused something. `parts` is how many processes share it."""

    def __init__(self) -> None:
        self.allowed: Allowance | None = None
        self.parts = 1
        self._sent: deque[float] = deque(maxlen=_REMEMBERED)
        self._refused: deque[float] = deque(maxlen=_REMEMBERED)  # when refused requests were sent
        self._answered: deque[float] = deque(maxlen=_REMEMBERED)
        self._event_at = 0.0
        self._since = 0  # requests since the last refusal that began a wave
        self._changed_at = 0.0
        self._ceiling = 0.0  # the rate that was refused last

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may be sent."""
        if self.allowed is None:
            return 0.0
        mine = max(1, self.allowed.requests // self.parts)
        if len(self._sent) < mine:
            return 0.0
        return max(0.0, self._sent[-mine] + self.allowed.window - now)

    def send(self, now: float) -> None:
        """Note a request that is sent; where none was refused for a while, allow a little more from now on."""
        self._sent.append(now)
        self._since += 1
        found = self.allowed
        if found is None:
            return
        is_low = found.rate < 0.7 * self._ceiling
        seconds, windows = RECOVERY if is_low else STEADY if self._ceiling else EARLY
        if now - self._changed_at > max(seconds, windows * found.window):
            more = max(1, found.requests * (10 if is_low else 2) // 100)
            self.allowed, self._changed_at = found._replace(requests=found.requests + more), now

    def answered(self, now: float) -> None:
        """Note an answer."""
        self._answered.append(now)

    def refused(self, sent_at: float, now: float, pause: float, *, is_new: bool) -> None:
        """Note a refusal. `is_new`: it was sent after the last wave of refusals began."""
        before = self.allowed
        window = max(pause, MIN_WINDOW_SECONDS)
        count = self._in_window(self._sent, sent_at, window) - self._in_window(self._refused, sent_at, window)
        count = max(count, self._in_window(self._answered, now + 1e-6, window))
        found = Allowance(max(1, count * self.parts), window * MARGIN)
        self._refused.append(sent_at)
        if not is_new:
            if before is not None and found.rate < before.rate and self._event_at == self._changed_at:
                self.allowed = found
            return
        if before is not None:
            self._ceiling = before.rate
            if self._since <= CLOSE:
                found = _half(before)
            elif found.rate >= before.rate:
                found = before._replace(window=before.window * MARGIN)
        self.allowed = found
        self._event_at = self._changed_at = now
        self._since = 0

    def adopt(self, allowed: Allowance, now: float) -> None:
        """Keep to what another process learnt, unless this one knows of a lower rate."""
        if self.allowed is None or allowed.rate < self.allowed.rate:
            self.allowed, self._changed_at = allowed, now

    @staticmethod
    def _in_window(times: deque[float], end: float, window: float) -> int:
        found = 0
        for at in reversed(times):
            if at <= end - window:
                break
            found += at < end
        return found


def _half(allowed: Allowance) -> Allowance:
    if allowed.requests > 1:
        return allowed._replace(requests=allowed.requests // 2)
    return allowed._replace(window=allowed.window * 2)
