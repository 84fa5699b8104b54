"""What a job may still spend, in integers of 1e-9 US dollars: reserved before a row is sent, settled after it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from missy.spending import estimate

if TYPE_CHECKING:
    from missy.cost.price import Price
    from missy.events import Usage
    from missy.providers.base import Request

NANO = Decimal("0.000000001")
REPAIR_TOKENS = 2048  # of the message that asks for an answer once more, at most


def to_nano(cost: Decimal) -> int:
    """Return an amount in billionths of a dollar, rounded up."""
    return int((cost / NANO).to_integral_value("ROUND_CEILING"))


def to_usd(nano: int) -> float:
    """Return an amount in US dollars."""
    return nano / 1_000_000_000


class Purse:
    """The money of one job. `cap` is None without a limit; `price` is None where it is not known."""

    def __init__(self, price: Price | None, source: str, *, cap: int | None, spent: int) -> None:
        self._price = price
        self.is_free: bool = source == "free"
        self.source = source
        self.cap = cap
        self.spent: int = spent
        self.reserved: int = 0

    def most(self, request: Request) -> int:
        """Return the most that a row can cost: its request, its longest answer, and the same again for a repair."""
        if self._price is None or self.is_free:
            return 0
        given, made = estimate.input_tokens(request), estimate.output_tokens(request)
        now = datetime.now(UTC)
        most = self._price.upper(given, made, now) or Decimal(0)
        if request.schema is not None and request.repair:
            most += self._price.upper(given + made + REPAIR_TOKENS, made, now) or Decimal(0)
        return to_nano(most)

    def reserve(self, amount: int) -> bool:
        """Reserve an amount. Returns whether the cap allows it."""
        if self.cap is not None and self.spent + self.reserved + amount > self.cap:
            return False
        self.reserved += amount
        return True

    def settle(self, reserved: int, cost: int) -> None:
        """Replace a reservation by what it cost."""
        self.reserved -= reserved
        self.spent += cost

    def cost(self, usage: Usage | None) -> int | None:
        """Return what an answer cost; None if its tokens or its price are not known."""
        if usage is not None and usage.cost is not None:
            return to_nano(usage.cost)
        if self.is_free:
            return 0
        if usage is None or self._price is None:
            return None
        found = self._price.cost(usage, datetime.now(UTC))
        return None if found is None else to_nano(found)
