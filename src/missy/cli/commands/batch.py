"""`missy batch`: many prompts from a file, each asked once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, notice
from missy.cli.batch_options import row_options
from missy.cli.commands.batch_jobs import cancel, delete, export, list_, merge, put, status
from missy.cli.commands.batch_remote import collect, submit
from missy.cli.garbage import collect_from_now_on
from missy.cli.param_types import CONCURRENCY, DOLLARS, SHARD
from missy.errors import MissyError, UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.batch.job import Job
    from missy.batch.on_ray import ShardResult
    from missy.batch.prepare import Wanted
    from missy.batch.runner import Outcome

_RATE = click.FloatRange(0, min_open=True)


@click.group("batch")
def command() -> None:
    """Many prompts from a file: each asked once, none lost, within limits and a cost.

    A job is kept in MISSY_HOME/jobs until it is deleted. It survives a kill: run it again.

    \b
    Example:
      missy batch run tickets.jsonl -o answers.jsonl --max-tokens 50 --max-cost 5
      missy batch status tickets
    """


@command.command()
@click.argument("input_", metavar="IN")
@row_options
@click.option(
    "--concurrency",
    metavar="N",
    type=CONCURRENCY,
    help="The most requests at a time; auto is up to 128.",
)
@click.option("--rpm", metavar="N", type=_RATE, help="The most requests a minute.")
@click.option("--tpm", metavar="N", type=_RATE, help="The most tokens a minute.")
@click.option("--max-cost", metavar="USD", type=DOLLARS, help="The most that the whole job may cost.")
@click.option("--retry-failed", is_flag=True, help="Ask the failed rows again, never one that was answered.")
@click.option(
    "--changed", is_flag=True, help="Ask the rows again that were changed since they were answered."
)
@click.option("--shard", metavar="I/N", type=SHARD, help="Only this part of the rows, from 1/N to N/N.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where it runs: here, or on a Ray cluster (extra: ray).",
)
@click.option("--address", metavar="A", help="The address of the Ray cluster, which must be running.")
@click.option(
    "--workers", metavar="N", type=click.IntRange(1, 10_000), help="The shards for Ray. Default: its CPUs."
)
@click.option(
    "--dry-run", is_flag=True, help="Print the number of rows, the first request and the cost; send nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Progress as a line of JSON a second, on stderr.")
@click.pass_obj
def run(
    app: App,
    /,
    input_: str,
    id_: str | None,
    schema: str | None,
    retry_failed: bool,
    changed: bool,
    dry_run: bool,
    as_json: bool,
    engine: str,
    address: str | None,
    workers: int | None,
    **options: Any,
) -> int:
    """Ask for each row of IN, and write the answers to OUT in the order of IN.

    IN is a .jsonl, .csv or .parquet file, or - for JSON Lines from stdin. A job that exists is resumed: rows that were
    answered are not asked again. OUT is written at the end. Exit codes: docs/batch.md.

    \b
    Example:
      missy batch run tickets.jsonl -o answers.jsonl --template "Bug or wish? {text}" --max-tokens 5
      missy batch run tickets.csv --column text --dry-run
      missy batch run tickets.jsonl -o answers.jsonl --engine ray --address 10.0.0.5:6379
    """
    from missy.batch.prepare import Wanted, open_job

    read = None if schema is None else _read_schema(schema)
    wanted = Wanted(input_, id=id_, schema=read, **options)
    app.warn(wanted.provider, asks=not dry_run)
    flags = {"retry_failed": retry_failed, "changed": changed}
    if engine == "ray" and not dry_run:
        if as_json:
            raise UsageError("--json shows the progress of a run here", hint="leave it out with --engine ray")
        return _run_on_ray(app, wanted, address, workers, flags)
    if (address or workers) and engine != "ray":
        raise UsageError("--address and --workers are for --engine ray", hint="add --engine ray")
    job = open_job(app.config(), wanted)
    return _run(app, job, read, **flags, dry_run=dry_run, as_json=as_json).code


@command.command()
@click.argument("name", metavar="NAME")
@click.option("--retry-failed", is_flag=True, help="Ask the failed rows again.")
@click.option("--max-cost", metavar="USD", type=DOLLARS, help="Another limit for the whole job.")
@click.option("--json", "as_json", is_flag=True, help="Progress as a line of JSON a second, on stderr.")
@click.pass_obj
def resume(app: App, /, name: str, retry_failed: bool, max_cost: float | None, as_json: bool) -> int:
    """Run a job again with the options that it was last run with.

    \b
    Example:
      missy batch resume tickets
      missy batch resume tickets --retry-failed
    """
    from missy.batch.job import Job

    job = Job.require(name)
    schema = job.plan.schema
    if max_cost is not None:
        job.told.setdefault("options", {})["max_cost"] = max_cost
    read = None if schema is None else _read_schema(schema)
    flags = {"retry_failed": retry_failed, "changed": False}
    return _run(app, job, read, **flags, dry_run=False, as_json=as_json).code


for _one in (submit, collect, list_, status, export, merge, cancel, delete):
    command.add_command(_one)


def _read_schema(schema: Any) -> Any:
    from missy.structured.reading import read_schema

    return read_schema(schema)


def _run_on_ray(
    app: App, wanted: Wanted, address: str | None, workers: int | None, flags: dict[str, bool]
) -> int:
    """Run a job as the shards of a cluster, and put them together. A shard that was run before is resumed."""
    from missy.batch import on_ray
    from missy.batch.output import check_target
    from missy.batch.prepare import job_name, open_job
    from missy.batch.runner import INCOMPLETE
    from missy.batch.summary import shards

    if address is None:
        raise UsageError(
            "--engine ray needs --address: Missy starts no cluster, since Ray listens on all interfaces",
            hint="start one on your own network: ray start --head; its address is printed",
        )
    out = None if wanted.out is None else str(check_target(wanted.out))
    open_job(app.config(), on_ray.split(wanted, 1)[0])  # what is wrong is told before anything is started
    ray = on_ray.connect(address)
    try:
        parts = on_ray.split(wanted, workers or on_ray.workers_of(ray, wanted))
        schema = None if wanted.schema is None else wanted.schema.body
        config = str(app.config().path)
        tasks = [(config, part._replace(schema=schema)._asdict(), flags) for part in parts]
        code = 0
        with on_ray.signals_noted() as signals:
            for number, result in on_ray.distribute(ray, ask_shard, tasks, lambda: bool(signals)):
                code = max(code, result.code)
                notice(f"shard {number + 1} of {len(parts)}: {counted(result.done, 'row')} answered")
                if result.message:
                    notice(f"it ended early: {result.message}; {result.hint}")
            if signals:
                on_ray.stop_shards([job_name(part) for part in parts])
                return 128 + signals[0]
    finally:
        ray.shutdown()
    if code not in (0, INCOMPLETE):
        return code
    return put(shards([job_name(wanted)]), out, partial=False) or code


def ask_shard(config: str, wanted: dict[str, Any], flags: dict[str, bool]) -> ShardResult:
    """Run one shard where this is called, on a worker."""
    from missy.batch.on_ray import ShardResult
    from missy.batch.prepare import Wanted, open_job

    app = App(config_path=config)
    try:
        read = None if wanted["schema"] is None else _read_schema(wanted["schema"])
        job = open_job(app.config(), Wanted(**{**wanted, "schema": read}))
        outcome = _run(app, job, read, **flags, dry_run=False, as_json=False)
    except MissyError as failure:
        return ShardResult(failure.exit_code, 0, failure.message, failure.hint)
    error = outcome.error
    told = (error.message, error.hint) if error else ("", "")
    return ShardResult(outcome.code, int(outcome.progress["done"]), *told)


def _run(
    app: App, job: Job, schema: Any, *, retry_failed: bool, changed: bool, dry_run: bool, as_json: bool
) -> Outcome:
    from missy.batch.job import Job
    from missy.batch.runner import Ground, Outcome, Runner
    from missy.cli.output.batch_report import Report, show_dry_run
    from missy.conversation.methods import StoreHandle
    from missy.runtime import Runtime
    from missy.spending.ledger import Ledger

    is_new = not job.folder.exists()
    runtime, store = Runtime(app.config(), notice=notice), StoreHandle()
    ground = Ground(runtime, Ledger(store.to_record, notice))
    report = Report(job, as_json=as_json)
    try:
        with job.locked() as lock:
            journal = job.journal(write=True)
            try:
                runner = Runner(
                    ground, job, lock, journal, schema, retry_failed=retry_failed, ticked=report.tick
                )
                _tell_damage(journal.damaged)
                runner.look(changed=changed)
                if dry_run:
                    show_dry_run(runner.dry_run())
                    return Outcome(0, None, {}, {})
                outcome = _drive(runner.run)
                report.end(outcome)
                if outcome.error is None and outcome.code in (0, 6) and outcome.out is None:
                    _print_rows(job, journal, runner.total)
            finally:
                journal.close()
    finally:
        for door in runtime.end():
            door.close()
        store.close(None, notice)
        runtime.audit.close()
        if is_new and dry_run:
            job.forget_empty()
    days = app.config().batch.keep_days
    for name in Job.delete_older(days) if days is not None else ():
        notice(f"deleted job {name}, which was last run more than {days} days ago")
    return outcome


def _drive(run: Callable[..., Any]) -> Outcome:
    """Run a job on an event loop; a signal ends it in order: what was answered is stored."""
    collect_from_now_on()
    import asyncio
    import signal

    async def go() -> Outcome:
        loop = asyncio.get_running_loop()

        def signals(drive: Any) -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    loop.add_signal_handler(number, drive.stop, 128 + number)

        outcome: Outcome = await run(signals)
        return outcome

    return asyncio.run(go())


def _tell_damage(lines: int) -> None:
    if lines:
        notice(f"{lines} lines of the journal are damaged; their rows are asked again")


def _print_rows(job: Job, journal: Any, total: int) -> None:
    """Print the rows to stdout, unless they are a part that is merged later."""
    from missy.batch.runner import out_lines

    if job.shard != (1, 1):
        return notice(f"this is one shard of {job.shard[1]}; put them together with: missy batch merge")
    for line in out_lines(job, journal, total):
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
    return None
