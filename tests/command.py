"""The real command as a real process: what tests of the command line run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SAFETY = 60.0  # seconds; only a broken test ever waits so long
COMMAND = (sys.executable, "-m", "missy")
HEADS = "request-heads.json"


@dataclass(frozen=True)
class Result:
    """How a run ended: exit code, stdout as bytes, stderr as text."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Stdout as text."""
        return self.out.decode()

    def json(self) -> Any:
        """Stdout as one JSON value."""
        return json.loads(self.out)

    def events(self) -> list[Any]:
        """Stdout as one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Command:
    """Runs `missy` with a home of its own; `trace` is the file in which the guard notes every attempt to connect.

    The home begins with the heads that earlier commands of this process kept, as a person's has them after the first
    day: loading the `openai` package takes most of the time of a short command.
    """

    heads = b""

    def __init__(self, home: Path, trace: Path) -> None:
        self.home = home
        self.trace = trace

    def env(self, **extra: str | None) -> dict[str, str]:
        """Return the environment of a run: this process's, the guard, and `extra` (None takes a name out)."""
        merged = {**os.environ, "MISSY_TEST_TRACE": str(self.trace), **extra}
        return {name: value for name, value in merged.items() if value is not None}

    def config(self, value: str | dict[str, Any]) -> Path:
        """Write config.yaml, from text or from a value (JSON is YAML)."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        self._give_heads()
        path = self.home / "config.yaml"
        path.touch(mode=0o600)
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1), encoding="utf-8")
        return path

    def entry(self, url: str, name: str = "test", **fields: Any) -> Path:
        """Write a config with one entry of kind `openai` at `url`; `network` goes to the section of that name."""
        network = fields.pop("network", {})
        entry = {"name": "openai", "model": "m", "base_url": url, "max_retries": 0, "timeout": 20, **fields}
        return self.config({"providers": {name: entry}, "network": network})

    def __call__(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: dict[str, str | None] | None = None,
        timeout: float = SAFETY,
        **popen: Any,
    ) -> Result:
        """Run the command to its end. Without `stdin` it has none (/dev/null)."""
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            [*COMMAND, *args],
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "cwd": self.home.parent,
                **given,
                **popen,
            },
            env=self.env(**(env or {})),
            timeout=timeout,
            check=False,
        )
        self._keep_heads()
        return Result(done.returncode, done.stdout or b"", (done.stderr or b"").decode(errors="replace"))

    def _give_heads(self) -> None:
        path = self.home / HEADS
        if self.heads and not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(self.heads)

    def _keep_heads(self) -> None:
        with contextlib.suppress(OSError):
            found = (self.home / HEADS).read_bytes()
            if len(found) > len(self.heads):
                Command.heads = found

    def start(
        self, *args: str, env: dict[str, str | None] | None = None, **popen: Any
    ) -> subprocess.Popen[bytes]:
        """Start the command with pipes; the caller ends it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*COMMAND, *args], **{**pipes, "cwd": self.home.parent, **popen}, env=self.env(**(env or {}))
        )

    def inside(self, *args: str, stdin: bytes = b"") -> Result:
        """Run the command's own main in this process: for tables of many cases over a real socket."""
        from missy.cli.main import run

        handlers = [
            (number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        ]
        streams = sys.stdin, sys.stdout, sys.stderr
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            sys.stdin = io.TextIOWrapper(given, encoding="utf-8")
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(out, encoding="utf-8"),
                io.TextIOWrapper(err, encoding="utf-8"),
            )
            try:
                code = run(args)
                sys.stdout.flush()
                sys.stderr.flush()
                out.seek(0)
                err.seek(0)
                return Result(code, out.read(), err.read().decode())
            finally:
                sys.stdin, sys.stdout, sys.stderr = streams
                for number, handler in handlers:
                    signal.signal(number, handler)

    def attempts(self) -> list[str]:
        """Return what the guard saw so far: every lookup and connection of every child, allowed or not."""
        return self.trace.read_text().splitlines() if self.trace.exists() else []


def read_until(stream: IO[bytes], wanted: bytes) -> bytes:
    """Read from a pipe, as bytes arrive, until `wanted` is in what came or the pipe ends."""
    seen = b""
    while wanted not in seen:
        data = os.read(stream.fileno(), 65536)
        if not data:
            break
        seen += data
    return seen
