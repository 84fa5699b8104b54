"""The governor of an endpoint: pure, with a clock of the test's own."""

from __future__ import annotations

from math import inf

import pytest

from missy.governor.bucket import Bucket
from missy.governor.core import Governor
from missy.governor.learning import Allowance
from missy.governor.registry import governor_of
from missy.governor.shared import SharedPace


class _Window:
    """An endpoint that allows so many requests in a window of a second, which begins with its first request."""

    def __init__(self, allowed: int) -> None:
        self.allowed, self.begun, self.count = allowed, -9.0, 0

    def accepts(self, now: float) -> bool:
        if now - self.begun >= 1:
            self.begun, self.count = now, 0
        self.count += 1
        return self.count <= self.allowed


class _Tank:
    """An endpoint with a token bucket: a burst, and as many a second."""

    def __init__(self, allowed: int) -> None:
        self.bucket = Bucket(allowed, allowed, 0.0)

    def accepts(self, now: float) -> bool:
        if self.bucket.wait(1, now):
            return False
        self.bucket.take(1, now)
        return True


def _simulate(endpoint: _Window | _Tank, rows: int, latency: float) -> tuple[float, int]:
    """Send rows through a governor; return the seconds it took, and the refusals."""
    governor, now, under_way = Governor(), 0.0, []
    governor.configure(rpm=None, tpm=None, most=None, now=now)
    left, done, refused = rows, 0, 0
    while done < rows:
        delay = governor.delay(0, now) if left else inf
        if delay == 0:
            ticket = governor.send(0, now)
            under_way.append((now + latency, endpoint.accepts(now), ticket))
            left, now = left - 1, now + 0.001
            continue
        under_way.sort()
        ends = under_way[0][0] if under_way else inf
        if now + delay < ends:
            now += delay
            continue
        now = max(now, ends)
        _, accepted, ticket = under_way.pop(0)
        if accepted:
            governor.accepted(ticket, now, None)
            done += 1
        else:
            governor.refused(ticket, now, 1.0)
            refused, left = refused + 1, left + 1
    return now, refused


@pytest.mark.parametrize("latency", [0.003, 0.2])
@pytest.mark.parametrize("endpoint", [_Window, _Tank])
def test_a_rate_is_learnt_from_few_refusals(endpoint, latency):
    """600 rows at 20 a second: at most 5 % of the requests are refused, and 90 % of the limit is used, whatever counts."""
    seconds, refused = _simulate(endpoint(20), 600, latency)
    assert refused <= 0.05 * (600 + refused)
    assert 600 / seconds >= 18


def test_concurrency_grows_and_is_halved_once_a_wave():
    """It grows while it is used; refusals that were sent together halve it once."""
    governor = Governor()
    tickets = [governor.send(0, 0.0) for _ in range(8)]
    assert governor.delay(0, 0.0) == inf
    for ticket in tickets[:1]:
        governor.accepted(ticket, 1.0, None)
    assert governor.limit > 8
    before = governor.limit
    for ticket in tickets[1:]:
        governor.refused(ticket, 2.0, 1.0)
    assert governor.limit == before / 2
    assert governor.delay(0, 2.5) == pytest.approx(0.5)


def test_the_longest_wait_counts_and_without_one_it_doubles():
    """A shorter wait that is heard later does not end a longer pause; unnamed waits double."""
    governor = Governor()
    governor.hold(10, 0.0)
    governor.hold(1, 1.0)
    assert governor.pause(2.0) == 8
    other = Governor()
    waits = [other.refused(other.send(0, at), at, None) for at in (0.0, 10.0, 20.0)]
    assert waits == [1, 2, 4]


def test_tokens_are_reserved_and_corrected():
    """A request waits for its tokens; what it did not use is given back."""
    governor = Governor()
    governor.configure(rpm=None, tpm=600, most=None, now=0.0)
    ticket = governor.send(10, 0.0)
    assert governor.delay(10, 0.0) == pytest.approx(1.0)
    governor.accepted(ticket, 0.0, 4)
    assert governor.delay(10, 0.0) == pytest.approx(0.4)


def test_one_governor_for_an_endpoint_and_credential():
    """The same endpoint and credential share one; another key has its own."""
    assert governor_of("https://a/v1", "e", "k1") is governor_of("https://a/v1", "e", "k1")
    assert governor_of("https://a/v1", "e", "k1") is not governor_of("https://a/v1", "e", "k2")


def test_processes_share_pause_and_rate(home):
    """Two that use the same file hear of each other's pause, halve the rates, and adopt what the other learnt."""
    folder = home / "limits"
    first, second = Governor(), Governor()
    for one in (first, second):
        one.configure(rpm=600, tpm=None, most=None, now=0.0)
    a, b = SharedPace(folder, "u"), SharedPace(folder, "u")
    a.tell(first, 10.0)
    b.tell(second, 10.0)
    a.tell(first, 11.5)
    first.share(2, Allowance(20, 1.0), 11.5)
    first.hold(30, 11.5)
    a.tell(first, 11.5)
    assert 29 < b.delay(second, 11.5) <= 30
    assert second.learned == Allowance(20, 1.0)
    assert first._requests.rate == second._requests.rate == 5
    a.leave()
    b.tell(second, 20.0)
    assert second._requests.rate == 10
    b.leave()
