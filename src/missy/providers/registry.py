"""Which class answers for which kind of entry. A table; the module is imported when an entry is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PROVIDERS = {
    "openai": "missy.providers.openai:OpenAIProvider",
    "openai-codex": "missy.providers.codex:CodexProvider",
    "local": "missy.providers.openai:OpenAIProvider",  # the model's server is an endpoint like any other
}


def provider_class(kind: str) -> Any:
    """Return the provider class for a kind of entry. Raises KeyError for a kind that is not in the table."""
    module, _, name = PROVIDERS[kind].partition(":")
    return getattr(import_module(module), name)
