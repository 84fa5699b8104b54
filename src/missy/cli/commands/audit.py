"""`missy audit`: shows, verifies, exports and seals the audit.

It must never write to the audit, nor print a byte of it that could control the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count as counter
from itertools import islice
from typing import Any

import click

from missy import audit, os_errors, paths
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.output.audit_rows import csv_lines, jsonl_lines, print_rows, rows
from missy.errors import MissyError, UsageError
from missy.plural import counted

_EMPTY_RECORD = "nothing on record: there is no audit yet"


@click.group()
def command() -> None:
    """What left the machine.

    \b
    Example:
      missy audit recent -n 5
      missy audit verify
      missy audit export --format csv -o audit.csv
    """


@command.command()
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many, at most."
)
@click.option("--entry", metavar="NAME", help="Only those of one entry.")
@click.option("--refused", is_flag=True, help="Only those that were refused.")
@click.option("--tools", "only_tools", is_flag=True, help="Only the calls of tools.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, oldest first.")
@click.pass_obj
def recent(app: App, count: int, entry: str | None, refused: bool, only_tools: bool, as_json: bool) -> None:
    """The latest connections, requests and calls of tools, each with its result, oldest first.

    \b
    Example:
      missy audit recent --refused
    """
    left_out = counter()
    found = (
        row
        for row in rows(app.audit().path, lambda: next(left_out))
        if (entry is None or row.get("entry") == entry)
        and (not refused or row["outcome"] == "refused")
        and (not only_tools or "tool" in row)
    )
    latest = list(islice(found, count))[::-1]
    if as_json:
        emit_json(latest)
    elif latest:
        print_rows(latest)
    else:
        emit("no line of the record matches" if app.audit().path.exists() else _EMPTY_RECORD)
    if lines := next(left_out):
        notice(f"left out: {counted(lines, 'line')} that Missy cannot have written; see: missy audit verify")


@command.command()
@click.option("--checkpoint", metavar="FILE", help="Compare the record with a checkpoint; - is stdin.")
@click.option(
    "--public-key", metavar="KEY", help="The key that must have signed it. Default: the one in secrets/."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def verify(ctx: click.Context, checkpoint: str | None, public_key: str | None, as_json: bool) -> None:
    """Check that no line was changed, removed, added, moved or cut off at the end. Exit code 1 if one was.

    If the record and its head file were both rewritten, only a checkpoint that was kept elsewhere shows it.

    \b
    Example:
      missy audit verify
      missy audit verify --checkpoint /media/stick/missy.checkpoint
      ssh vault cat missy.checkpoint | missy audit verify --checkpoint - --json
    """
    from missy.audit.verifier import EMPTY_REPORT
    from missy.cli.checkpoints import read_checkpoint
    from missy.cli.output.audit_report import report_as_json, show_report

    if public_key and checkpoint is None:
        raise UsageError("--public-key needs --checkpoint", hint="see: missy audit verify --help")
    path = ctx.obj.audit().path
    sealed, wrong = read_checkpoint(checkpoint, public_key) if checkpoint is not None else (None, "")
    try:
        report = audit.verify(path, sealed.link if sealed and not wrong else None)
    except os_errors.MissingFile:
        report = None
    if report is None and checkpoint is None and not as_json:
        emit(_EMPTY_RECORD)
        return
    report = report or EMPTY_REPORT
    if as_json:
        emit_json(report_as_json(path, report, sealed, wrong))
        ctx.exit(0 if report.ok and not wrong else 1)
    show_report(path, report, sealed, wrong)


@command.command()
@click.option("--public-key", "only_key", is_flag=True, help="Print the public key instead, one word.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def seal(app: App, only_key: bool, as_json: bool) -> None:
    """Print a signed checkpoint of the record, to keep elsewhere.

    Keep it where no one who can write to MISSY_HOME can change it; `missy audit verify
    --checkpoint` compares the record with it later. Nothing is signed if the record was changed. The key is
    made on first use, in secrets/audit-key.

    \b
    Example:
      missy audit seal | ssh vault 'cat > missy.checkpoint'
      missy audit seal --public-key
      missy audit seal --json
    """
    from missy.audit.verifier import EMPTY_REPORT
    from missy.cli.checkpoints import make_checkpoint, signing_key

    if only_key:
        key = signing_key().public
        emit_json({"public_key": key.encode(), "origin": key.name}) if as_json else emit(key.encode())
        return
    path = app.audit().path
    try:
        report = audit.verify(path)
    except os_errors.MissingFile:
        report = EMPTY_REPORT
    if not report.ok:
        raise MissyError(
            "nothing was sealed: the record is not what was written", hint="see: missy audit verify"
        )
    value = make_checkpoint(report)
    emit_json(value) if as_json else emit(str(value["checkpoint"]).rstrip("\n"))


@command.command()
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="The format.",
)
@click.option("--since", metavar="DATE", help="Only lines from this date or time on (ISO 8601, UTC).")
@click.option("-o", "output", metavar="FILE", help="A file, mode 0600, instead of stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.pass_obj
def export(app: App, output_format: str, since: str | None, output: str | None, force: bool) -> None:
    """Write a copy of the record: the unchanged lines (jsonl), or a table (csv).

    \b
    Example:
      missy audit export --since 2026-11-01 -o november.jsonl
    """
    path, start = app.audit().path, _utc(since) if since else ""
    copy = jsonl_lines(path, start) if output_format == "jsonl" else csv_lines(path, start)
    if output is None or output == "-":
        for line in _unless_missing(copy):
            emit(line, masked=False)
        return
    from missy.cli.new_file import write_new

    write_new(output, (line.encode() + b"\n" for line in _unless_missing(copy)), force=force)
    notice(f"written to {paths.expand(output)}")


def _unless_missing(lines: Iterable[Any]) -> Iterator[Any]:
    """Yield the lines; print a notice if there is no audit."""
    try:
        yield from lines
    except os_errors.MissingFile:
        notice(_EMPTY_RECORD)


def _utc(text: str) -> str:
    """Return a date in the form of the audit's `time`. Raises UsageError if it is not a date."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text!r} is not a date", hint="write it like 2026-11-01 or 2026-11-01T12:00:00Z"
        ) from None
    return when.strftime("%Y-%m-%dT%H:%M:%S") + f".{when.microsecond // 1000:03d}Z"
