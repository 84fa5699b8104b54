"""The last known lists of models, only for shell completion, which must never use the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy import files, paths
from missy.kinds import kind_of

if TYPE_CHECKING:
    from missy.config.schema import Entry

_MAX_NAMES = 2000  # per entry


def save_models(entry: Entry, names: list[str]) -> None:
    """Save the models that an entry's endpoint lists now. It is not an error if they cannot be written."""
    path = _path()
    known = files.read_note(path)
    files.write_note(path, known | {entry.entry: {"endpoint": entry.endpoint, "models": names[:_MAX_NAMES]}})


def known_models(entry: Entry) -> list[str]:
    """Return the models to offer for an entry: its own, and those that its endpoint listed last."""
    note = files.read_note(_path()).get(entry.entry)
    found = note.get("models") if isinstance(note, dict) and note.get("endpoint") == entry.endpoint else None
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    names = names or kind_of(entry).known_models(entry)
    return list(dict.fromkeys([*([entry.model] if entry.model else []), *names]))


def _path() -> str:
    return str(paths.home() / "models" / "lists.json")
