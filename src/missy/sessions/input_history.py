"""The lines that were typed in `missy run`, for its Up key: one JSON string per line of a file with mode 0600.

What looks like a key, and every key that this process has used, is masked before it is written. Deleting a conversation
deletes its prompts here too. It must never be needed: a file that cannot be read is an empty history.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from missy import files, paths
from missy.errors import MissyError
from missy.os_errors import faults
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

NAME = "run-history.jsonl"  # under MISSY_HOME
MAX_LINE_CHARS = 50_000  # a longer one, a pasted file perhaps, is not stored
MAX_LINES = 5_000
_MAX_BYTES = 8 << 20  # of the file; when it is larger, the older half of its lines is dropped


class InputHistory:
    """The file of one MISSY_HOME, shared by all processes."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or paths.home() / NAME

    def lines(self) -> list[str]:
        """Return the newest stored lines, oldest first; none if the file is missing, unreadable or not ours."""
        try:
            return self._read()[-MAX_LINES:]
        except MissyError:
            return []

    def _read(self) -> list[str]:
        """Return all stored lines. Raises MissyError."""
        found = map(_decode, files.read_private(self._path, _MAX_BYTES * 2).splitlines())
        return [line for line in found if line is not None]

    def append(self, line: str) -> None:
        """Store a line, unless it begins with a space or is too long. Raises MissyError."""
        if line.startswith(" ") or len(line) > MAX_LINE_CHARS or not line.strip():
            return
        with files.lock(self._path):
            size = self._write(json.dumps(redact(line)).encode() + b"\n")
            if size > _MAX_BYTES:
                lines = self._read()
                self._replace(lines[len(lines) // 2 :])

    def forget(self, texts: Collection[str]) -> None:
        """Remove the lines that are one of these prompts. Raises MissyError."""
        if not os.path.lexists(self._path):
            return
        # A message that begins with a slash is typed with a second one.
        gone = {redact(text).strip() for text in texts} | {f"/{redact(text)}".strip() for text in texts}
        with files.lock(self._path):
            before = self._read()
            kept = [line for line in before if line.strip() not in gone]
            if len(kept) < len(before):
                self._replace(kept)

    def _write(self, data: bytes) -> int:
        """Append to the file; return its size."""
        file = files.open_private(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            with faults("write", self._path):
                os.write(file, data)
                return os.fstat(file).st_size
        finally:
            os.close(file)

    def _replace(self, lines: list[str]) -> None:
        files.write_private(self._path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def _decode(line: bytes) -> str | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None
