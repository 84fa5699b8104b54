"""The line of each value in the file, so that errors can name file, line and key. Independent of YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import ConfigError
from missy.masking import MASK, may_be_secret

if TYPE_CHECKING:
    from pathlib import Path

KeyPath = tuple[str | int, ...]  # the keys and indices from the root to a value; () is the whole file


class SourceMap:
    """The lines (from 1) of the values of one file."""

    __slots__ = ("file", "lines")

    def __init__(self, file: Path) -> None:
        self.file: Path = file
        self.lines: dict[KeyPath, int] = {}

    def line(self, key_path: KeyPath) -> int:
        """Return the line of a value, or of the nearest enclosing value with a known line."""
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return self.lines.get(key_path, 1)

    def error(
        self, what: str, key_path: KeyPath = (), *, hint: str = "", line: int | None = None
    ) -> ConfigError:
        """Return an error about the value at `key_path`."""
        line = line or self.line(key_path)
        key = dotted(key_path)
        message = f"{self.file}:{line}: {key}: {what}" if key else f"{self.file}:{line}: {what}"
        hint = hint or "correct that line, then run: missy config validate"
        return ConfigError(message, hint=hint, file=str(self.file), line=line, key=key or None)


def dotted(key_path: KeyPath) -> str:
    """Return a key path as it is written in messages: `providers.groq.api_keys[0]`."""
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{_plain(part)}"
    return text.removeprefix(".")


def _plain(key: str) -> str:
    key = MASK if may_be_secret(key) else key
    shown = key if key and key.isprintable() else ascii(key)
    return shown if len(shown) <= 64 else shown[:64] + "..."
