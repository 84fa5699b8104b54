"""Which lines of files a search finds: those with a literal text, or those that a regular expression matches.

A regular expression may take for ever, and nothing in this process could end it: it runs in a process of its own.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Protocol

from missy.toolbox.base import ToolFailed

MAX_FOUND = 200
MAX_LINE_CHARS = 400  # of a line that was found
MAX_REGEX_BYTES = 64 << 20  # of all files that one expression is tried on
REGEX_SECONDS = 5.0
_CHILD = str(Path(__file__).with_name("regex_child.py"))
STOPPED = "... it was stopped: too much to search; name a folder further down"


class Matcher(Protocol):
    """Is given files, and tells the lines that it found in them."""

    def add(self, path: str, data: bytes) -> bool:
        """Take one file. False if no more are wanted."""
        ...

    def lines(self) -> list[str]:
        """Return the lines, one more than MAX_FOUND at most. Raises ToolFailed."""
        ...


class Literal:
    """Finds a literal text."""

    def __init__(self, pattern: str) -> None:
        self._wanted = pattern.encode("utf-8", "replace")
        self._lines: list[str] = []

    def add(self, path: str, data: bytes) -> bool:
        """See Matcher."""
        if self._wanted in data:
            for number, line in enumerate(data.split(b"\n")):
                if self._wanted in line:
                    self._lines.append(_show(path, number, line))
                    if len(self._lines) > MAX_FOUND:
                        return False
        return True

    def lines(self) -> list[str]:
        """See Matcher."""
        return self._lines


class Regex:
    """Finds by a regular expression of Python, line by line."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._files: list[tuple[str, bytes]] = []
        self._left = MAX_REGEX_BYTES
        self._stopped = False

    def add(self, path: str, data: bytes) -> bool:
        """See Matcher."""
        self._left -= len(data)
        self._stopped = self._left < 0
        if not self._stopped:
            self._files.append((path, data))
        return not self._stopped

    def lines(self) -> list[str]:
        """See Matcher."""
        found = []
        for pair in self._run().split(b"\n")[:-1]:
            file, line = map(int, pair.split())
            path, data = self._files[file]
            found.append(_show(path, line, data.split(b"\n")[line]))
        return [*found, STOPPED] if self._stopped else found

    def _run(self) -> bytes:
        import subprocess

        blocks = [
            self._pattern.encode("utf-8", "replace"),
            str(MAX_FOUND + 1).encode(),
            *(data for _, data in self._files),
        ]
        given = b"".join(struct.pack(">I", len(block)) + block for block in blocks)
        try:
            done = subprocess.run(  # noqa: S603 our own program
                [sys.executable, "-I", "-S", _CHILD], input=given, capture_output=True, check=False, timeout=REGEX_SECONDS,
                env={}, cwd="/", start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ToolFailed(
                f"the regular expression took more than {REGEX_SECONDS:g} seconds: use a simpler one, or a smaller folder"
            ) from None
        if done.returncode == 2:
            raise ToolFailed(
                f"pattern is no regular expression: {done.stderr.decode(errors='replace').strip()[:200]}"
            )
        if done.returncode:
            raise ToolFailed(f"the search failed with code {done.returncode}")
        return done.stdout


def one_line(name: str) -> str:
    """Return a name on one line, as JSON can hold it."""
    return name.encode("utf-8", "replace").decode().replace("\n", "\\n").replace("\r", "\\r")


def _show(path: str, number: int, line: bytes) -> str:
    text = line.decode(errors="replace").rstrip("\r")[:MAX_LINE_CHARS]
    return f"{one_line(path)}:{number + 1}: {text}"
