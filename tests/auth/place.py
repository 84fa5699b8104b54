"""Where a login is stored, and reading and writing it there: for processes that import nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Where = dict[str, Any]  # what another process needs to know to find the same login and issuer


def place(text: str) -> Where:
    """Read what `json.dumps(person.where)` wrote."""
    where: Where = json.loads(text)
    return where


def read_at(where: Where) -> Any:
    """Return the stored login of a place."""
    path = Path(where["path"])
    if where["kind"] == "codex":
        from missy.auth import login as codex_file

        return codex_file.load(path)
    from missy.auth.siwc import store as siwc_store

    return siwc_store.load(path).current()


def write_at(where: Where, login: Any) -> None:
    """Store a login at a place, without its lock."""
    path = Path(where["path"])
    if where["kind"] == "codex":
        from missy.auth import login as codex_file

        codex_file.store(path, login)
    else:
        from missy.auth.siwc import store as siwc_store

        siwc_store.save(path, siwc_store.load(path).with_account(login))
