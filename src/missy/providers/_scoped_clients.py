"""Lent clients: a real `openai.OpenAI` and `openai.AsyncOpenAI` over the transports of `missy.net.scoped`.

Anything that would bypass these transports is refused: another HTTP client, another authentication, websockets. Our
errors are subclasses of the package's errors too, so code that handles the package's errors handles them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from openai import APIConnectionError, APIError, APITimeoutError, AsyncOpenAI, OpenAI, OpenAIError

from missy import errors
from missy.net.client_lease import recast
from missy.net.door import USER_AGENT
from missy.net.gate import Attribution
from missy.net.limits import Clock
from missy.net.scoped import STAND_IN, AsyncScopedClient, ScopedClient
from missy.providers.endings import ending_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from missy.net.client_lease import Account, Ending


class ConnectionFailed(errors.ConnectionFailed, APIConnectionError):  # type: ignore[misc]
    """No connection, or it broke: see missy.ConnectionFailed."""


class TimedOut(errors.TimedOut, APITimeoutError):  # type: ignore[misc]
    """A timeout: see missy.TimedOut."""


class IncompleteError(errors.IncompleteError, APIConnectionError):  # type: ignore[misc]
    """The stream was cut off: see missy.IncompleteError."""


class PolicyError(errors.PolicyError, OpenAIError):
    """The policy refused; nothing was sent: see missy.PolicyError."""


class CredentialError(errors.CredentialError, OpenAIError):
    """There is no credential: see missy.CredentialError."""


class UsageError(errors.UsageError, OpenAIError):
    """Wrong use of the client, or its owner is closed: see missy.UsageError."""


class BadReply(errors.BadReply, OpenAIError):
    """The reply breaks the protocol: see missy.BadReply."""


class ProviderError(errors.ProviderError, OpenAIError):
    """The call failed: see missy.ProviderError."""


class MissyError(errors.MissyError, OpenAIError):
    """Any other failure: see missy.MissyError."""


_KINDS: tuple[type[errors.MissyError], ...] = (
    ConnectionFailed,
    TimedOut,
    IncompleteError,
    PolicyError,
    CredentialError,
    UsageError,
    BadReply,
    ProviderError,
    MissyError,
)


def explain(error: errors.MissyError, request: Any) -> Exception:
    """Return one of our errors as a subclass of the package's error too."""
    for kind in _KINDS:
        if isinstance(error, kind.__bases__[0]):
            about = {"request": request, "body": None, "code": None, "param": None}
            more = {name: value for name, value in about.items() if name not in error.__dict__}
            return recast(kind, error, **(more if issubclass(kind, APIError) else {}))  # type: ignore[no-any-return]
    raise AssertionError(type(error))


def _explain_cause(error: APIConnectionError) -> Exception:
    """Return the original error for one that the package retried as a failed connection."""
    cause = error.__cause__
    return explain(cause, error.request) if isinstance(cause, errors.MissyError) else error


class Lease:
    """See missy.net.client_lease.Lease. `current` returns the account of the entry as it is now, or raises MissyError."""

    def __init__(self, current: Callable[[], Account], base_url: str, is_over: Callable[[], bool]) -> None:
        self.account = current
        self.base_url = base_url
        self.is_over = is_over

    def explain(self, error: errors.MissyError, request: httpx2.Request) -> Exception:
        """See missy.net.client_lease.Lease."""
        return explain(error, request)

    def ending(self, response: httpx2.Response, path: str) -> Ending | None:
        """See missy.net.client_lease.Lease."""
        return ending_of(path, response.headers.get("content-type", ""))

    def refuse_websocket(self) -> NoReturn:
        """Refuse and record: a websocket would be opened by another package, bypassing the policy."""
        account = self.account()
        call = Attribution(Clock(account.timeout), entry=account.entry)
        error = account.door.gate.deny_outright(
            account.home,
            call,
            "a websocket would bypass the network policy",
            rule="websocket",
            hint="use the HTTP calls of this client",
        )
        raise explain(error, None)


class _Kept:
    """Common part of both clients: their HTTP client cannot be replaced, and no telemetry headers are sent."""

    _client: Any
    _custom_headers: Any

    def __init__(self, **options: Any) -> None:
        _refuse_detours({"http_client": None, **options})
        super().__init__(**options)
        self._custom_headers = dict(options.get("default_headers") or {})  # without the environment's

    @property
    def default_headers(self) -> dict[str, Any]:
        plain = {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": USER_AGENT}
        return {**plain, **self._custom_headers}

    def copy(self, **options: Any) -> Any:
        _refuse_detours({**options, "http_client": options.get("http_client") or self._client})
        # The package reads `websocket_base_url` to pass it on; any other read is refused.
        if options.get("data_residency") is None:
            options["websocket_base_url"] = options.get("websocket_base_url") or "none:"
        return super().copy(**options)  # type: ignore[misc]

    with_options = copy

    @property
    def websocket_base_url(self) -> Any:
        self._client.lease.refuse_websocket()

    @websocket_base_url.setter
    def websocket_base_url(self, _: Any) -> None:
        """Keep none."""

    def is_closed(self) -> bool:
        return bool(self._client.is_closed or self._client.lease.is_over())


def _refuse_detours(options: dict[str, Any]) -> None:
    """Refuse options that open connections of their own. Raises UsageError."""
    names = [name for name in ("provider", "workload_identity") if options.get(name) is not None]
    if not isinstance(options["http_client"], (ScopedClient, AsyncScopedClient)):
        names.append("http_client")
    if names:
        error = errors.UsageError(
            f"a lent client takes no {names[0]} of its caller's: that would bypass the policy",
            hint="create your own client for that, outside of Missy",
        )
        raise explain(error, None)


class Client(_Kept, OpenAI):
    """A real `openai.OpenAI` that reaches one entry's endpoint."""

    def request(self, *args: Any, **options: Any) -> Any:
        try:
            return super().request(*args, **options)
        except APIConnectionError as error:
            raise _explain_cause(error) from error.__cause__


class AsyncClient(_Kept, AsyncOpenAI):
    """A real `openai.AsyncOpenAI` that reaches one entry's endpoint."""

    async def request(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().request(*args, **options)
        except APIConnectionError as error:
            raise _explain_cause(error) from error.__cause__


def _options(base_url: str) -> dict[str, Any]:
    # Empty rather than omitted: the package reads omitted values from the environment.
    return {
        "api_key": STAND_IN,
        "base_url": base_url,
        "admin_api_key": "",
        "organization": "",
        "project": "",
        "webhook_secret": "",
        "max_retries": 0,
        "timeout": None,
    }


def make_client(lease: Lease) -> OpenAI:
    """Return a client for sync code."""
    return Client(http_client=ScopedClient(lease), **_options(lease.base_url))


def make_async_client(lease: Lease) -> AsyncOpenAI:
    """Return a client for async code."""
    return AsyncClient(http_client=AsyncScopedClient(lease), **_options(lease.base_url))
