"""Reading the rows of a job, as they are needed: JSON Lines, CSV, or Parquet (extra `parquet`)."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.errors import UsageError
from missy.hints import to_install
from missy.os_errors import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
MAX_LINE_BYTES = 16 << 20  # of one row
_PARQUET_ROWS = 1024  # that are read at a time


class Row(NamedTuple):
    """One row as it was read; `values` parses it. `place` is its line in the file, from 1 (Parquet: its row)."""

    number: int  # from 0
    place: int
    raw: bytes | dict[str, Any]

    @property
    def where(self) -> str:
        """How an error names the row."""
        return (
            f"row {self.number} (line {self.place})" if isinstance(self.raw, bytes) else f"row {self.number}"
        )

    def values(self) -> dict[str, Any]:
        """Return the columns. Raises UsageError for what is no JSON object."""
        if not isinstance(self.raw, bytes):
            return self.raw
        from jiter import from_json

        try:
            found = from_json(self.raw)
        except ValueError as error:
            raise UsageError(
                f"{self.where} is not JSON: {error}", hint="each line is one JSON object"
            ) from None
        if isinstance(found, str):
            return {"prompt": found}
        if not isinstance(found, dict):
            raise UsageError(f"{self.where} is no JSON object", hint='each line is one: {"prompt": "..."}')
        return found


def format_of(path: str) -> str:
    """Return the format of a file by its name. Raises UsageError."""
    found = FORMATS.get(Path(path).suffix.lower())
    if found is None:
        raise UsageError(
            f"{path} is of no format that is known", hint=f"name a file that ends in {', '.join(FORMATS)}"
        )
    return found


def read_rows(path: Path, kind: str) -> Iterator[Row]:
    """Yield the rows of a file. Raises UsageError, or MissyError where it cannot be read."""
    return _READERS[kind](path)


def _json_lines(path: Path) -> Iterator[Row]:
    with faults("read", path), path.open("rb") as file:
        number, place = 0, 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            place += 1
            if len(line) > MAX_LINE_BYTES:
                raise UsageError(f"line {place} is longer than {MAX_LINE_BYTES >> 20} MiB", hint="split it")
            if place == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield Row(number, place, line)
                number += 1


def _csv(path: Path) -> Iterator[Row]:
    with faults("read", path), path.open(encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(MAX_LINE_BYTES)
        reader = csv.reader(file, strict=True)
        try:
            head = next(reader, None)
            if head is None:
                return
            if len(set(head)) != len(head):
                raise UsageError(
                    f"{path} has two columns of one name", hint="the first line names the columns"
                )
            number = 0
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise UsageError(
                        f"line {reader.line_num} of {path} has {len(cells)} cells, and the first line {len(head)}",
                        hint="is a quotation mark missing?",
                    )
                yield Row(number, reader.line_num, dict(zip(head, cells, strict=True)))
                number += 1
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(
                f"line {reader.line_num} of {path} is not CSV: {error}", hint="save it as UTF-8"
            ) from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UsageError("Parquet needs the package pyarrow", hint=to_install("parquet")) from None
    with faults("read", path):
        try:
            number = 0
            with closing(parquet.ParquetFile(path)) as file:
                for block in file.iter_batches(batch_size=_PARQUET_ROWS):
                    for values in block.to_pylist():
                        yield Row(number, number, values)
                        number += 1
        except ArrowException as error:
            raise UsageError(f"{path} is not Parquet: {error}", hint="is it whole?") from None


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "jsonl": _json_lines,
    "csv": _csv,
    "parquet": _parquet,
}


def spool(data: Any, target: Path) -> None:
    """Keep stdin as a file of the job, so that the job can be resumed. Raises MissyError."""
    from missy.files import write_private

    write_private(target, iter(lambda: data.read(1 << 20), b""))


def as_line(values: dict[str, Any]) -> bytes:
    """Return a row of a program as a line of JSON."""
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
