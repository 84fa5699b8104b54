"""Group commit: lines are written at once, and synced together every 200 ms or 64 rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from missy.batch.job import COMMIT_ROWS
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.batch.journal import Journal

COMMIT_SECONDS = 0.2


class Commits:
    """Syncs the journal in a thread. `stored` and `failed` count the rows of this run whose lines are synced."""

    def __init__(
        self,
        journal: Journal,
        wake: Callable[[], None],
        fail: Callable[[MissyError], None],
        on_stored: Callable[[list[int]], None] | None,
    ) -> None:
        self._journal = journal
        self._wake = wake
        self._fail = fail
        self._on_stored = on_stored
        self._rows: list[int] = []  # written and not synced
        self._kinds: list[str] = []
        self._due = asyncio.Event()
        self._ending = False
        self._later: list[Callable[[], None]] = []
        self.stored: int = 0
        self.failed: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether so many lines wait to be synced that no row is sent before."""
        return len(self._rows) >= COMMIT_ROWS

    @property
    def unsynced(self) -> tuple[int, int]:
        """How many whole and failed rows are written and not synced."""
        failed = sum(map(bool, self._kinds))
        return len(self._kinds) - failed, failed

    def append(self, row: int, hash_: str, kind: str, cost: int | None, tokens: int, out: bytes) -> None:
        """Write a row's line. Raises MissyError."""
        self._journal.append(row, hash_, kind, cost, tokens, out)
        self._rows.append(row)
        self._kinds.append(kind)
        if len(self._rows) == 1 or len(self._rows) >= COMMIT_ROWS // 2:
            self._due.set()

    def later(self, work: Callable[[], None]) -> None:
        """Do something that uses the disk with the next commit."""
        self._later.append(work)

    def end(self) -> None:
        """Sync what is left, and end."""
        self._ending = True
        self._due.set()

    async def run(self) -> None:
        """Sync until `end`. An error ends the run: nothing after it counts as stored."""
        while not self._ending or self._rows or self._later:
            await self._due.wait()
            if len(self._rows) < COMMIT_ROWS // 2 and not self._ending:
                self._due.clear()
                try:
                    async with asyncio.timeout(COMMIT_SECONDS):
                        await self._due.wait()
                except TimeoutError:
                    pass
            self._due.clear()
            rows, self._rows = self._rows, []
            kinds, self._kinds = self._kinds, []
            work, self._later = self._later, []
            try:
                await asyncio.to_thread(self._sync, work)
            except MissyError as error:
                self._rows, self._kinds = [], []
                self._fail(error)
                return
            failed = sum(map(bool, kinds))
            self.stored += len(rows) - failed
            self.failed += failed
            if self._on_stored is not None and rows:
                self._on_stored(rows)
            if self._rows or self._ending:
                self._due.set()
            self._wake()

    def _sync(self, work: list[Callable[[], None]]) -> None:
        self._journal.sync()
        for one in work:
            one()
