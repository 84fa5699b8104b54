"""Amounts of money as text and as JSON numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

UNKNOWN = "$?"


def format_usd(cost: Decimal | float | None, *, estimated: bool = False, at_least: bool = False) -> str:
    """Return an amount in US dollars as text: `$0.0123`, `~$0.0123` if estimated, `$0.0123+` if it is a lower bound.

    An unknown amount is `$?`. An amount above 0 is never shown as 0.
    """
    if cost is None:
        return UNKNOWN
    value = float(cost)
    text = f"${value:,.2f}" if value >= 100 else f"${value:.4f}"
    if 0 < value < 0.0001:
        text = "<$0.0001"
    return f"{'~' if estimated else ''}{text}{'+' if at_least else ''}"
