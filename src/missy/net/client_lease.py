"""What a lent client stands on: whose account its requests are on, and how its errors are told to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpx2

from missy.errors import ConnectionFailed, MissyError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.net.door import Door
    from missy.policy import Target


class RequestCredentials(NamedTuple):
    """What a request goes out with: `credential` is its name in the audit, `renew` gives new ones after a 401.

    `headers` take the place of the stand-in. What the entry sends besides goes with every request: `extra_headers`,
    `query`, whose names alone (`extras`) are on record.
    """

    credential: str
    headers: Mapping[str, str]
    renew: Callable[[], RequestCredentials] | None = None
    extra_headers: Mapping[str, str] = {}
    query: str = ""
    extras: Mapping[str, str] = {}


class Account(NamedTuple):
    """Whose request it is, as the configuration is now. `papers` is asked after the policy, and may take a while."""

    door: Door
    base_url: str
    home: Target
    entry: str
    timeout: float
    request_credentials: Callable[[], RequestCredentials]


class Ending(Protocol):
    """Looks at the bytes of a stream as they pass: whether the end that its format promises was among them."""

    whole: bool

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""


class Lease(Protocol):
    """What a lent client stands on, for as long as its owner lives."""

    def account(self) -> Account:
        """Return whose account the next request is on. Raises MissyError where there is none any more."""

    def explain(self, error: MissyError, request: httpx2.Request) -> Exception:
        """Return the error as the client's user expects it."""

    def ending(self, response: httpx2.Response, path: str) -> Ending | None:
        """Return what tells a whole stream from a cut one; None where nothing can."""


class RetryableConnectError(ConnectionFailed, httpx2.ConnectError):
    """A failed connection that an HTTP client's own retry understands."""


class RetryableTimeout(TimedOut, httpx2.ReadTimeout):
    """A timeout that an HTTP client's own retry understands."""


def recast(kind: type[Any], error: MissyError, **more: Any) -> Any:
    """Return an error of our own as another class of it, with all that it says."""
    made: Any = kind.__new__(kind, error.message)
    made.__dict__.update(error.__dict__, **more)
    made.__cause__ = error.__cause__
    return made


def translate_error(error: MissyError, request: httpx2.Request, lease: Lease) -> Exception:
    """Return the error of a request that may be sent again; whoever sends it may do so for a broken connection alone."""
    kind = (
        RetryableConnectError
        if isinstance(error, ConnectionFailed)
        else RetryableTimeout
        if isinstance(error, TimedOut)
        else None
    )
    return recast(kind, error, _request=request) if kind else lease.explain(error, request)
