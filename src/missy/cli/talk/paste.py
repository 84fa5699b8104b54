"""Pasted text, as it is shown and sent: what cannot be shown is written out or left out, and told.

The result is what the input line holds, so what is shown is what is sent.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from missy.cli.output.sanitize import sanitize
from missy.plural import counted


class Pasted(NamedTuple):
    """Pasted text after cleaning; `escaped` control characters were written out, `removed` invisible ones left out."""

    text: str
    escaped: int = 0
    removed: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed, in words."""
        found = []
        if self.escaped:
            found.append(f"pasted: {counted(self.escaped, 'control character')} written out, as \\x1b is")
        if self.removed:
            found.append(f"pasted: {counted(self.removed, 'invisible character')} left out")
        return tuple(found)


def clean(text: str) -> Pasted:
    """Return pasted text as it can be shown. Terminals send a line end as CR, whatever the text had."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    shown = sanitize(text)
    if shown == text:
        return Pasted(text)
    escaped = removed = 0
    for char, count in Counter(text).items():
        new = sanitize(char)
        if not new:
            removed += count
        elif new != char:
            escaped += count
    return Pasted(shown, escaped, removed)
