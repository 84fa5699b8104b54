"""What is known of jobs without running them: their state, and the shards that belong together."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from missy.batch.job import Job, jobs_folder
from missy.batch.money import to_usd
from missy.errors import UsageError
from missy.os_errors import MissingFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from missy.batch.journal import Journal


def summary(job: Job) -> dict[str, Any]:
    """Return the state of a job: new, running, stopped, or complete."""
    try:
        journal = job.journal()
    except MissingFile:
        return _summary(job, None)
    try:
        return _summary(job, journal)
    finally:
        journal.close()


def _summary(job: Job, journal: Journal | None) -> dict[str, Any]:
    total = None if job.total is None else job.share(job.total)
    done = journal.totals.done if journal else 0
    failed = {kind: count for kind, count in journal.totals.failed.items() if count} if journal else {}
    is_whole = total is not None and done + sum(failed.values()) >= total
    state = (
        "running" if job.is_running else "complete" if is_whole else "stopped" if done or failed else "new"
    )
    plan = job.plan
    unpriced = journal.totals.unpriced if journal else 0
    return {
        "job": job.name,
        "state": state,
        "entry": plan.entry,
        "model": plan.model,
        "input": str(job.input),
        "out": job.told.get("out"),
        "shard": job.told.get("shard"),
        "total": total,
        "done": done,
        "failed": failed,
        "tokens": journal.totals.tokens if journal else 0,
        "cost_usd": to_usd(journal.totals.paid) if journal else 0.0,
        "cost_complete": not unpriced,
        "asked_twice_at_most": job.maybe_twice,
    }


def shards(names: Sequence[str]) -> list[Job]:
    """Return the shards of one job, in order. Raises UsageError where one is missing or does not belong to the others."""
    found = [job for name in names for job in _named(name)]
    n = found[0].shard[1]
    have = {job.shard[0]: job for job in found}
    for job in found:
        if job.shard[1] != n or job.plan != found[0].plan or len(have) != len(found):
            raise UsageError(
                f"{job.name} and {found[0].name} are not shards of one job",
                hint="name the shards of one job alone",
            )
        if job.total is None or job.total != found[0].total:
            raise UsageError(
                f"{job.name} has read {job.total or 0} rows, and {found[0].name} {found[0].total or 0}",
                hint="run both to their end, over the same input",
            )
    missing = [f"{i}/{n}" for i in range(1, n + 1) if i not in have]
    if missing:
        raise UsageError(
            f"shard {', '.join(missing)} is missing", hint="run it, or copy its folder to MISSY_HOME/jobs"
        )
    return [have[i] for i in range(1, n + 1)]


def _named(name: str) -> list[Job]:
    job = Job.load(name)
    if job is not None:
        return [job]
    folder = jobs_folder()
    found = [one for one in (folder.glob(f"{name}.*-of-*") if folder.is_dir() else ()) if one.is_dir()]
    if not found:
        raise UsageError(f"there is no job {name!r}, and no shard of one", hint="see: missy batch list")
    return [Job.require(one.name) for one in found]


@contextmanager
def opened(jobs: Sequence[Job]) -> Iterator[list[Journal]]:
    """Open the journals of jobs. Raises UsageError for one that was never run."""
    with ExitStack() as stack:
        found = []
        for job in jobs:
            try:
                journal = job.journal()
            except MissingFile:
                raise UsageError(
                    f"job {job.name} has no answer yet", hint=f"run it: missy batch resume {job.name}"
                ) from None
            stack.callback(journal.close)
            found.append(journal)
        yield found
