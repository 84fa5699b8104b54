"""A ChatGPT plan's list of models: cached for a few minutes, then revalidated with its ETag (RFC 9110, 13.1.2)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from missy import files
from missy.charset import is_field_value
from missy.errors import BadReply, ProviderError
from missy.net.door import parse_json
from missy.net.limits import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from missy.net.limits import Clock
    from missy.providers.endpoint import Endpoint
    from missy.secrets.resolve import Credential

MAX_AGE_SECONDS = 300.0  # seconds


class Model:
    """One model of the list. `listed`: it is offered to users; a hidden one may work too."""

    __slots__ = ("listed", "name", "priority")

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.name: str = str(item.get("slug") or item.get("id") or "")
        self.listed: Any | bool = item.get("visibility", "list") == "list" and bool(self.name)
        priority = item.get("priority")
        self.priority: int = priority if isinstance(priority, int) else 1 << 30


class Catalogue:
    """The cached lists of one MISSY_HOME, by entry and account. A failure to write the cache is ignored.

    `query` is added to the request; `by_priority`: the models are put into the order of their `priority`.
    """

    def __init__(self, path: Path, *, query: str = "", by_priority: bool = False) -> None:
        self._path = path
        self._query = query
        self._by_priority = by_priority

    def models(
        self,
        endpoint: Endpoint,
        credential: Credential,
        headers: Mapping[str, str],
        clock: Clock,
        entry: str,
        *,
        account: str,
    ) -> list[Model]:
        """Return the models, best first. Raises MissyError."""
        key = f"{entry} {account}"
        known = self._load()
        note = known.get(key, {})
        if note and 0 <= time.time() - _number(note.get("at")) < MAX_AGE_SECONDS:
            return self._sorted(note.get("models"))
        asked = dict(headers) | ({"If-None-Match": str(note["etag"])} if note.get("etag") else {})
        path = f"/models{self._query}"
        try:
            response, body = endpoint.fetch(
                path, credential=credential, clock=clock, headers=asked, limit=MAX_BODY
            )
            etag = response.headers.get("etag")
        except ProviderError as error:
            if error.status != 304 or not note:
                raise
            self._store(known | {key: note | {"at": time.time()}})
            return self._sorted(note.get("models"))
        value = parse_json(body)
        items = value.get("models") if isinstance(value, dict) else None
        if not isinstance(items, list):
            raise BadReply("the reply is not a list of models", hint="try again later")
        kept = [
            {name: item.get(name) for name in ("slug", "id", "visibility", "priority") if name in item}
            for item in items
            if isinstance(item, dict)
        ]
        self._store(known | {key: {"at": time.time(), "etag": etag, "models": kept, "entry": entry}})
        return self._sorted(kept)

    def cached_default(self, entry: str) -> str | None:
        """Return the default model of the cached list, without a request."""
        return next(iter(self.cached(entry)), None)

    def cached(self, entry: str) -> list[str]:
        """Return the listed names of the cached list, best first, without a request."""
        notes = (note for key, note in self._load().items() if key.startswith(f"{entry} "))
        return [model.name for model in self._sorted(next(notes, {}).get("models")) if model.listed]

    def _sorted(self, items: object) -> list[Model]:
        found = [Model(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        models = [model for model in found if model.name]
        return sorted(models, key=lambda model: model.priority) if self._by_priority else models

    def _load(self) -> dict[str, dict[str, Any]]:
        kept = files.read_note(self._path, 4 << 20)
        return {key: note for key, note in kept.items() if _is_note(note)}

    def _store(self, known: dict[str, dict[str, Any]]) -> None:
        files.write_note(self._path, known)


def _is_note(note: object) -> bool:
    """Tell whether a cache entry is valid: it has a list, and an ETag that can be sent in a header."""
    if not isinstance(note, dict) or not isinstance(note.get("models"), list):
        return False
    etag = note.get("etag")
    return etag is None or (isinstance(etag, str) and is_field_value(etag))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
