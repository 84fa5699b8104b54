"""The price of a model, and the cost of a call by its token counts. Pure.

Cached tokens and tokens written to a cache are part of the input, reasoning tokens are part of the output (the usage
objects of Chat Completions and Responses count them so).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from missy.events import Usage

_MILLION = Decimal(1_000_000)
MICRO = Decimal("0.000001")

# The price of a million tokens by the length of the whole input: pairs of (more than so many tokens, price). The last
# pair that applies counts, for all tokens; the first one is the base price.
Steps = tuple[tuple[int, Decimal], ...]


class Rates(NamedTuple):
    """US dollars for a million tokens; `request` is for one call. None: as the input."""

    input: Steps
    output: Steps
    cached: Steps | None = None
    cache_write: Steps | None = None
    request: Decimal = Decimal(0)


class Period(NamedTuple):
    """Rates, and when they apply: from a day on, or in a part of each day (UTC). None: always."""

    rates: Rates
    since: date | None = None
    start: time | None = None
    end: time | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the rates apply at a time."""
        now = now.astimezone(UTC)
        if self.since is not None and now.date() < self.since:
            return False
        if self.start is None or self.end is None:
            return True
        at = now.time()
        if self.end < self.start:
            return at >= self.start or at < self.end
        return self.start <= at < self.end


class Price(NamedTuple):
    """The price of one model: of its periods, the last one that holds counts."""

    periods: tuple[Period, ...]

    def rates(self, now: datetime) -> Rates | None:
        """Return the rates at a time."""
        return next((one.rates for one in reversed(self.periods) if one.holds(now)), None)

    def cost(self, usage: Usage, now: datetime) -> Decimal | None:
        """Return the cost of a call; None if a count is missing, or if no rates hold."""
        rates = self.rates(now)
        if rates is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        whole = usage.input_tokens
        cached = min(usage.cached_tokens or 0, whole)
        written = min(usage.cache_write_tokens or 0, whole - cached)
        parts = (
            (whole - cached - written, rates.input),
            (cached, rates.cached or rates.input),
            (written, rates.cache_write or rates.input),
            (usage.output_tokens, rates.output),
        )
        return (
            rates.request
            + sum((count * _step(steps, whole) for count, steps in parts if count), Decimal(0)) / _MILLION
        )

    def upper(self, input_tokens: int, output_tokens: int, now: datetime) -> Decimal | None:
        """Return the most that a call of so many tokens can cost: nothing comes from the cache."""
        rates = self.rates(now)
        if rates is None:
            return None
        kinds = (rates.input, rates.cache_write or rates.input)
        dearest = max(_step(steps, input_tokens) for steps in kinds)
        output = output_tokens * _step(rates.output, input_tokens)
        return rates.request + (input_tokens * dearest + output) / _MILLION

    def as_json(self) -> list[dict[str, Any]]:
        """Return the price as a note keeps it."""
        return [
            {
                **{name: _steps_as_json(getattr(one.rates, name)) for name in _STEPPED},
                "request": str(one.rates.request),
                **{name: _iso(getattr(one, name)) for name in ("since", "start", "end")},
            }
            for one in self.periods
        ]

    @classmethod
    def from_json(cls, value: Any) -> Price:
        """Read a price from a note. Raises ValueError, TypeError, KeyError or ArithmeticError for one that is none."""
        return cls(tuple(_period(one) for one in value))


FREE = Price((Period(Rates(((-1, Decimal(0)),), ((-1, Decimal(0)),))),))
_STEPPED = ("input", "output", "cached", "cache_write")


def flat(given: float, made: float, cached: float | None = None) -> Price:
    """Return the price of a configuration: US dollars for a million tokens of input, of output, of cached input."""
    steps = [None if one is None else ((-1, Decimal(str(one))),) for one in (given, made, cached)]
    assert steps[0] is not None
    assert steps[1] is not None
    return Price((Period(Rates(steps[0], steps[1], steps[2])),))


def to_micro(cost: Decimal) -> int:
    """Return an amount in millionths of a dollar, rounded up: a sum of them is never too low."""
    return int((cost / MICRO).to_integral_value("ROUND_CEILING"))


def _step(steps: Steps, whole: int) -> Decimal:
    if len(steps) == 1:
        return steps[0][1]
    return next((price for start, price in reversed(steps) if whole > start), steps[0][1])


def _steps_as_json(steps: Steps | None) -> list[list[Any]] | None:
    return None if steps is None else [[start, str(price)] for start, price in steps]


def _iso(value: date | time | None) -> str | None:
    return None if value is None else value.isoformat()


def _period(value: Any) -> Period:
    given, made, cached, written = (_read_steps(value[name]) for name in _STEPPED)
    if given is None or made is None:
        raise ValueError("a price without input or output")
    since, start, end = (value[name] for name in ("since", "start", "end"))
    return Period(
        Rates(given, made, cached, written, _read(value["request"])),
        None if since is None else date.fromisoformat(since),
        None if start is None else time.fromisoformat(start),
        None if end is None else time.fromisoformat(end),
    )


def _read_steps(value: Any) -> Steps | None:
    if value is None:
        return None
    steps = tuple((int(start), _read(price)) for start, price in value)
    if not steps:
        raise ValueError("a price of nothing")
    return steps


def _read(value: Any) -> Decimal:
    price = Decimal(value)
    if not price.is_finite() or price < 0:
        raise ValueError("a price that is no amount")
    return price
