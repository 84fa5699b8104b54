"""The Secret type, which never prints its value, and masking for text that may contain one.

Every conversion of a Secret to text except `reveal()` gives the mask.
"""

from __future__ import annotations

from typing import NoReturn

from missy.masking import MASK
from missy.masking import hold as _hold
from missy.masking import mask as redact

__all__ = ["MASK", "Secret", "redact"]


class Secret:
    """A credential. Only `reveal()` returns the value; `str`, `repr` and `format` are masked, pickling is refused."""

    __slots__ = ("_value",)

    def __init__(self, value: str, *, hold: bool = True) -> None:
        self._value = value
        if hold:
            _hold(value)

    @classmethod
    def mask(cls) -> Secret:
        """Return the placeholder for a secret in a request preview."""
        return cls(MASK, hold=False)

    def reveal(self) -> str:
        """Return the value, to be put into a request header or body."""
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
