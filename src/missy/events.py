"""What goes into an answer and what comes out of it: frozen values, no behaviour, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that goes with a message: its bytes and their media type, e.g. `image/png`."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `arguments` is the JSON object it gave; never a guess at one."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation. `tool_call_id` ties a tool's result to its call.

    `reasoning` is what the model thought before this turn, for the endpoints that want it back; `replay` is whatever
    the wire format needs to send the turn again exactly (encrypted reasoning items, say), opaque to everybody else.
    """

    role: Role
    text: str = ""
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str = ""
    replay: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for; `parameters` is its JSON Schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, as it arrived."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's thinking, where the endpoint shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the endpoint counted them. None means that it did not say, which is not 0."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is not part of the answer, e.g. that another model answered."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a whole answer: why it ended, which model gave it, and the server's id of the request.

    `finish_reason` is None where the endpoint ended its stream properly without giving one.
    """

    finish_reason: str | None
    model: str | None = None
    request_id: str | None = None
    replay: tuple[dict[str, Any], ...] = field(default=())


Event = Text | Reasoning | ToolCall | Usage | Notice | Done
