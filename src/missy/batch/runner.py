"""Running one job from its first row to OUT: what the command and the library share."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import paths
from missy.answering.driving import async_answering
from missy.batch import rows as reading
from missy.batch.around import Around
from missy.batch.drive import Drive
from missy.batch.item import Item, row_out
from missy.batch.money import Purse
from missy.batch.output import write_out
from missy.batch.plan import BadRow, RowReader, messages_of
from missy.batch.prepare import base_request, find_entry, look_at_rows
from missy.batch.progress import Progress
from missy.batch.sheet import SpendSheet
from missy.errors import LimitError, MissyError, UsageError
from missy.governor.core import Governor
from missy.governor.registry import governor_of
from missy.governor.shared import SharedPace
from missy.spending import estimate
from missy.spending.limits import unknown_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from missy.batch.job import Job, Lock
    from missy.batch.journal import Journal
    from missy.config.schema import Entry
    from missy.providers.base import Provider
    from missy.runtime import Runtime
    from missy.spending.ledger import Ledger

CANCELLED = 143
TICK_SECONDS = 0.25
OUTPUT_GUESS = 256  # tokens of an answer, for --tpm without --max-tokens; corrected by what it had
INCOMPLETE = 6


class Ground(NamedTuple):
    """The runtime and the ledger that a job stands on."""

    runtime: Runtime
    ledger: Ledger


class Outcome(NamedTuple):
    """How a run ended. `error` is why it ended early; `out` is the file that was written."""

    code: int
    error: MissyError | None
    progress: dict[str, Any]
    failed: dict[str, int]
    out: Path | None = None


class Runner:
    """Runs a job whose lock is held. `ticked` is called several times a second."""

    def __init__(
        self,
        ground: Ground,
        job: Job,
        lock: Lock,
        journal: Journal,
        schema: Any,
        *,
        retry_failed: bool = False,
        ticked: Callable[[Progress], None] | None = None,
        on_stored: Callable[[list[int]], None] | None = None,
    ) -> None:
        self._ground, self._job, self._journal, self._lock = ground, job, journal, lock
        self._retry = retry_failed
        self._ticked = ticked
        self._on_stored = on_stored
        self._options: dict[str, Any] = job.told.get("options") or {}
        entry = find_entry(ground.runtime.current(), job.plan.entry)
        self._entry: Entry = entry._replace(max_retries=0)  # retries are those of the job
        self._request = base_request(self._entry, job.plan, schema)
        self._reader = RowReader(job.plan)
        self.purse: Purse = self._make_purse()
        self.total: int = 0
        self._append = journal.append

    def _make_purse(self) -> Purse:
        """Look up the price. Raises UsageError for a limit that cannot be kept."""
        cap, journal = self._options.get("max_cost"), self._journal
        found, source = self._ground.ledger.price(
            self._ground.runtime.config, self._entry, self._request.model
        )
        if cap is not None and source != "free":
            if self._request.max_tokens is None:
                raise UsageError(
                    "--max-cost needs --max-tokens", hint="without it, an answer may cost any amount"
                )
            if found is None:
                raise UsageError(*_words(unknown_price(self._entry, self._request.model)))
        if source == "free":
            cap = None
        spent = journal.totals.paid + int(self._job.told.get("lost_nano", 0))
        return Purse(found, source, cap=None if cap is None else int(cap * 1_000_000_000), spent=spent)

    def look(self, *, changed: bool) -> None:
        """Check all rows before anything is sent. Raises UsageError."""
        rows = look_at_rows(self._job, self._journal, changed=changed)
        limit = self._options.get("limit")
        self.total = rows if limit is None else min(rows, limit)
        self._job.save()

    def items(self) -> Iterator[Item]:
        """Yield the rows that are to be asked; one that asks nothing that can be sent is a failure at once."""
        for row in reading.read_rows(self._job.input, self._job.told["input"]["format"]):
            if row.number >= self.total:
                return
            state = self._journal.state(row.number)
            if state == "done" or (state and not self._retry) or not self._job.has(row.number):
                continue
            values, where = row.values(), row.where
            prompt = self._reader.prompt(values, where)
            hash_, id_ = self._reader.hash(prompt), self._reader.id(values, where)
            try:
                request = self._request._replace(messages=messages_of(prompt))
            except BadRow as error:
                out = row_out(row.number, id_, text="", kind="bad_input", error=error, nano=0)
                self._append(row.number, hash_, "bad_input", 0, 0, out)
                continue
            item = Item(row.number, hash_, id_, request)
            if self._options.get("tpm") is not None:
                item.tokens = estimate.input_tokens(request) / 2 + (request.max_tokens or OUTPUT_GUESS)
            yield item

    def has_line(self, row: int) -> bool:
        """Tell whether a row has a line in the journal."""
        return bool(self._journal.state(row))

    def append(self, item: Item, kind: str, nano: int | None, tokens: int, out: bytes) -> None:
        """Write the line of a row that was answered elsewhere. Raises MissyError."""
        self._append(item.number, item.hash, kind, nano, tokens, out)

    def sync(self) -> None:
        """Force the journal to the disk. Raises MissyError."""
        self._journal.sync()

    def ready_provider(self) -> Provider:
        """Return the provider, with all loaded that its first request needs: a loop that waits for it would count wrong."""
        provider = self._ground.runtime.provider(self._entry)
        provider.preview(self._request)
        return provider

    @property
    def is_complete(self) -> bool:
        """Whether every row has a line."""
        rows = own_rows(self._job, self.total)
        return self._journal.count(rows)[0] == len(rows)

    def finish(self) -> tuple[int, Path | None]:
        """Write OUT where every row has a line. Returns the exit code, and the file."""
        numbers = own_rows(self._job, self.total)
        if not self.is_complete:
            return INCOMPLETE, None
        out, path = self._job.told.get("out"), None
        if out is not None:
            path = paths.expand(out)
            write_out(path, out_lines(self._job, self._journal, self.total))
        return INCOMPLETE if self._journal.count(numbers)[1] else 0, path

    def dry_run(self) -> dict[str, Any]:
        """Return what a run would do, with the first request masked. Nothing is sent."""
        count, tokens, most, first = 0, 0, 0, None
        for item in self.items():
            count += 1
            tokens += estimate.input_tokens(item.request)
            most += self.purse.most(item.request)
            first = first or item.request
        preview = None if first is None else self._ground.runtime.provider(self._entry).preview(first)
        told: dict[str, Any] = {"rows": count, "input_tokens_at_most": tokens, "preview": preview}
        known = self.purse.is_free or self.purse.source
        return {**told, "cost_usd_at_most": most / 1_000_000_000 if known else None}

    async def run(self, signals: Callable[[Drive], None] | None = None) -> Outcome:
        """Ask the rows that are left, and write OUT where all of them have a line. Raises MissyError."""
        runtime, now = self._ground.runtime, monotonic()
        governor = self._governor(now)
        home = paths.home() / "limits" if self._entry.endpoint else None
        pace = SharedPace(home, self._entry.endpoint or "", self._entry.entry, *self._entry.secrets)
        pace.tell(governor, now)
        try:
            async with async_answering(runtime):
                provider = await asyncio.to_thread(self.ready_provider)
                sheet = SpendSheet(
                    self._ground.ledger, runtime.config, self._entry, self._request.model, self.purse.source
                )
                around = Around(provider, governor, pace, self.purse, sheet, self._journal, self._lock)
                self._drive = drive = Drive(around, on_stored=self._on_stored)
                self._append = drive.commits.append
                if signals is not None:
                    signals(drive)
                progress = Progress(self._job, self._journal, drive, self.purse, self.total)
                ticking = asyncio.create_task(self._tick(progress))
                try:
                    await drive.run(self.items())
                finally:
                    ticking.cancel()
                    await asyncio.wait([ticking])
        finally:
            pace.leave()
            self._note_lost()
        return self._outcome(drive, progress)

    def _governor(self, now: float) -> Governor:
        options, entry = self._options, self._entry
        known = governor_of(entry.endpoint, entry.entry, *entry.secrets) if entry.endpoint else Governor()
        known.configure(
            rpm=options.get("rpm"), tpm=options.get("tpm"), most=options.get("concurrency"), now=now
        )
        return known

    async def _tick(self, progress: Progress) -> None:
        flag = self._job.folder / "cancel"
        while True:
            if self._ticked is not None:
                self._ticked(progress)
            if flag.exists():
                with suppress(OSError):
                    flag.unlink()
                self._drive.stop(CANCELLED)
            await asyncio.sleep(TICK_SECONDS)

    def _note_lost(self) -> None:
        """Keep what rows that were cancelled on their way can have cost, so that no cap is passed later."""
        drive = getattr(self, "_drive", None)
        if drive is None or not (drive.lost_rows or drive.lost_nano):
            return
        told = self._job.told
        told["maybe_twice"] = int(told.get("maybe_twice", 0)) + drive.lost_rows
        told["lost_nano"] = int(told.get("lost_nano", 0)) + drive.lost_nano
        self._job.save()

    def _outcome(self, drive: Drive, progress: Progress) -> Outcome:
        stopped, totals = drive.stopped, self._journal.totals
        if stopped is not None:
            code = stopped.error.exit_code if isinstance(stopped.error, LimitError) else stopped.code
            return Outcome(code, stopped.error, progress.snapshot(), _some(totals.failed))
        code, path = self.finish()
        return Outcome(code, None, progress.snapshot(), _some(totals.failed), path)


def own_rows(job: Job, total: int) -> range:
    """Return the numbers of the rows that are a job's own."""
    i, n = job.shard
    return range(i - 1, total, n)


def out_lines(job: Job, journal: Journal, total: int) -> Iterator[bytes]:
    """Yield the rows of OUT that have a line, in input order, as JSON."""
    for number in own_rows(job, total):
        out = journal.out(number)
        if out is not None:
            yield out


def _some(failed: dict[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in sorted(failed.items()) if count}


def _words(error: MissyError) -> tuple[str]:
    return (f"{error.message} ({error.hint})",)
