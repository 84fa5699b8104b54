"""Replies as endpoints send them, byte for byte, and the command or the library that reads them.

`tests/cases/NAME/*.bin` are whole HTTP responses. `read_case` reads one, `http` writes one, and `Asker` serves replies
on loopback and asks for them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import missy as library
from missy.auth.login import Login, store
from missy.secrets.redact import Secret
from tests.command import Command, Result
from tests.servers import Gate, Origin, Request, Wire

FOLDER = Path(__file__).parent
STREAM = "text/event-stream"


def read_case(name: str) -> list[bytes]:
    """Return the replies of a case, in the order of their names."""
    return [path.read_bytes() for path in sorted((FOLDER / name).glob("*.bin"))]


def http(body: bytes | str, kind: str | None = STREAM, *headers: str, status: int = 200) -> bytes:
    """Write a response that ends with its connection; `headers` are whole lines."""
    lines = [f"HTTP/1.1 {status} OK", *([f"Content-Type: {kind}"] if kind else []), *headers]
    data = body.encode() if isinstance(body, str) else body
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + data


def data(*events: Any) -> str:
    """Write events of an event stream: a string is the data itself, anything else is written as JSON."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {text}\n\n" for text in texts)


def chat(*choices: dict[str, Any] | str, end: str = "data: [DONE]\n\n") -> bytes:
    """Write a chat stream of these choices (a string is a delta of content), ended by `end`."""
    made = [{"delta": {"content": c}} if isinstance(c, str) else c for c in choices]
    return http(data(*({"choices": [{"index": 0, **choice}]} for choice in made)) + end)


def whole(**choice: Any) -> bytes:
    """Write a whole chat completion with this choice."""
    return http(json.dumps({"choices": [{"index": 0, **choice}]}), "application/json")


class Asker:
    """Asks for raw replies, by the command or by the library."""

    def __init__(self, missy: Command, serve: Callable[..., Origin]) -> None:
        self.missy = missy
        self._serve = serve
        self.origin: Origin

    def serve(self, *pieces: bytes | Gate, reset: bool = False, codex: bool = False, **entry: Any) -> None:
        """Serve these pieces as the reply to each request, then close the connection, or reset it."""

        def reply(_request: Request, wire: Wire) -> None:
            for piece in pieces:
                if isinstance(piece, Gate):
                    piece.pass_through()
                else:
                    wire.send(piece)
            if reset:
                wire.reset()

        self.origin = self._serve(reply)
        if not codex:
            self.missy.entry(self.origin.url, "m", **entry)
            return
        issuer = self.origin.url.removesuffix("/v1")
        fields = {"name": "openai-codex", "base_url": self.origin.url, "issuer": issuer, "model": "m"}
        self.missy.config({"providers": {"c": {**fields, "max_retries": 0, "timeout": 20, **entry}}})
        path = self.missy.home / "secrets" / "openai-oauth.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        store(
            path,
            Login(issuer, Secret("at"), Secret("rt"), "acc-1", "a@b.example", "plus", False, time.time()),
        )

    def __call__(self, *pieces: bytes | Gate, args: tuple[str, ...] = (), **how: Any) -> Result:
        """Serve a reply and ask for it with the command's own main."""
        self.serve(*pieces, **how)
        return self.missy.inside("ask", "hi", *args)

    def json(self, *pieces: bytes | Gate, **how: Any) -> tuple[int, dict[str, Any]]:
        """Serve a reply and ask for it with `--json`; return the exit code and the object."""
        done = self(*pieces, args=("--json",), **how)
        return done.code, done.json()

    def events(self, *pieces: bytes | Gate, wishes: Any = None, **how: Any) -> list[Any]:
        """Serve a reply and ask for it with the library; return its events, the error last where there is one."""
        self.serve(*pieces, **how)
        return self.ask("hi", **(wishes or {}))

    def ask(self, prompt: Any, **wishes: Any) -> list[Any]:
        """Ask what is served by now, with the library."""
        came: list[Any] = []
        with library.Missy.open() as assistant:
            try:
                came.extend(assistant.ask(prompt, **wishes))
            except library.MissyError as error:
                came.append(error)
        return came


@pytest.fixture
def asker(missy: Command, serve: Callable[..., Origin]) -> Asker:
    """Somebody who asks for raw replies."""
    return Asker(missy, serve)
