"""The price of a model at an endpoint: found in the table once, and then remembered in a note.

Loading the table takes longer than a short answer, so what it said is kept by host, path and model, for one version of it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from missy import files
from missy.cost import table
from missy.cost.price import Price

if TYPE_CHECKING:
    from pathlib import Path

NOTE_FILE = "prices.json"  # under MISSY_HOME
_MAX_REMEMBERED = 500


class PriceList:
    """The prices of one MISSY_HOME. If its note is lost, the table is loaded once more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def find(self, host: str, path: str, model: str) -> Price | None:
        """Return the price of a model at an endpoint; None if it is not known."""
        key, note = _key(host, path, model), self._remembered()
        if key in note:
            try:
                return None if note[key] is None else Price.from_json(note[key])
            except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
                pass  # no price: not ours
        found = table.look_up(host, path, model)
        with self._lock:
            kept = dict(list(self._read().items())[-_MAX_REMEMBERED:])
            kept[key] = None if found is None else found.as_json()
            self._note = kept
            files.write_note(self._path, {"made_by": self.source, "prices": kept})
        return found

    @property
    def source(self) -> str:
        """What the prices are from."""
        return f"genai-prices {table.version()}"

    def _remembered(self) -> dict[str, Any]:
        if self._note is None:
            self._note = self._read()
        return self._note

    def _read(self) -> dict[str, Any]:
        note = files.read_note(self._path)
        prices = note.get("prices")
        return prices if note.get("made_by") == self.source and isinstance(prices, dict) else {}


def _key(host: str, path: str, model: str) -> str:
    return f"{host}{path} {model}"
