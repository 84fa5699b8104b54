"""The prices of `genai-prices`: its data as it was installed, never its updater, which uses the network.

A provider is chosen by the host of the endpoint and never by the name of the model: anybody may serve a `gpt-4o`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from missy.cost.price import Period, Price, Rates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.cost.price import Steps

_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}
# Parts of the output at a price of their own, whose counts are not known here: such a model has no price.
_UNCOUNTED = ("output_reasoning_mtok", "output_citation_mtok")


def load() -> None:
    """Import the data, which takes some 150 ms."""
    _providers()


def look_up(host: str, path: str, model: str) -> Price | None:
    """Return the price of a model at an endpoint; None if the host or the model is not in the table."""
    every = _providers()
    for provider in every:
        if not _serves(provider.api_pattern, host, path):
            continue
        found = provider.find_model(model, all_providers=every)
        if found is not None:
            return _price(found.prices)
    return None


@cache
def version() -> str:
    """Return the version of the data without importing it: the name of the folder that an installation makes."""
    found = PathFinder.find_spec("genai_prices")
    if found is None or not found.submodule_search_locations:
        return "none"
    import os

    package = found.submodule_search_locations[0]
    names = os.listdir(os.path.dirname(package))
    of = [name for name in names if name.startswith("genai_prices-") and name.endswith(".dist-info")]
    return of[0].removeprefix("genai_prices-").removesuffix(".dist-info") if len(of) == 1 else "unknown"


@cache
def _providers() -> list[Any]:
    from genai_prices.data import providers

    return providers


def _serves(pattern: str, host: str, path: str) -> bool:
    """Whether a provider's pattern is of this very host: it must not match the beginning of a longer name."""
    start = f"https://{host}"
    matches = [re.match(pattern, start)]
    if ".*" not in pattern:  # it could go over the end of the host
        matches.append(re.match(pattern, start + path))
    return any(found is not None and _covers(found.group(), host) for found in matches)


def _covers(found: str, host: str) -> bool:
    reached = found.removeprefix("https://")
    if reached.startswith(host):
        return True
    # A pattern that leaves the top-level domain open, such as `https://api\.moonshot\.`.
    return reached.endswith(".") and host.startswith(reached) and "." not in host[len(reached) :]


def _price(prices: Any) -> Price | None:
    periods = tuple(_periods(prices))
    return Price(periods) if periods else None


def _periods(prices: Any) -> Iterator[Period]:
    """Yield the periods of a model's prices; none at all if one of them cannot be told in tokens."""
    conditions = prices if isinstance(prices, list) else [None]
    found = []
    for condition in conditions:
        rates = _rates(prices if condition is None else condition.prices)
        if rates is None:
            return
        constraint = None if condition is None else condition.constraint
        start, end = getattr(constraint, "start_time", None), getattr(constraint, "end_time", None)
        found.append(Period(rates, getattr(constraint, "start_date", None), _utc(start), _utc(end)))
    yield from found


def _utc(at: time | None) -> time | None:
    """Return a time of day in UTC, without its zone."""
    if at is None or at.tzinfo is None:
        return at
    return datetime.combine(date(2000, 1, 2), at).astimezone(UTC).time()


def _rates(price: Any) -> Rates | None:
    known = {name: value for name, value in vars(price).items() if value is not None}
    if any(name in known for name in _UNCOUNTED):
        return None
    steps = {name: _steps(known.get(key)) for name, key in _KEYS.items()}
    given, made = steps["input"], steps["output"]
    if given is None or made is None:
        return None
    request = known.get("requests_kcount")
    each = request / 1000 if isinstance(request, Decimal) else Decimal(0)
    return Rates(given, made, steps["cached"], steps["cache_write"], each)


def _steps(value: Any) -> Steps | None:
    if value is None or isinstance(value, Decimal):
        return None if value is None else ((-1, value),)
    return ((-1, value.base), *((tier.start, tier.price) for tier in value.tiers))
