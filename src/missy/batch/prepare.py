"""Making a job ready to run: the plan, the fingerprint, and a look at every row before anything is sent."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.batch import rows as reading
from missy.batch.job import VERSION, Job, check_name, jobs_folder
from missy.batch.output import check_target
from missy.batch.plan import Plan, RowReader
from missy.errors import UsageError
from missy.folders import ensure_dir
from missy.kinds import kind_of
from missy.os_errors import faults
from missy.paths import expand
from missy.providers.request import build_request

if TYPE_CHECKING:
    from missy.batch.journal import Journal
    from missy.config.schema import Config, Entry
    from missy.providers.base import Request

WHOLE_ANSWER_SECONDS = 300.0  # an answer comes whole, so that its first byte comes when it is finished
_OPTIONS = ("concurrency", "rpm", "tpm", "max_cost", "limit")


class Wanted(NamedTuple):
    """What a run is asked for, as the command line has it. `schema` is read already."""

    input: str
    out: str | None = None
    provider: str | None = None
    model: str | None = None
    column: str | None = None
    template: str | None = None
    id: str | None = None
    job: str | None = None
    system: str | None = None
    schema: Any = None
    max_tokens: int | None = None
    temperature: float | None = None
    concurrency: int | None = None
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    limit: int | None = None
    shard: tuple[int, int] | None = None


def find_entry(config: Config, name: str | None) -> Entry:
    """Return the entry that is asked. Raises UsageError for one that must not be used for bulk work."""
    entry = config.entry(name)
    if reason := kind_of(entry).no_bulk:
        raise UsageError(
            f"entry {entry.entry} is not used for bulk work: {reason}",
            hint="name an entry with an API key, or local",
        )
    return entry


def base_request(entry: Entry, plan: Plan, schema: Any) -> Request:
    """Return the request that all rows share; its messages are replaced. Raises UsageError."""
    request = build_request(
        entry,
        "x",
        {
            "model": plan.model,
            "system": plan.system,
            "temperature": plan.temperature,
            "max_tokens": plan.max_tokens,
            "schema": schema,
            "stream": False,
        },
    )
    wait = max(request.timeout, WHOLE_ANSWER_SECONDS)
    return kind_of(entry).adapt(request._replace(timeout=wait, patience=None))


def make_plan(entry: Entry, wanted: Wanted) -> Plan:
    """Return what is asked of each row. Raises UsageError."""
    if wanted.column is not None and wanted.template is not None:
        raise UsageError("--column and --template both say what is asked", hint="give one of them")
    template = wanted.template
    if template is not None and template.startswith("@"):
        path = expand(template[1:])
        with faults("read", path):
            try:
                template = path.read_text(encoding="utf-8").removesuffix("\n")
            except UnicodeDecodeError:
                raise UsageError(f"the template {path} is not UTF-8", hint="save it as UTF-8") from None
    schema = None if wanted.schema is None else wanted.schema.body
    plan = Plan(
        entry.entry, entry.endpoint, wanted.model or entry.model, wanted.system, wanted.temperature, wanted.max_tokens,
        schema, wanted.column, template, wanted.id,
    )  # fmt: skip
    return plan._replace(model=base_request(entry, plan, None).model)


def open_job(config: Config, wanted: Wanted) -> Job:
    """Return the job that `wanted` names: a new one, or one that exists and has the same fingerprint.

    Raises UsageError. A new job is not on disk yet, unless its rows come from stdin, which are kept in its folder.
    """
    entry = find_entry(config, wanted.provider)
    name = job_name(wanted)
    plan = make_plan(entry, wanted)
    RowReader(plan)  # a broken template is an error before stdin is read
    out = None if wanted.out is None else str(check_target(wanted.out))
    kind = "jsonl" if wanted.input == "-" else reading.format_of(wanted.input)
    path = jobs_folder() / name / "input.jsonl" if wanted.input == "-" else expand(wanted.input)
    job = Job.load(name)
    if job is None:
        told = {"version": VERSION, "plan": plan._asdict(), "input": {"path": str(path), "format": kind}}
        job = Job(name, {**told, "shard": wanted.shard})
    else:
        refuse_other_job(job, plan, str(path), wanted.shard)
    if wanted.input == "-":
        ensure_dir(job.folder)
        reading.spool(sys.stdin.buffer, path)
    elif not path.is_file():
        raise UsageError(
            f"there is no file {wanted.input}", hint="name a .jsonl, .csv or .parquet file, or -"
        )
    if out is not None:
        job.told["out"] = out
    job.told["options"] = {key: getattr(wanted, key) for key in _OPTIONS}
    return job


def job_name(wanted: Wanted) -> str:
    """Return the job's name: the given one, else that of the input file; a shard has its own. Raises UsageError."""
    name = wanted.job
    if name is None and wanted.input == "-":
        name = "stdin"
    elif name is None:
        stem = "".join(
            c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in expand(wanted.input).stem
        )
        name = stem[:80].strip("-._") or "job"
    if wanted.shard is not None:
        name += ".{}-of-{}".format(*wanted.shard)
    return check_name(name)


def refuse_other_job(job: Job, plan: Plan, path: str, shard: tuple[int, int] | None) -> None:
    """Raise UsageError for a job with another fingerprint."""
    changed = plan.changed(job.plan)
    if job.told["input"]["path"] != path:
        changed.append("input")
    if (shard or (1, 1)) != job.shard:
        changed.append("shard")
    if changed:
        raise UsageError(
            f"job {job.name} exists, and was begun with another {', '.join(changed)}",
            hint="give this one a name of its own with --job, or delete the other: missy batch delete "
            + job.name,
        )


def look_at_rows(job: Job, journal: Journal, *, changed: bool) -> int:
    """Check all rows against the journal, before anything is sent; return how many there are. Raises UsageError.

    An input that is byte for byte what it was need not be read row by row again.
    """
    told, path = job.told["input"], job.input
    with faults("read", path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if told.get("sha256") == digest and told.get("rows") is not None and told["rows"] >= journal.rows:
        return int(told["rows"])
    reader, count = RowReader(job.plan), 0
    for row in reading.read_rows(path, told["format"]):
        count = row.number + 1
        if not job.has(row.number):
            continue
        values, where = row.values(), row.where
        prompt = reader.prompt(values, where)
        reader.id(values, where)
        if not journal.state(row.number):
            continue
        line = journal.at(row.number)
        if line is not None and line.hash != reader.hash(prompt):
            if not changed:
                raise UsageError(
                    f"{where} was changed since it was answered", hint="--changed asks changed rows again"
                )
            journal.forget(row.number)
    if count < journal.rows:
        if not changed:
            raise UsageError(
                f"the input has {count} rows, and row {journal.rows - 1} was answered",
                hint="--changed drops the answers of rows that are gone",
            )
        for number in range(count, journal.rows):
            journal.forget(number)
    told |= {"bytes": path.stat().st_size, "rows": count, "sha256": digest}
    return count
