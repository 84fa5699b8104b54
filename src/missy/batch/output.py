"""OUT: the rows of a job in input order, made from the journal; written to a temporary file, and then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from missy import files
from missy.batch.rows import FORMATS
from missy.errors import UsageError
from missy.hints import to_install
from missy.os_errors import faults
from missy.paths import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COLUMNS = (
    "id", "row", "text", "so_far", "finish", "model", "value", "input_tokens", "output_tokens", "cost_usd", "ms",
    "error_kind", "error_status", "error_message",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CHUNK = 1 << 16
_PARQUET_ROWS = 4096


def check_target(out: str) -> Path:
    """Return the path of OUT. Raises UsageError for what cannot be replaced by a file, or written here."""
    path = expand(out)
    kind = path.suffix.lower()
    if kind and kind not in FORMATS:
        raise UsageError(
            f"{path.name} names no format of OUT",
            hint=f"let it end with {', '.join(FORMATS)}, or with nothing",
        )
    if kind == ".parquet" and find_spec("pyarrow") is None:
        raise _no_pyarrow()
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(f"{out} is not a regular file", hint="name another file")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint="create it, or name another file")
    return path


def _no_pyarrow() -> UsageError:
    return UsageError("Parquet needs the package pyarrow", hint=to_install("parquet"))


def write_out(path: Path, lines: Iterable[bytes]) -> None:
    """Write OUT in the format of its name, atomically; `lines` are rows as JSON. Raises MissyError."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _write_parquet(path, lines)
    chunks = as_csv(lines) if kind == ".csv" else _chunked(line + b"\n" for line in lines)
    return files.write_private(path, chunks)


def _chunked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to larger pieces: fewer writes."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def flat(line: bytes) -> dict[str, Any]:
    """Return a row of OUT as columns of simple values."""
    row = json.loads(line)
    usage, error = row.get("usage") or {}, row.get("error") or {}
    row |= {"input_tokens": usage.get("input_tokens"), "output_tokens": usage.get("output_tokens")}
    row |= {f"error_{name}": error.get(name) for name in ("kind", "status", "message")}
    if row.get("value") is not None:
        row["value"] = json.dumps(row["value"], ensure_ascii=False)
    return {name: row.get(name) for name in _COLUMNS}


def as_csv(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield OUT as CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it."""

    def written(cells: Iterable[Any]) -> str:
        held = io.StringIO()
        csv.writer(held, lineterminator="\r\n").writerow(cells)
        return held.getvalue()

    yield written(_COLUMNS).encode()
    for line in lines:
        yield written(_harmless(value) for value in flat(line).values()).encode("utf-8", "replace")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _write_parquet(path: Path, lines: Iterable[bytes]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise _no_pyarrow() from None
    types = {"row": pa.int64(), "cost_usd": pa.float64()}
    types |= dict.fromkeys(("input_tokens", "output_tokens", "ms", "error_status"), pa.int64())
    schema = pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with faults("write", path):
        try:
            with parquet.ParquetWriter(temporary, schema) as writer:
                os.chmod(temporary, 0o600)
                held: list[dict[str, Any]] = []
                for line in lines:
                    row = flat(line)
                    row["id"] = None if row["id"] is None else str(row["id"])
                    held.append(row)
                    if len(held) == _PARQUET_ROWS:
                        writer.write_table(pa.Table.from_pylist(held, schema))
                        held = []
                writer.write_table(pa.Table.from_pylist(held, schema))
            os.rename(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
