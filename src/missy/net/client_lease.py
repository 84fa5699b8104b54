"""What a lent client depends on: the attribution of its requests, and the types of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpx2

from missy.errors import ConnectionFailed, MissyError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.net.door import Door
    from missy.policy import Target


class RequestCredentials(NamedTuple):
    """The credentials of a request: `credential` is their name in the audit, `renew` returns new ones after a 401.

    `headers` replace the placeholder. `extra_headers` and `query` are the entry's own additions to every request; only
    their names (`extras`) are recorded.
    """

    credential: str
    headers: Mapping[str, str]
    renew: Callable[[], RequestCredentials] | None = None
    extra_headers: Mapping[str, str] = {}
    query: str = ""
    extras: Mapping[str, str] = {}


class Account(NamedTuple):
    """The account of a request by the current configuration. `request_credentials` is called after the policy; may block."""

    door: Door
    base_url: str
    home: Target
    entry: str
    timeout: float
    request_credentials: Callable[[], RequestCredentials]


class Ending(Protocol):
    """Observes the bytes of a stream: whether the end marker of its format has come."""

    whole: bool

    def feed(self, data: bytes) -> None:
        """Observe the next bytes."""


class Lease(Protocol):
    """Connects a lent client to its owner, as long as that is open."""

    def account(self) -> Account:
        """Return the account of the next request. Raises MissyError if there is none any more."""

    def explain(self, error: MissyError, request: httpx2.Request) -> Exception:
        """Return the error as a type that the client's user expects."""

    def ending(self, response: httpx2.Response, path: str) -> Ending | None:
        """Return a detector for a complete stream; None if the format has no end marker."""


class RetryableConnectError(ConnectionFailed, httpx2.ConnectError):
    """A failed connection, as a type that the HTTP client's own retry recognizes."""


class RetryableTimeout(TimedOut, httpx2.ReadTimeout):
    """A timeout, as a type that the HTTP client's own retry recognizes."""


def recast(kind: type[Any], error: MissyError, **more: Any) -> Any:
    """Return a copy of one of our errors as a subclass of it, with all attributes."""
    made: Any = kind.__new__(kind, error.message)
    made.__dict__.update(error.__dict__, **more)
    made.__cause__ = error.__cause__
    return made


def translate_error(error: MissyError, request: httpx2.Request, lease: Lease) -> Exception:
    """Return the error as one that the client may retry, if it is a failed connection or a timeout."""
    kind = (
        RetryableConnectError
        if isinstance(error, ConnectionFailed)
        else RetryableTimeout
        if isinstance(error, TimedOut)
        else None
    )
    return recast(kind, error, _request=request) if kind else lease.explain(error, request)
