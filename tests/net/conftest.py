"""What tests of the door stand on: a door with its record, both ways through it, and a resolver that answers by a table."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from missy import AsyncMissy, Missy, MissyError
from missy.audit import Audit, whole_lines
from missy.net.door import Door
from missy.policy import Endpoint, Policy, Rules

SAFETY = 60.0  # seconds; only a broken test ever waits so long


class Table:
    """Stands in for the system's resolver: `names` maps a name to addresses, or to a function that gives them."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.lookups: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text not in self.names and _is_literal(text):
            return self._real(host, port, *args, **kwargs)
        self.lookups.append(text)
        if text not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self.names[text]
        addresses = found() if callable(found) else found
        return [_info(address, int(port or 0)) for address in addresses]


def _is_literal(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def _info(address: str, port: int) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    rest = (port, 0, 0) if ":" in address else (port,)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, *rest)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The stdlib's getaddrinfo answers from this table; Missy's own code is as it is."""
    made = Table()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return every connection that this process has tried so far, as the guard saw it: `host:port`."""
    trace = tmp_path / "tried"
    monkeypatch.setenv("MISSY_TEST_TRACE", str(trace))

    def read() -> list[str]:
        lines = trace.read_text().splitlines() if trace.exists() else []
        return [line.split("connect ")[1] for line in lines if "connect " in line]

    return read


class Record:
    """An audit in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.audit = Audit(path)

    def lines(self) -> list[dict[str, Any]]:
        """Return its records, oldest first."""
        return [record for _, record in whole_lines(self.path)] if self.path.exists() else []

    def kinds(self) -> list[tuple[str, str]]:
        """Return event and rule of each record."""
        return [(line["event"], line["rule"]) for line in self.lines()]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """An audit that starts empty."""
    return Record(tmp_path / "audit.jsonl")


@pytest.fixture
def make_door(record: Record) -> Iterator[Callable[..., Door]]:
    """Make a door: `make_door("http://127.0.0.1:1", ...)` for entries at these URLs; keywords are Rules or Door's."""
    doors: list[Door] = []

    def make(*urls: str, proxy: str | None = None, ca_bundle: Any = None, **rules: Any) -> Door:
        endpoints = tuple(Endpoint(url, f"e{number}") for number, url in enumerate(urls))
        policy = Policy(Rules(endpoints=endpoints, **rules))
        doors.append(Door(policy, record.audit, proxy=proxy, ca_bundle=ca_bundle and str(ca_bundle)))
        return doors[-1]

    yield make
    for door in doors:
        door.close()


class Got:
    """What came back: status, headers and body."""

    def __init__(self, response: Any, body: bytes) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.body = body


def send(
    way: str, door: Door, url: str, *, timeout: float = SAFETY, method: str = "GET", **kwargs: Any
) -> Got:
    """Send one request through a door, by its sync or its async client, and read the reply."""
    if way == "async":
        return asyncio.run(_send(door, url, timeout, method, kwargs))
    with door.httpx_client(timeout=timeout).stream(method, url, **kwargs) as response:
        return Got(response, response.read())


async def _send(door: Door, url: str, silence: float, method: str, kwargs: dict[str, Any]) -> Got:
    try:
        async with door.async_httpx_client(timeout=silence).stream(method, url, **kwargs) as response:
            return Got(response, await response.aread())
    finally:
        await door.aclose()


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """Both ways through the house."""
    return str(request.param)


class Outcome:
    """How an answer ended: its text, whole or up to the error, and the error."""

    def __init__(self, text: str, error: MissyError | None) -> None:
        self.text = text
        self.error = error

    @property
    def code(self) -> int:
        """The exit code that it means."""
        return 0 if self.error is None else self.error.exit_code


@pytest.fixture
def write_config(home: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a config with one entry at `url` and return its path."""

    def write(url: str, *, network: Any = None, **entry: Any) -> Path:
        fields = {
            "name": "openai",
            "model": "m",
            "base_url": url,
            "max_retries": 0,
            "timeout": SAFETY,
            **entry,
        }
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"providers": {"test": fields}, "network": network or {}}))
        path.chmod(0o600)
        return path

    return write


def ask(way: str, config: Path, prompt: str = "hi", **wishes: Any) -> Outcome:
    """Ask once, through the library, and tell how it ended. Only a MissyError may end it."""
    if way == "async":
        return asyncio.run(_ask(config, prompt, wishes))
    with Missy.open(config) as missy:
        answer = missy.ask(prompt, **wishes)
        try:
            return Outcome(answer.text(), None)
        except MissyError as error:
            return Outcome(answer.so_far, error)


async def _ask(config: Path, prompt: str, wishes: dict[str, Any]) -> Outcome:
    async with AsyncMissy.open(config) as missy:
        answer = missy.ask(prompt, **wishes)
        try:
            return Outcome(await answer.text(), None)
        except MissyError as error:
            return Outcome(answer.so_far, error)
