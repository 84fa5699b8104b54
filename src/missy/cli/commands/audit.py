"""`missy audit`: what left the machine, whether the record of it is whole, and a copy of it.

It must never write to the audit, nor show a byte of it that could steer the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import click

from missy import audit, files, os_errors, paths
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.output.sanitize import safe
from missy.errors import MissyError, UsageError

_END = ("status", "bytes_out", "bytes_in", "duration_ms", "outcome", "error")
_COLUMNS = (
    *("time", "event", "id", "category", "entry", "host", "port", "method", "path", "credential", "rule"),
    *(*_END, "seq", "prev", "hash"),
)
_NOTHING = "nothing on record: there is no audit yet"


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
@click.option("--refused", is_flag=True, help="Only those that the policy refused.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, oldest first.")
@click.pass_obj
def recent(app: App, count: int, entry: str | None, refused: bool, as_json: bool) -> None:
    """The latest connections and requests, each with its end, oldest first.

    \b
    Example:
      missy audit recent --refused
    """
    rows = (
        row
        for row in _rows(app.audit().path)
        if (entry is None or row.get("entry") == entry) and (not refused or row["outcome"] == "refused")
    )
    latest = list(islice(rows, count))[::-1]
    if as_json:
        emit_json(latest)
    elif latest:
        _print_table([_cells(row) for row in latest])
    else:
        emit("nothing on record that fits" if app.audit().path.exists() else _NOTHING)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Check that no line was changed, removed, added or moved. Exit code 1 when one was.

    Lines cut off at the end leave no trace in the file: note the head and the number of lines somewhere else.

    \b
    Example:
      missy audit verify --json
    """
    path = ctx.obj.audit().path
    try:
        report = audit.verify(path)
    except os_errors.MissingFile:
        report = None
    if as_json:
        emit_json(_as_json(path, report or audit.Report(True, 0, "", (), ())))
        ctx.exit(0 if report is None or report.ok else 1)
    if report is None:
        emit(_NOTHING)
    else:
        _print_report(path, report)


@command.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="How it is written.",
)
@click.option("--since", metavar="DATE", help="From this day or time (ISO 8601, UTC) on.")
@click.option("-o", "output", metavar="FILE", help="A file, mode 0600, instead of stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.pass_obj
def export(app: App, form: str, since: str | None, output: str | None, force: bool) -> None:
    """A copy of the record: every line as it is (jsonl), or a table (csv).

    \b
    Example:
      missy audit export --since 2026-11-01 -o november.jsonl
    """
    path, start = app.audit().path, _utc(since) if since else ""
    copy = _jsonl(path, start) if form == "jsonl" else _csv(path, start)
    if output is None or output == "-":
        for line in _unless_missing(copy):
            emit(line)
        return
    target = paths.expand(output)
    if not force and (target.exists() or target.is_symlink()):
        raise UsageError(f"{target} is there already", hint="choose another name, or replace it with --force")
    files.write_private(target, (line.encode() + b"\n" for line in _unless_missing(copy)))
    notice(f"written to {target}")


def _unless_missing(lines: Iterable[Any]) -> Iterator[Any]:
    """Yield what there is; say so on stderr when there is no audit."""
    try:
        yield from lines
    except os_errors.MissingFile:
        notice(_NOTHING)


def _rows(path: Any) -> Iterator[dict[str, Any]]:
    """Yield what left or was refused, newest first, each joined with the line that says how it ended."""
    ends: dict[Any, dict[str, Any]] = {}
    try:
        for record in audit.newest(path):
            if record.get("event") == "end":
                ends[record.get("id")] = record
                continue
            end = ends.pop(record.get("id"), {})
            row = {key: value for key, value in record.items() if key not in ("prev", "hash")}
            row |= {key: end.get(key) for key in _END}
            row["outcome"] = "refused" if row.get("event") == "refused" else end.get("outcome", "no end")
            yield row
    except os_errors.MissingFile:
        return


def _cells(row: dict[str, Any]) -> list[str]:
    """Return one row of the table as text."""
    host = str(row.get("host", ""))
    host = f"[{host}]" if ":" in host else host
    method = row.get("method") or row.get("event")
    outcome = str(row["outcome"])
    numbers = ["-" if row[key] is None else str(row[key]) for key in ("bytes_out", "bytes_in", "duration_ms")]
    return [
        str(row.get("time", ""))[:19].replace("T", " "),
        str(row.get("category", "")),
        f"{method} {host}:{row.get('port', '')}{row.get('path', '')}",
        outcome if row["status"] is None else f"{row['status']}" + f" {outcome}" * (outcome != "ok"),
        *numbers,
        str(row.get("credential") or "none"),
    ]


def _print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as their widest cell, numbers to the right."""
    head = ["TIME (UTC)", "CATEGORY", "REQUEST", "STATUS", "OUT", "IN", "MS", "CREDENTIAL"]
    table = [head, *([safe(cell, newlines=False) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = (
            cell.rjust(width) if 4 <= column <= 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        emit("  ".join(cells).rstrip())


def _print_report(path: Any, report: audit.Report) -> None:
    """Print what `verify` found. Raises MissyError, naming the lines, when the record was tampered with."""
    for number in report.interrupted:
        emit(
            f"line {number}: interrupted, its writer was killed or the disk was full; nothing else is missing"
        )
    for number, what in report.problems:
        emit(f"line {number}: {what}")
    emit(f"lines: {report.lines}")
    emit(f"head:  {report.head or 'none'}")
    if not report.ok:
        numbers = ", ".join(str(number) for number, _ in report.problems[:20])
        more = ", ..." if len(report.problems) > 20 else ""
        raise MissyError(
            f"the audit {path} is not what was written: line {numbers}{more}",
            hint="keep a copy of it, find out who changed it, then move it away: a new one begins by itself",
        )
    emit("ok: no line was changed, removed, added or moved")


def _as_json(path: Any, report: audit.Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "file": str(path),
        "lines": report.lines,
        "head": report.head or None,
        "problems": [{"line": number, "what": what} for number, what in report.problems],
        "interrupted": list(report.interrupted),
    }


def _utc(text: str) -> str:
    """Return the user's date in the form of the audit's own `time`. Raises UsageError when it is none."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text!r} is no date", hint="write it like 2026-11-01 or 2026-11-01T12:00:00Z"
        ) from None
    return when.strftime("%Y-%m-%dT%H:%M:%S") + f".{when.microsecond // 1000:03d}Z"


def _jsonl(path: Any, start: str) -> Iterator[str]:
    for line, record in audit.whole_lines(path):
        if str(record["time"]) >= start:
            yield line.decode("utf-8", "replace")


def _csv(path: Any, start: str) -> Iterator[str]:
    """Yield the lines of a table with fixed columns; what a spreadsheet takes for a formula is quoted."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="")
    records = (record for _, record in audit.whole_lines(path) if str(record["time"]) >= start)
    for cells in chain([_COLUMNS], ([_cell(record.get(key)) for key in _COLUMNS] for record in records)):
        writer.writerow(cells)
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)
