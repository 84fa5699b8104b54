"""The lists of models as they were last seen, for completion alone: a Tab must never use the network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy import files, paths
from missy.kinds import kind_of

if TYPE_CHECKING:
    from missy.config.schema import Entry

_MOST = 2000  # names of one entry


def keep(entry: Entry, names: list[str]) -> None:
    """Note what an entry's endpoint has listed just now. A note that cannot be written is no reason to fail."""
    path = _path()
    known = files.read_note(path)
    files.write_note(path, known | {entry.entry: {"endpoint": entry.endpoint, "models": names[:_MOST]}})


def recall(entry: Entry) -> list[str]:
    """Return the models that an entry may be asked for: its own, and what its endpoint listed last."""
    note = files.read_note(_path()).get(entry.entry) if os.path.exists(_path()) else None
    found = note.get("models") if isinstance(note, dict) and note.get("endpoint") == entry.endpoint else None
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    names = names or kind_of(entry).known_models(entry)
    return list(dict.fromkeys([*([entry.model] if entry.model else []), *names]))


def _path() -> str:
    return str(paths.home() / "models" / "lists.json")
