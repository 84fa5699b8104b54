"""The short form of a schema: `name str, age int, tags: what for`. Pure."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from missy.errors import UsageError

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
MAX_FIELDS = 500
_NAME = re.compile(r"[^\W\d][\w-]{0,63}")
_EXAMPLE = "write fields: --schema 'name str, age int, tags: what for'"


def read_short_form(text: str) -> dict[str, Any]:
    """Return the schema of an object with these fields, each of them required. Raises UsageError.

    Fields are separated by commas, or by newlines if there are any: then a description may contain commas.
    """
    parts = text.split("\n" if "\n" in text.strip() else ",")
    fields = [part.strip() for part in parts if part.strip()]
    if not fields:
        raise UsageError("the schema is empty", hint=_EXAMPLE)
    if len(fields) > MAX_FIELDS:
        raise UsageError(f"the schema has more than {MAX_FIELDS} fields", hint="write it as a file")
    properties: dict[str, Any] = {}
    for field in fields:
        name, described = _read_field(field)
        if name in properties:
            raise UsageError(f"the schema has the field {name} twice", hint="name each field once")
        properties[name] = described
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _read_field(field: str) -> tuple[str, dict[str, str]]:
    head, colon, description = field.partition(":")
    words = head.split()
    if not words or len(words) > 2 or not _NAME.fullmatch(words[0]):
        raise UsageError(
            f"the schema is neither a file, nor JSON, nor fields: {field[:60]!r} is no field", hint=_EXAMPLE
        )
    kind = words[1] if len(words) == 2 else "str"
    if kind not in TYPES:
        near = get_close_matches(kind.lower()[:20], list(TYPES), n=1)
        raise UsageError(
            f"the field {words[0]} has the type {kind[:40]!r}, which there is not",
            hint=f"did you mean {near[0]}?" if near else f"the types are {', '.join(TYPES)}",
        )
    described = {"type": TYPES[kind]}
    if colon and description.strip():
        described["description"] = description.strip()
    return words[0], described
