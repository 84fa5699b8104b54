"""Parameters that endpoints refuse, remembered between runs. Only a cache: if it is lost, one request fails once more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy import files

if TYPE_CHECKING:
    from pathlib import Path

MAX_AGE_SECONDS = 14 * 86400  # seconds after which the parameters are tried again
MAX_ENDPOINTS = 200  # endpoints


class LearnedQuirks:
    """Parameters to omit, by endpoint and model."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, object]] | None = None

    def refused(self, base_url: str, model: str | None) -> frozenset[str]:
        """Return the parameters that this endpoint is known to refuse for this model."""
        note = self._load().get(f"{base_url} {model}")
        if not isinstance(note, dict) or not isinstance(note.get("at"), (int, float)):
            return frozenset()
        names = note.get("refuses")
        fresh = 0 <= time.time() - float(str(note["at"])) < MAX_AGE_SECONDS
        return frozenset(str(name) for name in names) if fresh and isinstance(names, list) else frozenset()

    def learn(self, base_url: str, model: str | None, names: frozenset[str]) -> None:
        """Record what an endpoint refuses. A failure to write the file is ignored."""
        self._known = None  # another entry or process may have changed the file meanwhile
        known = dict(list(self._load().items())[-MAX_ENDPOINTS:])
        known[f"{base_url} {model}"] = {"refuses": sorted(names), "at": int(time.time())}
        self._known = known
        files.write_note(self._path, known)

    def _load(self) -> dict[str, dict[str, object]]:
        if self._known is None:
            self._known = files.read_note(self._path)
        return self._known
