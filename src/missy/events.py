"""The values that go into a request and the events of an answer: frozen, slotted, without I/O."""

from __future__ import annotations

from missy.frozen import FrozenValue, set_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from typing import Any, Literal

    Role = Literal["system", "user", "assistant", "tool"]


class Image(FrozenValue):
    """An image in a message: its bytes and their media type, e.g. `image/png`."""

    __slots__ = ("data", "media_type")
    data: bytes
    media_type: str

    def __init__(self, data: bytes, media_type: str) -> None:
        set_field(self, "data", data)
        set_field(self, "media_type", media_type)


class Attachment(FrozenValue):
    """A file that goes along with a prompt: its bytes, their media type, and its name, without a folder.

    An image, a PDF or UTF-8 text. What it is is decided by its bytes: a media type that they contradict is refused.
    """

    __slots__ = ("data", "media_type", "name")
    data: bytes
    media_type: str
    name: str

    def __init__(self, data: bytes, media_type: str, name: str = "") -> None:
        set_field(self, "data", data)
        set_field(self, "media_type", media_type)
        set_field(self, "name", name)


class ToolCall(FrozenValue):
    """A tool call by the model. `arguments` is the JSON object that it sent, never a guessed one.

    `extra` are fields of the call that the endpoint requires back unchanged (for example a reasoning signature).
    `problem` says why the call cannot be run, for example because what came is not a JSON object.
    """

    __slots__ = ("id", "name", "arguments", "extra", "problem")  # noqa: RUF023 in the order of the constructor
    id: str
    name: str
    arguments: dict[str, Any]
    extra: dict[str, Any] | None
    problem: str

    def __init__(
        self,
        id: str,  # noqa: A002
        name: str,
        arguments: dict[str, Any],
        extra: dict[str, Any] | None = None,
        problem: str = "",
    ) -> None:
        set_field(self, "id", id)
        set_field(self, "name", name)
        set_field(self, "arguments", arguments)
        set_field(self, "extra", extra)
        set_field(self, "problem", problem)


class ToolResult(FrozenValue):
    """What came of a tool call that a toolbox ran or refused; `text` is what the model is told.

    `outcome` is ok, failed, denied, unapproved (there was nobody to ask) or cancelled.
    """

    __slots__ = ("id", "name", "outcome", "text")
    id: str
    name: str
    outcome: str
    text: str

    def __init__(self, id: str, name: str, outcome: str, text: str) -> None:  # noqa: A002
        set_field(self, "id", id)
        set_field(self, "name", name)
        set_field(self, "outcome", outcome)
        set_field(self, "text", text)


class Replay(FrozenValue):
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
        set_field(self, "items", tuple(items))
        set_field(self, "kind", kind)
        set_field(self, "host", host)
        set_field(self, "account", account)
        set_field(self, "model", model)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


class Message(FrozenValue):
    """One turn of the conversation. `tool_call_id` links a tool's result to its call.

    `reasoning` is the model's thinking before this turn, for endpoints that require it back; `replay` is `Done.replay`
    of this turn: opaque items, such as encrypted reasoning, that only their issuer is sent.
    """

    __slots__ = ("role", "text", "images", "tool_calls", "tool_call_id", "reasoning", "replay", "attachments")  # noqa: RUF023
    role: Role
    text: str
    images: tuple[Image, ...]
    tool_calls: tuple[ToolCall, ...]
    tool_call_id: str | None
    reasoning: str
    replay: Replay | None
    attachments: tuple[Attachment, ...]

    def __init__(
        self,
        role: Role,
        text: str = "",
        images: tuple[Image, ...] = (),
        tool_calls: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
        reasoning: str = "",
        replay: Replay | tuple[dict[str, Any], ...] | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> None:
        set_field(self, "role", role)
        set_field(self, "text", text)
        set_field(self, "images", tuple(images))
        set_field(self, "tool_calls", tuple(tool_calls))
        set_field(self, "tool_call_id", tool_call_id)
        set_field(self, "reasoning", reasoning)
        set_field(self, "replay", replay if isinstance(replay, Replay) else None)  # unstamped is nobody's
        set_field(self, "attachments", tuple(attachments))


class Tool(FrozenValue):
    """A function that the model may call; `parameters` is its JSON Schema."""

    __slots__ = ("name", "description", "parameters")  # noqa: RUF023
    name: str
    description: str
    parameters: dict[str, Any]

    def __init__(self, name: str, description: str, parameters: dict[str, Any]) -> None:
        set_field(self, "name", name)
        set_field(self, "description", description)
        set_field(self, "parameters", parameters)


class Text(FrozenValue):
    """A piece of the answer, as it arrived.

    `commentary`: the model marked it as a comment before its answer, not as a part of it.
    """

    __slots__ = ("text", "commentary")  # noqa: RUF023
    text: str
    commentary: bool

    def __init__(self, text: str, commentary: bool = False) -> None:
        set_field(self, "text", text)
        set_field(self, "commentary", commentary)


class Reasoning(FrozenValue):
    """A piece of the model's thinking, if the endpoint sends it."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        set_field(self, "text", text)


class Usage(FrozenValue):
    """Token counts from the endpoint. None means that it sent no count, which is not 0.

    `cached_tokens` and `cache_write_tokens` are part of the input, `reasoning_tokens` of the output. `cost` is what the
    endpoint itself says that the call costs, in US dollars.
    """

    __slots__ = (  # noqa: RUF023
        "input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "cache_write_tokens", "cost",
    )  # fmt: skip
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    cost: Decimal | None

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        total_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        cost: Decimal | None = None,
    ) -> None:
        set_field(self, "input_tokens", input_tokens)
        set_field(self, "output_tokens", output_tokens)
        set_field(self, "total_tokens", total_tokens)
        set_field(self, "cached_tokens", cached_tokens)
        set_field(self, "reasoning_tokens", reasoning_tokens)
        set_field(self, "cache_write_tokens", cache_write_tokens)
        set_field(self, "cost", cost)


class Citation(FrozenValue):
    """A source that the answer names: an http(s) URL, and its title, "" if the endpoint sent none."""

    __slots__ = ("url", "title")  # noqa: RUF023
    url: str
    title: str

    def __init__(self, url: str, title: str = "") -> None:
        set_field(self, "url", url)
        set_field(self, "title", title)


class Notice(FrozenValue):
    """Something the user should know that is not part of the answer, e.g. that another model answered."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        set_field(self, "text", text)


class Done(FrozenValue):
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
        set_field(self, "finish_reason", finish_reason)
        set_field(self, "model", model)
        set_field(self, "request_id", request_id)
        set_field(self, "replay", replay)
        set_field(self, "refusal", refusal)


Event = Text | Reasoning | ToolCall | ToolResult | Citation | Usage | Notice | Done
