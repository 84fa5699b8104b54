"""What the rooms of the providers promise each other. For the type checker: nothing here is loaded when Missy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from missy.errors import IncompleteError, MissyError
    from missy.events import Event
    from missy.net.lease import Account
    from missy.net.limits import Clock
    from missy.providers._sdk import Sdk
    from missy.providers.attempts import Attempts
    from missy.providers.base import Preview, Request
    from missy.providers.reply import Reply
    from missy.secrets.resolve import Credential


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

    def account(self) -> Account:
        """Return the account of a lent client's next request: endpoint, credential and timeout as they are now."""


class Wire(Protocol):
    """One wire format's reading of one reply. Pure. `tolerant`: data that is no JSON object is passed over."""

    tolerant: bool

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one event of a stream. Raises ProviderError for an error inside the stream."""

    def whole(self, data: dict[str, Any]) -> list[Event]:
        """Take a reply that came whole, as JSON."""

    failure: MissyError | None  # an error that stands beside a part of the answer: `end` raises it

    @property
    def finished(self) -> bool:
        """Tell whether the reply said that it is complete."""

    @property
    def settled(self) -> bool:
        """Tell whether nothing of the answer is to be waited for any more, only what may stand after it."""

    @property
    def stands_cut(self) -> bool:
        """Tell whether the reply is over even where its connection broke."""

    @property
    def text_seen(self) -> bool:
        """Tell whether anything of the answer has been given out."""

    @property
    def progress(self) -> int:
        """Return how much of an answer has come: it grows with each piece of text, of thinking, or of a call."""

    def done(self) -> None:
        """Take the end marker of the stream (`[DONE]`)."""

    def incomplete(self, what: str, hint: str) -> IncompleteError:
        """Return the error for an answer that is not whole, with what is known of it."""

    def flush(self) -> list[Event]:
        """Give out what was held back, once no more comes."""

    def end(self) -> list[Event]:
        """End the reply. Raises IncompleteError or BadReply where it is not a whole answer."""


class Dialect(Protocol):
    """What a provider tells the driver: where to post, what, and how to read the reply.

    `may_wait`: taking a credential may ask the network, so async code does it in a thread.
    """

    sdk: Sdk
    may_wait: bool
    path: str

    def attempts(self, request: Request, clock: Clock) -> Attempts:
        """Begin a call: its credentials, and what its endpoint is known to refuse."""

    def body(self, request: Request, attempts: Attempts) -> dict[str, Any]:
        """Build the body of the next attempt."""

    def headers(self, attempts: Attempts) -> dict[str, str]:
        """Return the headers that go with the credential of the next attempt."""

    def reader(self, request: Request, headers: Mapping[str, str]) -> tuple[Wire, Reply]:
        """Return the readers of a reply with these headers."""

    def succeeded(self, request: Request, attempts: Attempts) -> None:
        """Take note of a call that went well."""


class Credentials(Protocol):
    """Where the credential of an attempt comes from."""

    @property
    def current(self) -> Credential:
        """The credential to use now."""

    def next(self, error: MissyError) -> bool:
        """After `error`, take another credential; False where there is none that could help. May wait."""
