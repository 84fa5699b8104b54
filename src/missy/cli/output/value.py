"""A checked value as JSON text: for stdout of `ask --schema`."""

from __future__ import annotations

import json
import re
from typing import Any

from missy.structured.schema import unfenced


def format_value(text: str, *, indented: bool) -> str:
    """Return the value of a checked answer on one compact line, or indented.

    What is not printable (controls, marks of direction, lone halves of characters) is written as an escape: the value
    is the same, and nothing of it reaches a terminal.
    """
    value: Any = json.loads(unfenced(text))
    how: dict[str, Any] = {"indent": 2} if indented else {"separators": (",", ":")}
    dumped = json.dumps(value, ensure_ascii=False, **how)
    return dumped if dumped.isprintable() else re.sub(r"[^\x20-\x7e\n]", _escaped, dumped)


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]
