"""One tool as its server defines it: its hash, and what of it the model is shown. Pure.

The hash covers all that the server said of the tool. Text for the model is cleaned and bounded; annotations are the
server's claim, shown to the person and never used.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.events import Tool
from missy.structured.effort import count_places

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DESCRIPTION_BYTES = 2 << 10
MAX_SCHEMA_BYTES = 8 << 10
MAX_DEFINITION_BYTES = 64 << 10  # all that a server may say of one tool
MAX_SCHEMA_DEPTH = 20
MAX_TOOLS = 256  # of one server
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_NAME_CHARS = 64
# What a person does not see: controls, marks of direction, tags, and other characters without a shape.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


class Definition(NamedTuple):
    """A tool of a server: what the server said, as plain data."""

    server: str
    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """The server's name of the tool."""
        return str(self.raw.get("name", ""))

    @property
    def offered_name(self) -> str:
        """The model's name of the tool."""
        return f"{self.server}__{self.name}".replace(".", "_")

    @property
    def hash(self) -> str:
        """The SHA-256 of the whole definition. The order of members does not count."""
        return hash_of(self.raw)

    @property
    def description(self) -> str:
        """The description for the model."""
        return cut(clean(str(self.raw.get("description") or "")), MAX_DESCRIPTION_BYTES)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the arguments, cleaned like the description."""
        schema = self.raw.get("inputSchema")
        cleaned = _cleaned(schema) if isinstance(schema, dict) else {}
        return cleaned if isinstance(cleaned, dict) else {}

    def tool(self) -> Tool:
        """Return it as the model is told of it."""
        return Tool(self.offered_name, self.description, self.schema)

    def problem(self) -> str:
        """Return why it cannot be offered at all, "" if it can."""
        if not _NAME.fullmatch(self.name):
            return "its name has other characters than letters, digits and _ . -, or more than 64"
        if len(self.offered_name) > _MAX_NAME_CHARS:
            return f"its name together with the server's has more than {_MAX_NAME_CHARS} characters"
        if _size(self.raw) > MAX_DEFINITION_BYTES:
            return f"its definition is larger than {MAX_DEFINITION_BYTES >> 10} KiB"
        if count_places(self.raw, MAX_SCHEMA_DEPTH + 1) is None:
            return f"its schema is nested more than {MAX_SCHEMA_DEPTH} levels deep"
        if _size(self.schema) > MAX_SCHEMA_BYTES:
            return f"its schema is larger than {MAX_SCHEMA_BYTES >> 10} KiB"
        outside = next(
            (one for one in _references(self.raw.get("inputSchema")) if not one.startswith("#")), ""
        )
        return f"its schema refers to {outside[:80]}, outside of itself" if outside else ""


def problems(tools: Sequence[Definition]) -> dict[str, str]:
    """Return why tools of one server cannot be offered, by name. A name that is there twice is refused twice."""
    names = [one.offered_name for one in tools]
    found = {one.name: one.problem() for one in tools}
    found |= {one.name: "two tools have this name" for one in tools if names.count(one.offered_name) > 1}
    return {name: why for name, why in found.items() if why}


def hash_of(value: Any) -> str:
    """Return the SHA-256 of plain data, whatever the order of its members."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def clean(text: str) -> str:
    """Return a text without what a person does not see."""
    return _UNSEEN.sub("", text)


def cut(text: str, most: int) -> str:
    """Return at most so many bytes of a text, with a mark where something is left out."""
    data = text.encode("utf-8", "replace")
    mark = " [...]"
    return text if len(data) <= most else data[: most - len(mark)].decode(errors="ignore") + mark


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=True))


def _cleaned(value: Any, level: int = 0) -> Any:
    if level > MAX_SCHEMA_DEPTH:
        return None  # refused for its depth, see `problem`
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(name)): _cleaned(item, level + 1) for name, item in value.items()}
    return [_cleaned(item, level + 1) for item in value] if isinstance(value, list) else value


def _references(value: Any, level: int = 0) -> list[str]:
    if level > MAX_SCHEMA_DEPTH:
        return []
    found: list[str] = []
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if name in ("$ref", "$dynamicRef", "$recursiveRef", "$schema") and isinstance(inner, str):
            found += [inner] if name != "$schema" else []
        else:
            found += _references(inner, level + 1)
    return found
