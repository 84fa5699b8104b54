"""The governor of one endpoint and credential: what may be sent now, given the time and the answers so far. Pure.

All calls of a process share the pause that the endpoint asked for. Bulk work also keeps to the rates that are given or
learnt, and to a number of requests at a time, which grows by one and is halved when the endpoint refuses (AIMD).
Times are in seconds of one monotonic clock.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from missy.governor.bucket import Bucket
from missy.governor.learning import Allowance, LearnedRate

FIRST_CONCURRENCY = 8.0
MAX_CONCURRENCY = 128  # the idle connections that are kept
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 60.0  # where the endpoint names no wait


class Ticket(NamedTuple):
    """One request that was sent: when, and how many tokens were counted for it."""

    at: float
    tokens: float


class Governor:
    """`until` is the end of the shared pause. `in_flight` counts the requests of bulk work."""

    def __init__(self) -> None:
        self.until: float = 0.0
        self.in_flight: int = 0
        self.limit: float = FIRST_CONCURRENCY  # requests at a time
        self.most: int = MAX_CONCURRENCY
        self.refusals: int = 0  # in a row
        self._threshold = inf  # below it, the number grows faster
        self._event_at = 0.0  # the last refusal that was not of the same wave as the one before
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self._learned = LearnedRate()
        self._parts = 1  # processes that share the rates

    # --- for every call

    def pause(self, now: float) -> float:
        """Return the seconds that the endpoint still asks to wait, 0 if none."""
        return max(0.0, self.until - now)

    def hold(self, seconds: float, now: float) -> None:
        """Note that the endpoint asks to wait. The longest wait counts."""
        self.until = max(self.until, now + seconds)

    # --- for bulk work

    def configure(self, *, rpm: float | None, tpm: float | None, most: int | None, now: float) -> None:
        """Set the limits of a job: requests and tokens a minute, requests at a time."""
        if rpm is not None:
            self._requests = Bucket(rpm / 60, 1.0 + rpm / 60 * 0.05, now)
        if tpm is not None:
            self._tokens = Bucket(tpm / 60, tpm / 60, now)
        if most is not None:
            self.most = most
        self.limit = min(self.limit, float(self.most))

    @property
    def learned(self) -> Allowance | None:
        """What was learnt of the rate that the endpoint allows all processes together."""
        return self._learned.allowed

    def share(self, parts: int, learned: Allowance | None, now: float) -> None:
        """Keep to one part of the rates; `learned` is what another process learnt for all of them."""
        if parts != self._parts:
            for bucket in (self._requests, self._tokens):
                if bucket is not None:
                    bucket.rate *= self._parts / parts
            self._parts = self._learned.parts = parts
        if learned is not None:
            self._learned.adopt(learned, now)

    def delay(self, tokens: float, now: float) -> float:
        """Return the seconds until a request of so many tokens may be sent: 0 is now, inf when another one has ended."""
        if self.in_flight >= int(self.limit):
            return inf
        wait = max(self.until - now, self._learned.wait(now))
        for bucket, amount in ((self._requests, 1.0), (self._tokens, tokens)):
            if bucket is not None:
                wait = max(wait, bucket.wait(amount, now))
        return max(0.0, wait)

    def send(self, tokens: float, now: float) -> Ticket:
        """Note that a request is sent."""
        self.in_flight += 1
        self._learned.send(now)
        for bucket, amount in ((self._requests, 1.0), (self._tokens, tokens)):
            if bucket is not None:
                bucket.take(amount, now)
        return Ticket(now, tokens)

    def accepted(self, ticket: Ticket, now: float, tokens: float | None) -> None:
        """Note an answer; `tokens` is what it took, None if it is not known."""
        self.in_flight -= 1
        self.refusals = 0
        self._learned.answered(now)
        if self._tokens is not None and tokens is not None:
            self._tokens.give(ticket.tokens - tokens)
        if self.in_flight + 1 >= int(self.limit):  # only a number that was reached is known to be too small
            self.limit += 0.5 if self.limit < self._threshold else 1 / self.limit
            self.limit = min(self.limit, float(self.most))

    def refused(self, ticket: Ticket, now: float, wait: float | None) -> float:
        """Note a refusal for the rate (429) and begin a pause. Returns its length in seconds."""
        self.in_flight -= 1
        if self._tokens is not None:
            self._tokens.give(ticket.tokens)
        is_new = ticket.at >= self._event_at
        if is_new:
            self.refusals += 1
            self._event_at = now
            self.limit = self._threshold = max(1.0, self.limit / 2)
        if wait is None:
            wait = min(FIRST_BACKOFF_SECONDS * 2 ** min(self.refusals - 1, 10), MAX_BACKOFF_SECONDS)
        self._learned.refused(ticket.at, now, wait, is_new=is_new)
        self.hold(wait, now)
        return wait

    def failed(self) -> None:
        """Note a request that came to nothing, for another reason than its rate."""
        self.in_flight -= 1
