"""A prompt made of a row: `{column}` stands for its value, `{{` and `}}` for braces. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A parsed template. `columns` are those that it names. Raises UsageError."""

    def __init__(self, text: str) -> None:
        self._parts: list[tuple[str, str | None]] = []  # a text, and the column that follows it
        at, said = 0, ""
        for found in _PART.finditer(text):
            said += text[at : found.start()]
            at = found.end()
            mark = found[0]
            if mark in ("{{", "}}"):
                said += mark[0]
            elif found[1] is None or not found[1].strip():
                raise UsageError(
                    f"the template has a lone {mark} at character {found.start()}",
                    hint="write {column} for a value, and {{ or }} for a brace",
                )
            else:
                self._parts.append((said, found[1].strip()))
                said = ""
        self._parts.append((said + text[at:], None))
        self.columns: tuple[str, ...] = tuple(column for _, column in self._parts if column is not None)

    def fill(self, row: Mapping[str, Any]) -> str:
        """Return the prompt of a row. Raises KeyError for a column that it has not."""
        return "".join(
            said + ("" if column is None else as_text(row[column])) for said, column in self._parts
        )


def as_text(value: Any) -> str:
    """Return a value of a row as text: a string as it is, nothing for null, else JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
