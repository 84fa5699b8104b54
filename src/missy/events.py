"""The values that go into a request and the events of an answer: frozen, slotted, without I/O.

Written by hand, because nine dataclasses would take more than 1 % of every start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field
    from typing import Any, ClassVar, Literal, NoReturn, Self, dataclass_transform

    Role = Literal["system", "user", "assistant", "tool"]
else:

    def dataclass_transform(**_: object) -> object:
        """Return a decorator that does nothing: only type checkers read it, and importing `typing` costs time."""
        return lambda cls: cls


_set = object.__setattr__
_MARKS = ("commentary", "extra", "refusal")  # rarely set, and shown in `repr` only if they are


class _Fields:
    """The fields in the form of `dataclasses`, created on use, so that `replace`, `asdict` and `fields` work."""

    def __get__(self, instance: object, owner: type[_Value]) -> dict[str, Field[Any]]:
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
class _Value:
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


class Image(_Value):
    """An image in a message: its bytes and their media type, e.g. `image/png`."""

    __slots__ = ("data", "media_type")
    data: bytes
    media_type: str

    def __init__(self, data: bytes, media_type: str) -> None:
        _set(self, "data", data)
        _set(self, "media_type", media_type)


class ToolCall(_Value):
    """A tool call by the model. `arguments` is the JSON object that it sent, never a guessed one.

    `extra` are fields of the call that the endpoint requires back unchanged (for example a reasoning signature).
    """

    __slots__ = ("id", "name", "arguments", "extra")  # noqa: RUF023 in the order of the constructor
    id: str
    name: str
    arguments: dict[str, Any]
    extra: dict[str, Any] | None

    def __init__(
        self,
        id: str,  # noqa: A002
        name: str,
        arguments: dict[str, Any],
        extra: dict[str, Any] | None = None,
    ) -> None:
        _set(self, "id", id)
        _set(self, "name", name)
        _set(self, "arguments", arguments)
        _set(self, "extra", extra)


class Replay(_Value):
    """A turn as its endpoint sent it, opaque to everybody else, and who that was: it goes back to nobody else."""

    __slots__ = ("items", "kind", "host", "account", "model")  # noqa: RUF023
    items: tuple[dict[str, Any], ...]
    kind: str
    host: str
    account: str | None
    model: str | None

    def __init__(
        self,
        items: tuple[dict[str, Any], ...],
        kind: str,
        host: str,
        account: str | None = None,
        model: str | None = None,
    ) -> None:
        _set(self, "items", tuple(items))
        _set(self, "kind", kind)
        _set(self, "host", host)
        _set(self, "account", account)
        _set(self, "model", model)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


class Message(_Value):
    """One turn of the conversation. `tool_call_id` links a tool's result to its call.

    `reasoning` is the model's thinking before this turn, for endpoints that require it back; `replay` is `Done.replay`
    of this turn: opaque items, such as encrypted reasoning, that only their issuer is sent.
    """

    __slots__ = ("role", "text", "images", "tool_calls", "tool_call_id", "reasoning", "replay")  # noqa: RUF023
    role: Role
    text: str
    images: tuple[Image, ...]
    tool_calls: tuple[ToolCall, ...]
    tool_call_id: str | None
    reasoning: str
    replay: Replay | None

    def __init__(
        self,
        role: Role,
        text: str = "",
        images: tuple[Image, ...] = (),
        tool_calls: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
        reasoning: str = "",
        replay: Replay | tuple[dict[str, Any], ...] | None = None,
    ) -> None:
        _set(self, "role", role)
        _set(self, "text", text)
        _set(self, "images", tuple(images))
        _set(self, "tool_calls", tuple(tool_calls))
        _set(self, "tool_call_id", tool_call_id)
        _set(self, "reasoning", reasoning)
        _set(self, "replay", replay if isinstance(replay, Replay) else None)  # unstamped is nobody's


class Tool(_Value):
    """A function that the model may call; `parameters` is its JSON Schema."""

    __slots__ = ("name", "description", "parameters")  # noqa: RUF023
    name: str
    description: str
    parameters: dict[str, Any]

    def __init__(self, name: str, description: str, parameters: dict[str, Any]) -> None:
        _set(self, "name", name)
        _set(self, "description", description)
        _set(self, "parameters", parameters)


class Text(_Value):
    """A piece of the answer, as it arrived.

    `commentary`: the model marked it as a comment before its answer, not as a part of it.
    """

    __slots__ = ("text", "commentary")  # noqa: RUF023
    text: str
    commentary: bool

    def __init__(self, text: str, commentary: bool = False) -> None:
        _set(self, "text", text)
        _set(self, "commentary", commentary)


class Reasoning(_Value):
    """A piece of the model's thinking, if the endpoint sends it."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set(self, "text", text)


class Usage(_Value):
    """Token counts from the endpoint. None means that it sent no count, which is not 0."""

    __slots__ = ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")  # noqa: RUF023
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        total_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        _set(self, "input_tokens", input_tokens)
        _set(self, "output_tokens", output_tokens)
        _set(self, "total_tokens", total_tokens)
        _set(self, "cached_tokens", cached_tokens)
        _set(self, "reasoning_tokens", reasoning_tokens)


class Notice(_Value):
    """Something the user should know that is not part of the answer, e.g. that another model answered."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set(self, "text", text)


class Done(_Value):
    """The last event of a complete answer: why it ended, which model gave it, and the server's id of the request.

    `finish_reason` is None if the endpoint ended its stream properly without one. `replay` belongs into the Message
    that sends the answer back in the next turn. `refusal`: the model refused, and its text says so.
    """

    __slots__ = ("finish_reason", "model", "request_id", "replay", "refusal")  # noqa: RUF023
    finish_reason: str | None
    model: str | None
    request_id: str | None
    replay: Replay | tuple[dict[str, Any], ...]
    refusal: bool

    def __init__(
        self,
        finish_reason: str | None,
        model: str | None = None,
        request_id: str | None = None,
        replay: Replay | tuple[dict[str, Any], ...] = (),
        refusal: bool = False,
    ) -> None:
        _set(self, "finish_reason", finish_reason)
        _set(self, "model", model)
        _set(self, "request_id", request_id)
        _set(self, "replay", replay)
        _set(self, "refusal", refusal)


Event = Text | Reasoning | ToolCall | Usage | Notice | Done
