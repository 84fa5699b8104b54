"""A keyring for tests: a real backend of the `keyring` package that keeps its passwords in a JSON file.

Chosen with PYTHON_KEYRING_BACKEND=tests.secrets.ring.FileRing; RING names the file, RING_FAULT makes it fail.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class FileRing(KeyringBackend):
    """Keeps passwords; locked, forgetful or broken on demand."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        if os.environ.get("RING_FAULT") == "locked":
            raise KeyringLocked("the password is hunter2")
        return self._load().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        fault = os.environ.get("RING_FAULT")
        if fault == "locked":
            raise KeyringLocked("the password is hunter2")
        if fault != "forgetful":
            self._save({**self._load(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._load()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not found")
        self._save(kept)

    def _load(self) -> dict[str, str]:
        file = Path(os.environ["RING"])
        return json.loads(file.read_text()) if file.exists() else {}

    def _save(self, kept: dict[str, str]) -> None:
        Path(os.environ["RING"]).write_text(json.dumps(kept))
