"""A token bucket: so much a second, and a little at once. Pure: the time is an argument, in seconds."""

from __future__ import annotations


class Bucket:
    """Fills with `rate` a second up to `burst`. It may be overdrawn: then it waits until that is made up for."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate: float = rate
        self.burst: float = burst
        self._level = burst
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` may be taken, 0 for now. More than `burst` needs a full bucket."""
        self._fill(now)
        missing = min(amount, self.burst) - self._level
        return missing / self.rate if missing > 1e-9 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take an amount, whatever is there."""
        self._fill(now)
        self._level -= amount

    def give(self, amount: float) -> None:
        """Give back what was taken and not used; a negative amount takes more."""
        self._level = min(self.burst, self._level + amount)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
            self._at = now
