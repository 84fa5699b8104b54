"""What this run has read and written: which files are its own, and whether one was changed in between by somebody else."""

from __future__ import annotations

import hashlib


def digest(data: bytes) -> bytes:
    """Return the hash by which a content is known again."""
    return hashlib.sha256(data).digest()


class Written:
    """The contents of files as this run knows them, by their path in the workspace."""

    def __init__(self) -> None:
        self._seen: dict[str, bytes] = {}
        self._own: dict[str, bytes] = {}

    def note_read(self, path: str, data: bytes) -> None:
        """Remember what was read."""
        self._seen[path] = digest(data)

    def note_write(self, path: str, data: bytes) -> None:
        """Remember what this run wrote."""
        self._seen[path] = self._own[path] = digest(data)

    def is_own(self, path: str, data: bytes) -> bool:
        """Tell whether the content is exactly what this run wrote there: text that the person has seen and allowed."""
        return self._own.get(path) == digest(data)

    def changed(self, path: str, data: bytes) -> bool:
        """Tell whether the file has another content than this run has read or written."""
        return path in self._seen and self._seen[path] != digest(data)
