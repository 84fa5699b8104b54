"""`missy batch list|status|export|merge|cancel|delete`: jobs that are there. No network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, emit, emit_json, notice
from missy.cli.commands.batch_remote import cancel_batches
from missy.cli.confirm import require_yes
from missy.errors import IncompleteError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from missy.batch.job import Job


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_(as_json: bool) -> None:
    """List the jobs: their state, rows, failures and cost.

    \b
    Example:
      missy batch list
    """
    from missy.batch.job import Job
    from missy.batch.summary import summary

    found = [summary(job) for job in Job.all()]
    if as_json:
        return emit_json(found)
    if not found:
        return notice("there is no job; begin one: missy batch run prompts.jsonl -o answers.jsonl")
    from missy.cli.output.batch_report import cost_text
    from missy.cli.output.table import show_table

    rows = [
        (one["job"], one["state"], one["total"], one["done"], sum(one["failed"].values()), one["model"], cost_text(one))
        for one in found
    ]  # fmt: skip
    show_table(("NAME", "STATE", "ROWS", "DONE", "FAILED", "MODEL", "COST"), rows)
    return None


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(name: str, as_json: bool) -> None:
    """Show how far a job is, what failed, what it cost, and how many rows can have been asked twice.

    \b
    Example:
      missy batch status tickets
    """
    from missy.batch.job import Job
    from missy.batch.summary import summary
    from missy.cli.output.batch_report import status_lines

    told = summary(Job.require(name))
    if as_json:
        return emit_json(told)
    for line in status_lines(told):
        emit(line)
    return None


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--partial", is_flag=True, help="Write the rows that are answered, although others are missing."
)
@click.option("--out", "-o", metavar="OUT", help="Another file; - for stdout. Default: that of the job.")
def export(name: str, partial: bool, out: str | None) -> int:
    """Write OUT from the journal, now.

    \b
    Example:
      missy batch export tickets --partial -o so-far.jsonl
    """
    from missy.batch.job import Job

    job = Job.require(name)
    return put([job], out or job.told.get("out"), partial=partial)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--out", "-o", metavar="OUT", help="The file; default: stdout, as JSON Lines.")
def merge(names: tuple[str, ...], out: str | None) -> int:
    """Put the shards of one job together, in the order of its input. NAME is the job, or each of its shards.

    \b
    Example:
      missy batch merge tickets -o answers.jsonl
    """
    from missy.batch.summary import shards

    return put(shards(names), out, partial=False)


@click.command()
@click.argument("name", metavar="NAME")
@click.pass_obj
def cancel(app: App, name: str) -> None:
    """Stop the process that runs a job, or cancel its batches at the provider.

    What was answered is stored, and the job can be resumed.

    \b
    Example:
      missy batch cancel tickets
    """
    from missy.batch.job import Job

    job = Job.require(name)
    if job.cancel():
        return notice(f"job {name} is told to stop")
    if count := cancel_batches(app, job):
        return notice(
            f"cancelled {count} at the provider; to fetch what was answered: missy batch collect {name}"
        )
    return notice(f"job {name} is not running")


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a job and all its answers from MISSY_HOME; OUT stays. On a terminal, it asks first.

    \b
    Example:
      missy batch delete tickets
    """
    from missy.batch.job import Job
    from missy.batch.summary import summary

    job = Job.require(name)
    if not yes and sys.stdin.isatty():
        done = counted(summary(job)["done"], "answer")
        require_yes(f"Delete job {name} with {done}? This cannot be undone.", yes=False)
    job.delete()
    notice(f"deleted job {name}")


def put(jobs: list[Job], out: str | None, *, partial: bool) -> int:
    """Write the rows of jobs, which are the shards of one, in order. Raises IncompleteError where rows are missing."""
    from missy.batch.output import check_target, write_out
    from missy.batch.summary import opened

    with opened(jobs) as journals:
        total = jobs[0].total
        known = total if total is not None else max(journal.rows for journal in journals)
        size = len(jobs)
        missing = [row for row in range(known) if not journals[row % size].state(row)]
        if (missing or total is None) and not partial:
            raise IncompleteError(
                f"{counted(len(missing), 'row')} of {jobs[0].name} have no answer yet"
                if total is not None
                else f"nobody has read the whole input of {jobs[0].name} yet",
                hint="run the job to its end, or take what is there: missy batch export --partial",
            )

        def lines() -> Iterator[bytes]:
            for row in range(known):
                line = journals[row % size].at(row)
                if line is not None:
                    yield line.out

        if out is None or out == "-":
            return _print(lines())
        write_out(check_target(out), lines())
        notice(f"wrote {out}")
        return 0


def _print(lines: Iterable[bytes]) -> int:
    stdout: Any = sys.stdout.buffer
    for line in lines:
        stdout.write(line + b"\n")
    stdout.flush()
    return 0
