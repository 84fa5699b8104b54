"""`async for row in m.batch(...)`: the same job from a program."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import missy as package
from tests.command import Command


def _all(rows: list[Any], most: int | None = None, **options: Any) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        found = []
        async with package.AsyncMissy.open() as m:
            stream = m.batch(rows, job="j", **options)
            async for row in stream:
                found.append(row)
                if most is not None and len(found) >= most:
                    await stream.aclose()
                    break
        return found

    return asyncio.run(ask())


def test_rows_come_when_they_are_stored_and_earlier_ones_first(missy: Command, crowd):
    """Each row comes once; another run yields what is stored and asks only what is new."""
    server = crowd(delay=0.01)
    missy.entry(server.url)
    first = _all(["a", {"prompt": "b [empty]", "id": 7}])
    assert sorted((row["row"], row["text"]) for row in first if row["text"]) == [(0, "answer to a")]
    assert [row["error"]["kind"] for row in first if row["error"]] == ["incomplete"]
    again = _all(["a", {"prompt": "b [empty]", "id": 7}, "c"], max_tokens=None)
    assert [row["row"] for row in again] == [0, 1, 2]
    assert server.twice == 0


def test_a_loop_that_is_left_stores_what_was_answered(missy: Command, crowd):
    """Leaving the loop ends the run in order; a later one goes on."""
    server = crowd(delay=0.02)
    missy.entry(server.url)
    rows = [f"p{n}" for n in range(60)]
    assert len(_all(rows, most=5)) == 5
    assert len({row["row"] for row in _all(rows)}) == 60
    assert server.twice <= 8


def test_what_ends_a_run_is_raised(missy: Command, crowd):
    """A refused key is a CredentialError; an unknown option, a plan's entry and a changed row are UsageErrors."""
    server = crowd(refuse_after=0)
    missy.entry(server.url, api_key="sk-test-key-1234567890")
    with pytest.raises(package.CredentialError):
        _all(["a"])
    server.refuse_after = None
    assert len(_all(["a"])) == 1
    with pytest.raises(package.UsageError, match="row 0"):
        _all(["other"])
    assert _all(["other"], changed=True)[0]["text"] == "answer to other"
