"""What the tests of bulk work share: an endpoint that counts, and a file of prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Crowd


@pytest.fixture
def crowd() -> Iterator[Callable[..., Crowd]]:
    """Start an endpoint for many requests: `crowd(delay=0.1)`."""
    started: list[Crowd] = []

    def start(**options: Any) -> Crowd:
        started.append(Crowd(**options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def prompts(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of prompts: of a number, or the given rows."""

    def write(rows: int | list[Any], name: str = "in.jsonl") -> Path:
        if isinstance(rows, int):
            rows = [{"id": f"r{n}", "prompt": f"prompt {n}"} for n in range(rows)]
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def read_out(path: Path) -> list[dict[str, Any]]:
    """Return the rows of OUT."""
    return [json.loads(line) for line in path.read_text().splitlines()]
