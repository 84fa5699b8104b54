"""What every provider is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from missy.events import Message, Tool


class Request(NamedTuple):
    """One model call, whatever the provider. None means: not asked for, so not sent.

    `timeout` is the seconds of silence allowed, `patience` those without progress (None: some times `timeout`), `deadline`
    the seconds for the whole answer.
    """

    messages: tuple[Message, ...]
    model: str | None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    stream: bool = True
    timeout: float = 30.0
    deadline: float | None = None
    patience: float | None = None


class Preview(NamedTuple):
    """The exact HTTP request that would be sent, with its secrets masked; `credential` says where the key comes from."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    credential: str = "none"
