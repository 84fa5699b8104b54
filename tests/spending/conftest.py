"""What tests of money share: a server that stands in for a true host, and the record as SQLite has it."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from tests.command import Command

PRICE = {"input": 2.5, "cached_input": 1.25, "output": 10}  # US dollars for a million tokens


def usage(
    given: int = 1000, made: int = 100, cached: int = 0, reasoning: int = 0, **more: Any
) -> dict[str, Any]:
    """The counts of Chat Completions: cached tokens are part of the input, reasoning tokens of the output."""
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        **more,
    }


@pytest.fixture
def at(missy: Command, serve, tunnel, certify, ca_bundle):
    """Configure an entry at a true host name, which a server here stands in for: `at("api.openai.com", reply, ...)`."""

    def go(host: str, *script: Any, path: str = "/v1", **entry: Any):
        origin = serve(*script, tls=certify(host))
        proxy = tunnel({f"{host}:443": origin.port})
        network = {"proxy": proxy.url, "ca_bundle": str(ca_bundle)}
        missy.entry(f"https://{host}{path}", api_key="sk-test-000000", network=network, **entry)
        return origin

    return go


@pytest.fixture
def spend(missy: Command):
    """Return columns of the rows of `spend`, in order."""

    def read(*columns: str) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(missy.home / "sessions.db", timeout=20)
        try:
            return db.execute(f"SELECT {', '.join(columns)} FROM spend ORDER BY id").fetchall()
        finally:
            db.close()

    return read
