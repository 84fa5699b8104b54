"""The limits on spending, before a call: the budget of the configuration, and the `max_cost` of one answer."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from missy.cost.money import format_usd
from missy.cost.price import to_micro
from missy.errors import BudgetError
from missy.sessions.spend import Limits, Refused
from missy.spending.ledger import day_start

if TYPE_CHECKING:
    from missy.config.schema import Entry
    from missy.config.section_schema import Budget
    from missy.sessions.spend import Spent
    from missy.spending.ledger import Ledger

_LESS = "give a smaller max_tokens (--max-tokens)"


def unknown_price(entry: Entry, model: str | None) -> BudgetError:
    """Return the error for a call that cannot be kept under a limit, because its price is not known."""
    what = f"the model {model}" if model else "the entry's own default model"
    return BudgetError(
        f"the price of {what} at {entry.entry} is not known, so no limit can be kept: nothing was sent",
        hint=f"write it below providers.{entry.entry}, in US dollars for a million tokens: "
        "`price: {input: 2.5, output: 10}` (with your numbers; 0 if it costs you nothing)",
    )


def check_call(most: Decimal, before: Decimal, max_cost: Decimal) -> None:
    """Check the limit of one answer; `before` is what its earlier calls cost. Raises BudgetError."""
    if before + most <= max_cost:
        return
    raise BudgetError(
        f"this call could cost {format_usd(most)}, and the limit for the answer is {format_usd(max_cost)}"
        + (f", of which {format_usd(before)} is spent" if before else "")
        + ": nothing was sent",
        hint=f"raise max_cost (--max-cost), or {_LESS}",
        spent=float(before),
        limit=float(max_cost),
    )


def reserve(ledger: Ledger, call: Spent, most: Decimal, budget: Budget, spent_in_memory: int | None) -> int:
    """Reserve the most that a call can cost under the budget. Returns the row.

    `spent_in_memory` is what a session cost that is not stored, in millionths of a dollar. Raises BudgetError; MissyError
    if the record cannot be read or written.
    """
    now = time.time()
    in_session = call.session is not None or spent_in_memory is not None
    limits = Limits(
        _micro(budget.day_usd),
        _micro(budget.session_usd) if in_session else None,
        int(day_start(now) * 1000),
        spent_in_memory or 0,
    )
    row = ledger.reserve(call, to_micro(most), limits)
    return row if isinstance(row, int) else _refuse(row, most, budget, now)


def _refuse(refused: Refused, most: Decimal, budget: Budget, now: float) -> int:
    spent = Decimal(refused.spent) / 1_000_000
    is_day = refused.limit == "day"
    limit = budget.day_usd if is_day else budget.session_usd
    resets = day_start(now, 1) if is_day else None
    ends = ""
    if resets is not None:
        ends = f"the next day begins at {time.strftime('%Y-%m-%d %H:%M', time.localtime(resets))}; "
    other = "" if is_day else "begin another session, "
    raise BudgetError(
        f"this call could cost {format_usd(most)}, and {format_usd(spent)} of the {refused.limit}'s {format_usd(limit)} "
        "is spent: nothing was sent",
        hint=f"{ends}{other}raise budget.{refused.limit}_usd, or {_LESS}",
        spent=float(spent),
        limit=limit,
        resets_at=resets,
    )


def _micro(limit: float | None) -> int | None:
    return None if limit is None else int(Decimal(str(limit)) * 1_000_000)
