"""The interface of a provider: Request, Preview and the Provider protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from decimal import Decimal

    from missy.events import Event, Message, Tool
    from missy.net.client_lease import Account
    from missy.structured.schema import Schema


class Request(NamedTuple):
    """One model call, for any provider. An option that is None is not sent.

    In seconds: `timeout` is the idle timeout, `patience` the time without progress (None: a multiple of `timeout`),
    `deadline` the time for the whole answer. The answer must fit `schema`; `repair`: ask again once if it does not.
    `cache_key` is the same for all requests of one conversation. `fallback_from` is the entry that failed before.
    `max_cost` is in US dollars, for all calls of the answer.
    `in_loop`: a toolbox runs the tool calls, so a call that cannot be run is given out with its `problem`.
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
    schema: Schema | None = None
    repair: bool = True
    cache_key: str | None = None
    fallback_from: str | None = None
    max_cost: float | Decimal | None = None
    in_loop: bool = False


class Preview(NamedTuple):
    """The exact HTTP request that would be sent, with secrets masked; `credential` is the source of the key."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    credential: str = "none"


class Answering(Protocol):
    """Answers requests. Closing a generator early closes its connection."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events as they arrive; the last one is Done. Raises MissyError."""

    def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code."""


class Provider(Answering, Protocol):
    """The model calls of one entry."""

    def models(self, timeout: float) -> list[str]:
        """Return the endpoint's live list of models. Raises MissyError."""

    def preview(self, request: Request) -> Preview:
        """Return what `stream` would send, without sending it."""

    def account(self) -> Account:
        """Return the account of a lent client's next request: the current endpoint, credential and timeout."""
