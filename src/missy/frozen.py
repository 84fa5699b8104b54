"""Frozen values with named fields: the base of the events and of what goes into a request.

Written by hand, because a dozen dataclasses would take more than 1 % of every start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, ClassVar, NoReturn, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Return a decorator that does nothing: only type checkers read it, and importing `typing` costs time."""
        return lambda cls: cls


set_field = object.__setattr__
# rarely set, and shown in `repr` only if they are
_MARKS = ("attachments", "commentary", "extra", "problem", "refusal", "cache_write_tokens", "cost")


class _Fields:
    """The fields in the form of `dataclasses`, created on use, so that `replace`, `asdict` and `fields` work."""

    def __get__(self, instance: object, owner: type[FrozenValue]) -> dict[str, Field[Any]]:
        import dataclasses
        import inspect

        defaults = {
            name: dataclasses.MISSING if parameter.default is parameter.empty else parameter.default
            for name, parameter in inspect.signature(owner).parameters.items()
        }
        made = [
            (name, owner.__annotations__[name], dataclasses.field(default=defaults[name]))
            for name in owner.__slots__
        ]
        made_class: Any = dataclasses.make_dataclass(owner.__name__, made)
        fields: dict[str, Field[Any]] = made_class.__dataclass_fields__
        return fields


@dataclass_transform(frozen_default=True)
class FrozenValue:
    """A frozen value with named fields, equality and `repr`."""

    __slots__: tuple[str, ...] = ()
    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = _Fields()

    if not TYPE_CHECKING:  # type checkers infer it from the decorator

        def __init_subclass__(cls) -> None:
            cls.__match_args__ = cls.__slots__  # `case Text(text):`

    def __replace__(self, **changes: Any) -> Self:
        """Return a copy with some fields changed: `copy.replace` of Python 3.13."""
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__slots__)))

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name}={value!r}" for name, value in self.as_dict().items() if value or name not in _MARKS
        )
        return f"{type(self).__name__}({parts})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple(getattr(self, name) for name in self.__slots__)
