"""Bulk work for a program: `async for row in m.batch(...)`. The same job as on the command line, with its journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from missy.batch.job import Job, check_name, jobs_folder
from missy.batch.plan import RowReader
from missy.batch.prepare import Wanted, find_entry, make_plan, refuse_other_job
from missy.batch.rows import as_line
from missy.batch.runner import Outcome, Runner, out_lines, own_rows
from missy.errors import UsageError
from missy.files import write_private
from missy.folders import ensure_dir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator

    from missy.batch.drive import Drive
    from missy.batch.journal import Journal
    from missy.batch.runner import Ground

STOPPED = 130


async def batch_rows(
    ground: Ground, rows: Iterable[Any], wanted: Wanted, *, retry_failed: bool, changed: bool
) -> AsyncGenerator[dict[str, Any]]:
    """Ask each row, and yield it when it is stored: those of earlier runs first, the others as they are answered.

    A row is a text, or a dict of columns. Raises UsageError; at the end, the MissyError that ended the run early.
    """
    job = await asyncio.to_thread(_open, ground, rows, wanted)
    with job.locked() as lock:
        journal = await asyncio.to_thread(lambda: job.journal(write=True))
        stored: asyncio.Queue[list[int] | Outcome] = asyncio.Queue()
        drives: list[Drive] = []
        try:
            runner = Runner(
                ground,
                job,
                lock,
                journal,
                wanted.schema,
                retry_failed=retry_failed,
                on_stored=stored.put_nowait,
            )
            await asyncio.to_thread(lambda: runner.look(changed=changed))
            for line in _earlier(job, journal, runner.total, retry_failed=retry_failed):
                yield _parsed(line)
            running = asyncio.create_task(runner.run(drives.append))
            running.add_done_callback(lambda task: stored.put_nowait(_result(task)))
            try:
                async for line in _lines(stored, journal):
                    yield _parsed(line)
            finally:
                for drive in drives:
                    drive.stop(STOPPED)
                await asyncio.wait([running])
            outcome = running.result()
            if outcome.error is not None:
                raise outcome.error
        finally:
            journal.close()


def _open(ground: Ground, rows: Iterable[Any], wanted: Wanted) -> Job:
    """Keep the rows in the job's folder, so that they can be looked at again, and return the job."""
    config = ground.runtime.current()
    name = check_name(wanted.job or "")
    entry = find_entry(config, wanted.provider)
    plan = make_plan(entry, wanted)
    RowReader(plan)
    path = jobs_folder() / name / "input.jsonl"
    job = Job.load(name)
    if job is None:
        job = Job(
            name, {"version": 1, "plan": plan._asdict(), "input": {"path": str(path), "format": "jsonl"}}
        )
    else:
        refuse_other_job(job, plan, str(path), None)
        if job.is_running:
            raise UsageError(f"job {name} is running in another process", hint="wait for it to end")
    ensure_dir(job.folder)
    write_private(path, (as_line(_as_row(row)) for row in rows))
    job.told["options"] = {
        key: getattr(wanted, key) for key in ("concurrency", "rpm", "tpm", "max_cost", "limit")
    }
    return job


def _as_row(row: Any) -> dict[str, Any]:
    if isinstance(row, str):
        return {"prompt": row}
    if not isinstance(row, dict):
        raise UsageError(f"a row is a {type(row).__name__}", hint="give texts, or dicts of columns")
    return row


def _earlier(job: Job, journal: Journal, total: int, *, retry_failed: bool) -> Iterator[bytes]:
    if not retry_failed:
        yield from out_lines(job, journal, total)
        return
    for number in own_rows(job, total):
        if journal.state(number) == "done":
            line = journal.at(number)
            assert line is not None
            yield line.out


async def _lines(stored: asyncio.Queue[list[int] | Outcome], journal: Journal) -> AsyncIterator[bytes]:
    while not isinstance(found := await stored.get(), Outcome):
        for number in found:
            line = journal.at(number)
            if line is not None:
                yield line.out


def _result(task: asyncio.Task[Outcome]) -> Outcome:
    """Return the outcome of a run; of one that raised, an empty one that ends the loop: the error is raised after it."""
    if task.cancelled() or task.exception() is not None:
        return Outcome(1, None, {}, {})
    return task.result()


def _parsed(line: bytes) -> dict[str, Any]:
    import json

    row: dict[str, Any] = json.loads(line)
    return row
