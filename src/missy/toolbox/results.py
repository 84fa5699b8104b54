"""Long results: the model gets the beginning and the end, the whole is kept in a file of Missy's for a later `read`."""

from __future__ import annotations

import os

from missy import files, paths
from missy.errors import MissyError
from missy.toolbox.base import ToolFailed

MAX_KEPT_BYTES = 8 << 20  # of one result
MAX_KEPT = 64  # results of one run
_PREFIX = "result:"


class ResultStore:
    """The long results of one run: `result:1`, `result:2`. They are handles, not paths, and end with the run."""

    def __init__(self, run: str) -> None:
        self._folder = paths.home() / "tools" / "results" / run
        self._count = 0

    def shorten(self, text: str, limit: int) -> str:
        """Return at most `limit` bytes of a result: three quarters from its beginning, the rest from its end."""
        data = text.encode("utf-8", "replace")
        if len(data) <= limit:
            return text
        head = data[: limit * 3 // 4].decode(errors="ignore")
        tail = data[-(limit // 4) :].decode(errors="ignore")
        left = len(data) - len(head.encode()) - len(tail.encode())
        saved = self._save(data)
        return f"{head}\n[... {left:,} bytes left out{saved} ...]\n{tail}"

    def _save(self, data: bytes) -> str:
        if self._count >= MAX_KEPT:
            return ""
        self._count += 1
        name = f"{_PREFIX}{self._count}"
        try:
            files.write_private(self._folder / str(self._count), data[:MAX_KEPT_BYTES])
        except MissyError:
            return ""
        return f'; saved: read it on with read("{name}", from, lines)'

    def load(self, handle: str) -> str:
        """Return a result that was saved. Raises ToolFailed."""
        number = handle.removeprefix(_PREFIX)
        if number not in map(str, range(1, self._count + 1)):
            raise ToolFailed(f"there is no {handle[:64]}")
        try:
            return files.read_private(self._folder / number, MAX_KEPT_BYTES).decode(errors="replace")
        except MissyError:
            raise ToolFailed(f"{handle} is gone") from None

    def close(self) -> None:
        """Delete what was saved."""
        for number in range(1, self._count + 1):
            try:
                os.unlink(self._folder / str(number))
            except OSError:
                continue
        if self._count:
            try:
                os.rmdir(self._folder)
            except OSError:
                return
