"""Lent clients, sync and async, behind one face: a test says what is called, not in which way."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from missy import AsyncMissy, Missy
from tests.command import Command

KEY = "sk-key-of-the-entry"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Borrower:
    """Runs a test's calls on a client: `run(lambda c: c.models.list())`; what may be awaited is awaited."""

    def __init__(self, way: str, path: Path | None = None) -> None:
        self.way = way
        self._loop = asyncio.new_event_loop() if way == "async" else None
        kind: Any = AsyncMissy if way == "async" else Missy
        self.missy: Any = kind.open(path)

    def client(self, entry: str | None = None) -> Any:
        """Ask for a client."""
        return self.missy.openai_client(entry)

    def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call, and wait for what comes."""
        if self._loop is None:
            return call(*args)

        async def inside() -> Any:
            made = call(*args)
            return await made if inspect.isawaitable(made) else made

        return self._loop.run_until_complete(inside())

    def ask(self, client: Any, **more: Any) -> str:
        """Ask a chat question and return the text of the answer."""
        return str(self.run(lambda: client.chat.completions.create(**ASK, **more)).choices[0].message.content)

    def read(self, client: Any, call: Callable[[Any], Any] | None = None) -> list[Any]:
        """Return the events of a stream, `call`'s or a chat answer's."""
        begin = call or (lambda c: c.chat.completions.create(**ASK, stream=True))
        self.so_far: list[Any] = []
        if self._loop is None:
            for event in begin(client):
                self.so_far.append(event)
            return self.so_far

        async def inside() -> None:
            async for event in await begin(client):
                self.so_far.append(event)

        self._loop.run_until_complete(inside())
        return self.so_far

    def close(self) -> None:
        """Close the Missy."""
        if self._loop is None:
            self.missy.close()
        else:
            self._loop.run_until_complete(self.missy.aclose())

    def end(self) -> None:
        """Close all."""
        self.close()
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """Both ways."""
    return str(request.param)


@pytest.fixture
def borrow(way: str, missy: Command) -> Any:
    """Open a Missy with entries at these URLs, named a, b, ...; the first is the default and has a key."""
    made: list[Borrower] = []

    def make(*urls: str, network: Any = None, **fields: Any) -> Borrower:
        common = {"name": "openai", "model": "m", "max_retries": 0, "timeout": 60}
        entries = {name: {**common, "base_url": url} for name, url in zip("abc", urls, strict=False)}
        entries["a"] |= {"api_key": KEY, **fields}
        missy.config({"providers": entries, "network": network or {}})
        made.append(Borrower(way))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def records(missy: Command) -> Callable[[], list[dict[str, Any]]]:
    """Return the audit's records, oldest first."""

    def read() -> list[dict[str, Any]]:
        path = missy.home / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def tried(missy: Command) -> Callable[[], list[str]]:
    """Return every connection that was tried, `host:port`."""
    return lambda: [line.split("connect ")[1] for line in missy.attempts() if "connect " in line]
