"""How far a run is: the numbers of its progress line and of `--json`."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.batch.money import to_usd

if TYPE_CHECKING:
    from missy.batch.drive import Drive
    from missy.batch.job import Job
    from missy.batch.journal import Journal
    from missy.batch.money import Purse


class Progress:
    """The progress of one run. Only rows whose lines are synced count."""

    def __init__(self, job: Job, journal: Journal, drive: Drive, purse: Purse, total: int) -> None:
        self._journal, self._drive, self._purse = journal, drive, purse
        self._total = job.share(total)
        self._started = monotonic()

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers as they are now: `rate` is in rows a second, `waiting_s` and `eta_s` in seconds."""
        drive, totals = self._drive, self._journal.totals
        unsynced_done, unsynced_failed = drive.commits.unsynced
        done = totals.done - unsynced_done
        failed = max(0, sum(totals.failed.values()) - unsynced_failed)
        stored = drive.commits.stored + drive.commits.failed
        rate = stored / max(monotonic() - self._started, 0.001)
        left = self._total - done - failed
        return {
            "total": self._total,
            "done": done,
            "failed": failed,
            "in_flight": drive.in_flight,
            "rate": round(rate, 2),
            "waiting_s": round(drive.waiting, 2),
            "tokens": totals.tokens,
            "cost_usd": to_usd(totals.paid) if not totals.unpriced else None,
            "eta_s": round(left / rate, 1) if stored and left > 0 else 0.0 if left <= 0 else None,
        }
