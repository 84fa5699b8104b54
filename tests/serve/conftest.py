"""A gateway as a real process, and what stands before and behind it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.command import SAFETY, Command
from tests.servers import Origin, chat_answer, chat_stream

ENTRY_KEY = "sk-canary-of-the-entry-0123456789abcdef"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def answer(request: Any, _wire: Any = None) -> Any:
    """Answer as an endpoint does: streamed if that was asked for, with the usage."""
    if request.method != "POST":
        return chat_answer("unexpected")
    if request.json().get("stream"):
        return chat_stream("he", "llo", usage=USAGE)
    return chat_answer("hello", usage=USAGE)


class Gateway:
    """One `missy serve` process."""

    def __init__(self, missy: Command, *options: str) -> None:
        self.missy = missy
        self.process = missy.start("serve", "--port", "0", "--json", *options)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate(timeout=SAFETY)[1].decode())
        self.url: str = json.loads(line)["url"]
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def client(self, key: str, **options: Any) -> openai.OpenAI:
        """Return a client as a program has it."""
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=SAFETY, **options)

    def connect(self) -> socket.socket:
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=SAFETY)

    def send(self, data: bytes) -> bytes:
        """Send raw bytes, and return all that comes until the connection is closed."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def request(
        self, method: str, path: str, key: str | None = None, body: bytes = b"", *headers: tuple[str, str]
    ) -> tuple[int, str, bytes]:
        """Send one request; return the status, the head and the body."""
        own = (
            [] if any(name.lower() == "host" for name, _ in headers) else [("Host", f"127.0.0.1:{self.port}")]
        )
        given = [*own, *headers, ("Connection", "close")]
        given += [("Authorization", f"Bearer {key}")] if key else []
        given += [("Content-Length", str(len(body)))] if body else []
        head = "".join(f"{name}: {value}\r\n" for name, value in given)
        raw = self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        said, _, rest = raw.partition(b"\r\n\r\n")
        return int(said.split()[1]), said.decode("latin-1"), rest

    def ask(self, key: str | None, *headers: tuple[str, str], **body: Any) -> tuple[int, str, bytes]:
        """Send one chat request as raw bytes."""
        data = json.dumps({"model": "test", **ASK, **body}).encode()
        return self.request("POST", "/v1/chat/completions", key, data, *headers)

    def usage(self, by: str = "key") -> dict[str, dict[str, Any]]:
        """Return the usage on record, by its key."""
        rows = self.missy("serve", "usage", "--by", by, "--json").json()["rows"]
        return {row["key"]: row for row in rows}

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and return the exit code and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            _, err = self.process.communicate(timeout=SAFETY)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, err.decode()


def read_all(sock: socket.socket) -> bytes:
    """Read until the other side closes."""
    seen = b""
    try:
        while data := sock.recv(65536):
            seen += data
    except ConnectionResetError:
        pass
    return seen


def make_config(missy: Command, url: str, entry: dict[str, Any] | None = None, **serve: Any) -> None:
    """Write a configuration that serves one entry, called `test`, and has an alias for it, `fast`."""
    own = {
        "name": "openai", "model": "m", "base_url": url, "api_key": ENTRY_KEY, "max_retries": 0, "timeout": 20,
        **(entry or {}),
    }  # fmt: skip
    missy.config(
        {"providers": {"test": own}, "serve": {"entries": ["test"], "aliases": {"fast": "test/m2"}, **serve}}
    )


@pytest.fixture
def gateways(missy: Command) -> Iterator[Callable[..., Gateway]]:
    """Start gateways for a configuration that is there."""
    started: list[Gateway] = []

    def start(*options: str) -> Gateway:
        started.append(Gateway(missy, *options))
        return started[-1]

    yield start
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.process.kill()
        gateway.process.communicate(timeout=SAFETY)


@pytest.fixture
def start(
    missy: Command, serve: Callable[..., Origin], gateways: Callable[..., Gateway]
) -> Callable[..., tuple[Gateway, Origin]]:
    """Start a gateway in front of an origin with this script: `start(reply, ..., entry={...}, serve key=...)`."""

    def begin(*script: Any, entry: dict[str, Any] | None = None, **section: Any) -> tuple[Gateway, Origin]:
        origin = serve(*(script or (answer,)))
        make_config(missy, origin.url, entry, **section)
        return gateways(), origin

    return begin


@pytest.fixture
def make_key(missy: Command) -> Callable[..., str]:
    """Create a key: `make_key("editor", "--budget", "5/month")`."""

    def make(name: str = "editor", *options: str) -> str:
        result = missy("keys", "create", name, *options)
        assert result.code == 0, result.err
        return result.text.strip()

    return make
