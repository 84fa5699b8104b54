"""Whether a base URL that lists no models only lacks its /v1: asked once, at the same origin, with the same key."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from missy.errors import MissyError

if TYPE_CHECKING:
    from missy.config.schema import Config

_VERSIONED = re.compile(r"/v[0-9]+[a-z0-9]*(/|$)")


class Better(NamedTuple):
    """The base URL that has the list, and the list."""

    url: str
    models: list[str]

    @property
    def advice(self) -> str:
        """Say it in one line."""
        return f"no /models here; {self.url}/models answers: base_url should end in /v1"


def find_v1(config: Config, name: str, timeout: float) -> Better | None:
    """Ask BASE/v1/models where BASE/models was not found. None if that is no better, or BASE names a version."""
    from missy.assistant import Missy

    entry = config.entry(name)
    if entry.endpoint is None or _VERSIONED.search(entry.endpoint):
        return None
    url = f"{entry.endpoint}/v1"
    moved = replace(config, providers={**config.providers, name: replace(entry, base_url=url, max_retries=0)})
    try:
        with Missy(moved, notice=lambda _text: None) as missy:
            models = missy.models(name, timeout=timeout)
    except MissyError:
        return None
    return Better(url, models) if models else None
