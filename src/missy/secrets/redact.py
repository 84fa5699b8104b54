"""Secrets that nobody prints, and masking for text that might hold one.

It must never write a secret anywhere: every way to turn a Secret into text but `reveal()` gives the mask.
"""

from __future__ import annotations

from typing import NoReturn

MASK = "***"
_held: set[str] = set()
_SHORTEST = 6  # masking shorter ones would garble ordinary words and protect nothing


class Secret:
    """A credential. Only `reveal()` gives it; it has no other text, cannot be pickled or copied into JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= _SHORTEST:
            _held.add(value)

    def reveal(self) -> str:
        """Return the secret itself, for the one header or body that it belongs in."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def redact(text: str) -> str:
    """Mask every secret that this process has held so far, longest first."""
    for value in sorted(_held, key=len, reverse=True):
        if value in text:
            text = text.replace(value, MASK)
    return text
