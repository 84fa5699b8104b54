"""What a run stands on, and why it ends before its last row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.batch.money import to_usd
from missy.errors import BudgetError, MissyError

if TYPE_CHECKING:
    from missy.batch.job import Lock
    from missy.batch.journal import Journal
    from missy.batch.money import Purse
    from missy.batch.sheet import SpendSheet
    from missy.governor.core import Governor
    from missy.governor.shared import SharedPace
    from missy.providers.base import Provider


class Stop(NamedTuple):
    """Why a run ended before its last row. `drain`: the rows under way are waited for."""

    code: int
    error: MissyError | None = None
    drain: bool = False


class Around(NamedTuple):
    """What a run stands on."""

    provider: Provider
    governor: Governor
    pace: SharedPace
    purse: Purse
    sheet: SpendSheet
    journal: Journal
    lock: Lock


def cap_reached(purse: Purse) -> BudgetError:
    """Return the error for a row that could pass the cap."""
    assert purse.cap is not None
    return BudgetError(
        f"the next row could pass the limit of ${to_usd(purse.cap):.4f}: ${to_usd(purse.spent):.4f} is spent",
        hint="what was answered is stored; resume the job with a higher --max-cost",
        spent=to_usd(purse.spent),
        limit=to_usd(purse.cap),
    )
