"""Parquet in and out, with the extra `parquet`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from missy.batch.rows import read_rows
from missy.errors import UsageError
from tests.command import Command


def test_parquet_in_and_out(missy: Command, crowd, tmp_path: Path):
    """Rows come from a Parquet file and go to one, private, with a column for each field."""
    server = crowd()
    missy.entry(server.url)
    path, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(pa.table({"id": [7, 8], "prompt": ["a", "b [empty]"]}), path)
    done = missy("batch", "run", str(path), "-o", str(out))
    assert done.code == 6, done.err
    rows = parquet.read_table(out).to_pylist()
    assert [(row["id"], row["text"], row["error_kind"]) for row in rows] == [
        ("7", "answer to a", None),
        ("8", None, "incomplete"),
    ]
    assert out.stat().st_mode & 0o777 == 0o600


def test_what_is_no_parquet_is_an_error(tmp_path: Path):
    """A file of another kind under that name is a UsageError."""
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(UsageError, match="not Parquet"):
        list(read_rows(path, "parquet"))
