"""Where each value of the file stands, so that errors can name file, line and key. It knows no YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import ConfigError
from missy.masking import MASK, may_be_secret

if TYPE_CHECKING:
    from pathlib import Path

At = tuple[str | int, ...]  # the keys and indices that lead to a value; () is the whole file


class Places:
    """The lines (from 1) of the values of one file."""

    __slots__ = ("file", "lines")

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[At, int] = {}

    def line(self, at: At) -> int:
        """Return the line of a value, or of the nearest value around it that has one."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def error(self, what: str, at: At = (), *, hint: str = "", line: int | None = None) -> ConfigError:
        """Return the error that says `what` about the value at `at`."""
        line = line or self.line(at)
        key = dotted(at)
        message = f"{self.file}:{line}: {key}: {what}" if key else f"{self.file}:{line}: {what}"
        hint = hint or "correct that line, then run: missy config validate"
        return ConfigError(message, hint=hint, file=str(self.file), line=line, key=key or None)


def dotted(at: At) -> str:
    """Return a place as it is written in messages: `providers.groq.api_keys[0]`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{_plain(part)}"
    return text.removeprefix(".")


def _plain(key: str) -> str:
    key = MASK if may_be_secret(key) else key
    shown = key if key and key.isprintable() else ascii(key)
    return shown if len(shown) <= 64 else shown[:64] + "..."
