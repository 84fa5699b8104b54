"""What a person sees of a run: one line of progress on a terminal, and a small table at the end, on stderr."""

from __future__ import annotations

import json
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.cli.app import notice
from missy.cli.output.sanitize import sanitize
from missy.cost.money import format_usd
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.batch.job import Job
    from missy.batch.progress import Progress
    from missy.batch.runner import Outcome

JSON_SECONDS = 1.0
_CLEAR = "\r\x1b[K"


class Report:
    """The report of one run. `--json`: a line of JSON a second; into a pipe without it: only the table."""

    def __init__(self, job: Job, *, as_json: bool) -> None:
        self._job = job
        self._json = as_json
        self._is_terminal = sys.stderr.isatty() and not as_json
        self._told_at = float("-inf")
        self._started = monotonic()

    def tick(self, progress: Progress) -> None:
        """Show how far the run is."""
        now = monotonic()
        if self._json and now - self._told_at >= JSON_SECONDS:
            self._told_at = now
            self._line({"event": "progress", **progress.snapshot()})
        elif self._is_terminal:
            sys.stderr.write(_CLEAR + progress_text(progress.snapshot()))
            sys.stderr.flush()

    def end(self, outcome: Outcome) -> None:
        """Show how the run ended."""
        if self._is_terminal:
            sys.stderr.write(_CLEAR)
        error = outcome.error
        if self._json:
            told = None if error is None else {"type": error.type, "message": redact(error.message)}
            out = None if outcome.out is None else str(outcome.out)
            end = {
                "event": "end",
                **outcome.progress,
                "failed_by_kind": outcome.failed,
                "exit_code": outcome.code,
            }
            return self._line({**end, "out": out, "error": told})
        for line in end_lines(outcome, monotonic() - self._started):
            sys.stderr.write(sanitize(line) + "\n")
        if error is not None:
            notice(error.message)
            sys.stderr.write(sanitize("  " + redact(error.hint)) + "\n")
        if outcome.code not in (0, 6):
            notice(f"what was answered is stored; to go on: missy batch resume {self._job.name}")
        return None

    def _line(self, value: dict[str, Any]) -> None:
        sys.stderr.write(json.dumps(value) + "\n")
        sys.stderr.flush()


def progress_text(now: dict[str, Any]) -> str:
    """Return the line of progress."""
    parts = [
        f"{now['done'] + now['failed']}/{now['total']} rows",
        f"{now['rate']:.1f}/s",
        f"{now['in_flight']} under way",
    ]
    if now["failed"]:
        parts.insert(1, f"{now['failed']} failed")
    if now["waiting_s"] >= 1:
        parts.append(f"waiting {now['waiting_s']:.0f} s")
    parts.append(format_usd(now["cost_usd"]))
    if now["eta_s"] is not None:
        parts.append(f"{length(now['eta_s'])} left")
    return " · ".join(parts)


def end_lines(outcome: Outcome, seconds: float) -> Iterator[str]:
    """Yield the small table of the end."""
    now = outcome.progress
    yield f"rows    {now['done']} of {now['total']}"
    for kind, count in outcome.failed.items():
        yield f"failed  {count} {kind}"
    yield f"tokens  {now['tokens']}"
    yield f"cost    {format_usd(now['cost_usd'])}"
    yield f"time    {length(seconds)}"
    if outcome.out is not None:
        yield f"out     {outcome.out}"


def length(seconds: float) -> str:
    """Return a time as text."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )


def cost_text(one: dict[str, Any]) -> str:
    """Return the cost of a job as text."""
    return format_usd(one["cost_usd"], at_least=not one["cost_complete"])


def status_lines(one: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of `missy batch status`."""
    yield f"job      {one['job']}: {one['state']}"
    yield f"asks     {one['entry']}" + (f", {one['model']}" if one["model"] else "")
    yield f"input    {one['input']}"
    if one["out"]:
        yield f"out      {one['out']}"
    total = "?" if one["total"] is None else one["total"]
    yield f"rows     {one['done']} of {total}"
    for kind, count in one["failed"].items():
        yield f"failed   {count} {kind}"
    yield f"tokens   {one['tokens']}"
    yield f"cost     {cost_text(one)}"
    yield f"twice    at most {one['asked_twice_at_most']} rows can have been asked twice"


def show_dry_run(told: dict[str, Any]) -> None:
    """Print what a run would do, and its first request, secrets masked."""
    from missy.cli.request_preview import print_preview

    cost = told["cost_usd_at_most"]
    sys.stdout.write(f"# rows to ask: {told['rows']}\n")
    sys.stdout.write(f"# tokens of input, at most: {told['input_tokens_at_most']}\n")
    sys.stdout.write(f"# cost, at most: {format_usd(cost)}\n")
    if told["preview"] is not None:
        print_preview(told["preview"], (), as_json=False)
