"""The audit as rows: each connection and request joined with its end, as a table, CSV or JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from missy import audit, os_errors
from missy.cli.app import emit
from missy.cli.output.sanitize import sanitize

MAX_PENDING_ENDS = 10_000  # ends in memory whose opening line was not read yet
MAX_CELL_CHARS = 600
_END_FIELDS = ("status", "bytes_out", "bytes_in", "duration_ms", "outcome", "error")
_TOOL_FIELDS = (
    "run",
    "round",
    "tool",
    "server",
    "pin",
    "subject",
    "decision",
    "taint",
    "sandbox",
    "args_hash",
    "args_size",
)
_COLUMNS = (
    *("time", "event", "id", "category", "entry", "host", "port", "method", "path", "credential", "rule"),
    *(*_END_FIELDS, *_TOOL_FIELDS, "seq", "prev", "hash"),
)


def rows(path: Any, foreign: Callable[[], object]) -> Iterator[dict[str, Any]]:
    """Yield each connection, request and refusal, newest first, joined with its end line.

    `foreign` is called for each line that no writer of the audit can have written.
    """
    ends: dict[Any, dict[str, Any]] = {}
    try:
        for record in audit.newest(path, foreign=foreign):
            if record.get("event") == audit.SEGMENT:
                continue
            if record.get("event") == "end":
                ends[record.get("id")] = record
                if len(ends) > MAX_PENDING_ENDS:
                    del ends[next(iter(ends))]
                continue
            end = ends.pop(record.get("id"), {})
            row = {key: value for key, value in record.items() if key not in ("prev", "hash", "v")}
            row |= {key: end.get(key) for key in _END_FIELDS}
            row["outcome"] = "refused" if row.get("event") == "refused" else end.get("outcome", "no end")
            yield row
    except os_errors.MissingFile:
        return


def _table_cells(row: dict[str, Any]) -> list[str]:
    """Return one row of the table as text. Accepts any values: the file may have been edited."""
    host = str(row.get("host", ""))
    host = f"[{host}]" if ":" in host else host
    method = row.get("method") or row.get("event")
    request = f"{method} {host}:{row.get('port', '')}{row.get('path', '')}"
    if "tool" in row:
        request = f"{row['tool']}: {row.get('subject') or host} ({row.get('decision', '')})"
    outcome = str(row["outcome"])
    numbers = ["-" if row[key] is None else str(row[key]) for key in ("bytes_out", "bytes_in", "duration_ms")]
    return [
        str(row.get("time", ""))[:19].replace("T", " "),
        str(row.get("category", "")),
        request,
        outcome if row["status"] is None else f"{row['status']}" + f" {outcome}" * (outcome != "ok"),
        *numbers,
        str(row.get("credential") or "none"),
    ]


def print_rows(found: list[dict[str, Any]]) -> None:
    """Print rows in columns as wide as their widest cell, numbers aligned to the right."""
    head = ["TIME (UTC)", "CATEGORY", "REQUEST", "STATUS", "OUT", "IN", "MS", "CREDENTIAL"]
    table = [
        head,
        *([sanitize(cell[:MAX_CELL_CHARS], newlines=False) for cell in _table_cells(row)] for row in found),
    ]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = (
            cell.rjust(width) if 4 <= column <= 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        emit("  ".join(cells).rstrip())


def jsonl_lines(path: Any, start: str) -> Iterator[str]:
    """Yield the unchanged lines from the time `start` on."""
    for line, record in audit.whole_lines(path):
        if str(record["time"]) >= start:
            yield line.decode()


def csv_lines(path: Any, start: str) -> Iterator[str]:
    """Yield the lines of a CSV table with fixed columns. Cells that a spreadsheet would take for a formula are quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="")
    records = (record for _, record in audit.whole_lines(path) if str(record["time"]) >= start)
    for cells in chain([_COLUMNS], ([_csv_cell(record.get(key)) for key in _COLUMNS] for record in records)):
        writer.writerow(cells)
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
