"""Checks of the arguments of a built-in tool: few shapes, by hand. Pure. Each error names the field, for the model."""

from __future__ import annotations

from typing import Any

from missy.toolbox.base import ToolFailed


class Arguments:
    """The arguments of one call. Every field is taken once; `end` refuses what nobody asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._left = {name: value for name, value in values.items() if value is not None}

    def text(self, name: str, default: str | None = None) -> str:
        """Take a text. Without a default it is required."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise ToolFailed(f"{name} must be a string")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Take a whole number within bounds."""
        value = self._take(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ToolFailed(f"{name} must be a whole number")
        if not least <= value <= most:
            raise ToolFailed(f"{name} must be between {least} and {most}")
        return value

    def flag(self, name: str) -> bool:
        """Take true or false; false without one."""
        value = self._take(name, False)
        if not isinstance(value, bool):
            raise ToolFailed(f"{name} must be true or false")
        return value

    def words(self, name: str, most: int) -> tuple[str, ...]:
        """Take a list of at least one text."""
        value = self._take(name, None)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise ToolFailed(f'{name} must be a list of strings, one for each word: ["git", "status"]')
        if len(value) > most:
            raise ToolFailed(f"{name} must have at most {most} items")
        return tuple(value)

    def end(self) -> None:
        """Refuse arguments that are left over: the model meant something that would not happen."""
        if self._left:
            raise ToolFailed(f"there is no argument {', '.join(sorted(self._left))[:200]}")

    def _take(self, name: str, default: Any) -> Any:
        value = self._left.pop(name, default)
        if value is None:
            raise ToolFailed(f"{name} is missing")
        return value
