"""Finds a base URL that only lacks its /v1: one more request to the same origin, with the same key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from missy.errors import MissyError

if TYPE_CHECKING:
    from missy.config.schema import Config

_VERSIONED = re.compile(r"/v[0-9]+[a-z0-9]*(/|$)")


class Better(NamedTuple):
    """The base URL that lists models, and its models."""

    url: str
    models: list[str]

    @property
    def advice(self) -> str:
        """One line that says what to change."""
        return f"no /models here; {self.url}/models answers: base_url should end in /v1"


def find_v1(config: Config, name: str, timeout: float) -> Better | None:
    """Ask BASE/v1/models after BASE/models was not found. Returns None if that fails too, or if BASE has a version."""
    from missy.assistant import Missy

    entry = config.entry(name)
    if entry.endpoint is None or _VERSIONED.search(entry.endpoint):
        return None
    url = f"{entry.endpoint}/v1"
    moved = config._replace(providers={**config.providers, name: entry._replace(base_url=url, max_retries=0)})
    try:
        with Missy(moved, notice=lambda _text: None) as missy:
            models = missy.models(name, timeout=timeout)
    except MissyError:
        return None
    return Better(url, models) if models else None
