"""What a request counts towards: the budget and the rates of its key, as counters with a cap. Pure.

A counter is named after its window: the day or month of a budget (UTC), or the minute of a rate. All replicas name the
same window alike, so they share its counter.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from missy.cost.money import format_usd
from missy.serve.faults import Refused
from missy.serve.keys import MICRO

if TYPE_CHECKING:
    from missy.serve.keys import Key

COST, REQUESTS, TOKENS = "cost", "requests", "tokens"
_MINUTE = 60
_KEPT_SECONDS = 600  # after its end, for answers that began in the window


class Counter(NamedTuple):
    """An amount that must fit under a cap. `ends` is when the window is forgotten, in Unix seconds; 0: never."""

    name: str
    amount: int
    cap: int
    ends: int

    @property
    def what(self) -> str:
        """What it counts: COST, REQUESTS or TOKENS."""
        return self.name.partition(":")[0]


def counters(key: Key, most_micro: int, tokens: int, now: float) -> list[Counter]:
    """Return the counters of one request, in the order of their names; none for a key without limits."""
    minute = int(now) // _MINUTE
    ends = (minute + 1) * _MINUTE + _KEPT_SECONDS
    found = []
    if key.budget_micro is not None:
        found.append(Counter(f"{COST}:{window(key.period, now)}", most_micro, key.budget_micro, 0))
    if key.rpm is not None:
        found.append(Counter(f"{REQUESTS}:{minute}", 1, key.rpm, ends))
    if key.tpm is not None:
        found.append(Counter(f"{TOKENS}:{minute}", tokens, key.tpm, ends))
    return found


def window(period: str | None, now: float) -> str:
    """Return the name of a budget's window at a time, in UTC."""
    at = datetime.fromtimestamp(now, UTC)
    return {"day": f"{at:%Y-%m-%d}", "month": f"{at:%Y-%m}"}.get(period or "", "total")


def refusal(key: Key, counter: Counter, taken: int, now: float) -> Refused:
    """Return the refusal of a request that does not fit; `taken` is what counts towards the cap already."""
    if counter.what == COST:
        when = {"day": " today", "month": " this month"}.get(key.period or "", "")
        return Refused(
            429,
            "budget_exceeded",
            f"the budget of the key {key.name} is {format_usd(counter.cap / MICRO)}{when}, {format_usd(taken / MICRO)} of it"
            f" is spent or reserved, and this request may cost {format_usd(counter.amount / MICRO)}: nothing was sent."
            " A smaller max_tokens reserves less",
            final=True,
        )
    wait = _MINUTE - now % _MINUTE
    if counter.amount > counter.cap:
        said = f"this request may take {counter.amount} {counter.what}, and the key {key.name} has {counter.cap} a minute"
        return Refused(429, "rate_limit_exceeded", said, retry_after=wait, final=True)
    said = f"the key {key.name} has {counter.cap} {counter.what} a minute"
    return Refused(429, "rate_limit_exceeded", said, retry_after=wait)
