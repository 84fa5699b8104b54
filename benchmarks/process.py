"""One process measured from outside: CPU time and memory as the kernel counts them, and the mock's view of its request.

This module stays light: a child begins its life in our memory, and the kernel counts that into the child's peak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


class Failed(Exception):
    """A measured command did not end well."""


class Mock:
    """The mock endpoint, for as long as the context lasts."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "mock.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def url(self, chunks: int) -> str:
        """Return the base URL whose answers have so many chunks."""
        return f"http://127.0.0.1:{self.port}/{chunks}/v1"

    def watch(self, pid: int) -> None:
        """Measure this process when its request comes; 0 for none."""
        self._order(f"watch {pid}")

    def seen(self) -> dict[str, float] | None:
        """Return what was seen of the last request since `watch`."""
        self._order("seen")
        return json.loads(self._process.stdout.readline())

    def _order(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def run(argv: list[str], env: dict[str, str], mock: Mock | None = None) -> tuple[dict[str, float], bytes]:
    """Run a command to its end. Return its figures, in ms and MiB, and its output. Raises Failed."""
    began = time.monotonic()
    child = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if mock:
        mock.watch(child.pid)
    with child.stdout:
        output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failed(
            f"{' '.join(argv)} ended with {child.returncode}: {output.decode(errors='replace')[-2000:]}"
        )
    figures = {
        "cpu": (usage.ru_utime + usage.ru_stime) * 1000,
        "wall": wall * 1000,
        "peak": usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
    }
    seen = mock.seen() if mock else None
    if seen:
        figures |= {"sent_wall": (seen["at"] - began) * 1000, "body": seen["bytes"]}
        if "cpu" in seen:
            figures["sent_cpu"] = seen["cpu"] * 1000
    return figures, output
