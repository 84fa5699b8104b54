"""`missy mcp add`: the entry that its options mean, for the configuration file."""

from __future__ import annotations

import os
from typing import Any

from missy.errors import UsageError


def make_entry(url: str | None, words: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a server as the file has it. Raises UsageError."""
    if (url is None) == (not words):
        raise UsageError(
            "name a program or an endpoint, one of them",
            hint="missy mcp add NAME -- PROGRAM [ARGUMENT]..., or missy mcp add NAME --url URL",
        )
    entry: dict[str, Any] = {"url": url} if url is not None else {"command": list(words)}
    if options["key"]:
        entry["key"] = options["key"]
    if options["workspace"] != "none":
        entry["workspace"] = options["workspace"]
    if options["network"]:
        entry["network"] = "tool"
    for name in ("read", "write"):
        if options[name]:
            entry[name] = [os.path.abspath(os.path.expanduser(path)) for path in options[name]]
    if options["env"]:
        entry["env"] = dict(_variable(text) for text in options["env"])
    if options["tools"]:
        entry["tools"] = [name.strip() for name in options["tools"].split(",") if name.strip()]
    return entry


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UsageError(
            f"--env needs NAME=VALUE, and {name!r} has no value", hint="--env TOKEN=vault://NAME"
        )
    return name, value
