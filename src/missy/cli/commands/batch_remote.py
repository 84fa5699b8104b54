"""`missy batch submit|collect`: the provider's own Batch API."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, notice
from missy.cli.batch_options import row_options
from missy.errors import UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.batch.job import Job
    from missy.batch.journal import Journal
    from missy.batch.remote import Remote
    from missy.batch.runner import Runner


@click.command()
@click.argument("input_", metavar="IN")
@row_options
@click.pass_obj
def submit(app: App, /, input_: str, id_: str | None, schema: str | None, **options: Any) -> None:
    """Hand the rows to the provider's own Batch API: about half the price, within 24 hours.

    For endpoints with OpenAI's form of it (/files, /batches). Collect the answers with `missy batch collect`.

    \b
    Example:
      missy batch submit tickets.jsonl --provider openai --max-tokens 50 -o answers.jsonl
      missy batch collect tickets
    """
    from missy.batch.prepare import Wanted, open_job
    from missy.structured.reading import read_schema

    read = None if schema is None else read_schema(schema)
    job = open_job(app.config(), Wanted(input_, id=id_, schema=read, **options))
    with _remote(app, job, read) as (remote, runner, _):
        rows = remote.submit(runner)
    notice(f"submitted {counted(rows, 'row')}; to fetch the answers: missy batch collect {job.name}")


@click.command()
@click.argument("name", metavar="NAME")
@click.pass_obj
def collect(app: App, name: str) -> int:
    """Fetch the answers of a job that was submitted, and delete its files at the provider.

    Exit code 6 while a batch is not finished, or if rows have no whole answer.

    \b
    Example:
      missy batch collect tickets
    """
    from missy.batch.job import Job
    from missy.batch.runner import out_lines
    from missy.structured.reading import read_schema

    job = Job.require(name)
    schema = job.plan.schema
    with _remote(app, job, None if schema is None else read_schema(schema)) as (remote, runner, journal):
        for line in remote.collect(runner):
            notice(line)
        code, path = runner.finish()
        if path is not None:
            notice(f"wrote {path}")
        elif code == 0 or runner.is_complete:
            for row in out_lines(job, journal, runner.total):
                sys.stdout.buffer.write(row + b"\n")
            sys.stdout.buffer.flush()
    return code


def cancel_batches(app: App, job: Job) -> int:
    """Cancel the batches of a job that are not collected. Returns how many; opens nothing if there are none."""
    from missy.batch.remote import STATE

    if not (job.folder / STATE).exists():
        return 0
    schema = job.plan.schema
    from missy.structured.reading import read_schema

    with _remote(app, job, None if schema is None else read_schema(schema)) as (remote, _, _):
        return remote.cancel()


@contextmanager
def _remote(app: App, job: Job, schema: Any) -> Iterator[tuple[Remote, Runner, Journal]]:
    """Open a job, its journal, and a client of its entry."""
    from missy.assistant import Missy
    from missy.batch.remote import Remote
    from missy.batch.runner import Ground, Runner
    from missy.conversation.methods import StoreHandle
    from missy.policy import parse
    from missy.spending.ledger import Ledger

    with job.locked() as lock, Missy(app.config(), notice=notice) as missy:
        ground = Ground(missy.runtime, Ledger(StoreHandle().to_record, notice))
        journal = job.journal(write=True)
        try:
            runner = Runner(ground, job, lock, journal, schema)
            runner.look(changed=False)
            entry = app.config().entry(job.plan.entry)
            if entry.endpoint is None:
                raise UsageError(
                    f"entry {entry.entry} has no Batch API", hint="missy batch run asks it row by row"
                )
            host = parse(entry.endpoint).host
            yield (
                Remote(job, missy.openai_client(entry.entry), runner.ready_provider(), host),
                runner,
                journal,
            )
        finally:
            journal.close()
