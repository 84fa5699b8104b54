"""What every provider is given and what it must do; and what a wire format must do for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from missy.events import Event, Message, Tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclass(frozen=True, slots=True)
class Request:
    """One model call, whatever the provider. None means: not asked for, so not sent.

    `timeout` is the seconds of silence allowed, `deadline` the seconds for the whole answer.
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


@dataclass(frozen=True, slots=True)
class Preview:
    """The exact HTTP request that would be sent, with its secrets masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Provider(Protocol):
    """Answers requests. A generator that is closed early closes its connection."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events as they arrive; the last one is Done. Raises MissyError."""

    def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code."""

    def models(self, timeout: float) -> list[str]:
        """Return the endpoint's live list of models. Raises MissyError."""

    def preview(self, request: Request) -> Preview:
        """Return what `stream` would send, without sending it."""


class Wire(Protocol):
    """One wire format's reading of one reply. Pure. `tolerant`: data that is no JSON object is passed over."""

    tolerant: bool

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one event of a stream. Raises ProviderError for an error inside the stream."""

    def whole(self, data: dict[str, Any]) -> list[Event]:
        """Take a reply that came whole, as JSON."""

    @property
    def finished(self) -> bool:
        """Tell whether the reply said that it is complete."""

    @property
    def text_seen(self) -> bool:
        """Tell whether anything of the answer has been given out."""

    def done(self) -> None:
        """Take the end marker of the stream (`[DONE]`)."""

    def flush(self) -> list[Event]:
        """Give out what was held back, once no more comes."""

    def end(self) -> list[Event]:
        """End the reply. Raises IncompleteError or BadReply where it is not a whole answer."""
