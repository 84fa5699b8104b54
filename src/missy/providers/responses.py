"""A provider of a ChatGPT plan: a login in place of a key, over the Responses format.

What differs between the endpoints is in a profile and in a subclass. The bearer token is sent only to the entry's own
endpoint, whatever that answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from missy.errors import CredentialError, MissyError, ProviderError
from missy.events import Notice
from missy.net.limits import Clock
from missy.providers import responses_body, wire_responses
from missy.providers.attempts import Attempts
from missy.providers.base import Preview
from missy.providers.driver import adrive, drive
from missy.providers.replays import Issuer, keep_own
from missy.providers.reply import ResponseReader
from missy.secrets.resolve import Credential

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from missy.auth.renewal import Renewals
    from missy.events import Event
    from missy.net.client_lease import Account, RequestCredentials
    from missy.net.door import Door
    from missy.providers.base import Request
    from missy.providers.catalogue import Catalogue, Model
    from missy.providers.heads import HeadStore
    from missy.providers.responses_profile import ResponsesProfile
    from missy.secrets.redact import Secret

_CREDENTIAL = "oauth"  # the name of the login in the audit
_STREAMED = {"Accept": "text/event-stream"}  # all answers are streamed


class PlanAccess(Protocol):
    """What a request gets of a login."""

    @property
    def token(self) -> Secret:
        """The bearer token."""

    @property
    def account_id(self) -> str:
        """Whose plan it is."""


X = TypeVar("X", bound=PlanAccess)


class LoginCredentials(Generic[X]):
    """The login as the credential of one call: after a 401 at most one reload, one renewal, one retry."""

    def __init__(self, logins: Renewals[Any, X]) -> None:
        self._logins = logins
        self.access: X = logins.access()
        self._again = True

    @property
    def current(self) -> Credential:
        """The token to send now."""
        return Credential(self.access.token, _CREDENTIAL, _CREDENTIAL)

    def next(self, error: MissyError) -> bool:
        """Renew after a 401, once. A 403 and a web page in front of the backend say nothing about the login."""
        if not isinstance(error, CredentialError) or error.status != 401 or not self._again:
            return False
        self._again = False
        self.renew(error)
        return True

    def renew(self, error: MissyError | None = None) -> None:
        """Switch to another token than this one, which was refused with `error`. Raises MissyError if there is none."""
        self.access = self._logins.access(force_refresh_of=self.access.token.reveal(), error=error)


class ResponsesProvider(ABC, Generic[X]):
    """See missy.providers.base.Provider and missy.providers.driver.ProviderAdapter."""

    path = "/responses"
    may_wait = True
    profile: ResponsesProfile

    def __init__(
        self,
        door: Door,
        *,
        kind: str,
        entry: str,
        base_url: str,
        host: str,
        logins: Renewals[Any, X],
        max_retries: int,
        catalogue: Catalogue,
        heads: HeadStore,
        timeout: float = 60.0,
    ) -> None:
        from missy.governor.registry import governor_of
        from missy.providers.endpoint import Endpoint

        self.endpoint: Endpoint = Endpoint(
            door,
            base_url=base_url,
            host=host,
            entry=entry,
            heads=heads,
            governor=governor_of(base_url, kind, entry),
            explain=self._explain,
        )
        self._kind = kind
        self._host = host
        self._entry = entry
        self._logins = logins
        self._max_retries = max_retries
        self._catalogue = catalogue
        self._timeout = timeout
        self._access: X | None = None  # of the last attempt

    # --- what a subclass says

    @abstractmethod
    def _explain(self, status: int, headers: Mapping[str, str], body: bytes, **call: Any) -> MissyError:
        """Map an error response to an error with a hint for the owner of the plan."""

    @abstractmethod
    def _account_headers(self, access: X) -> dict[str, str]:
        """Return the headers that identify the account, in addition to the bearer token."""

    def _cache_headers(self, cache_key: str | None) -> dict[str, str]:  # noqa: ARG002
        """Return the headers that keep a conversation's requests where its beginning is cached already."""
        return {}

    def _answered(self, access: X, headers: Mapping[str, str], parser: wire_responses.ResponsesReply) -> None:
        """Prepare to read an answer with these headers."""

    # --- the driver's side

    def attempts(self, request: Request, clock: Clock) -> Attempts:
        """See missy.providers.driver.ProviderAdapter."""
        attempts = Attempts(
            LoginCredentials(self._logins), max_retries=self._max_retries, clock=clock, omitted=()
        )
        attempts.cache_key = request.cache_key
        return attempts

    def body(self, request: Request, attempts: Attempts | None = None) -> dict[str, Any]:
        """See missy.providers.driver.ProviderAdapter."""
        return responses_body.body(request, self.profile, omitted=attempts.omitted if attempts else ())

    def headers(self, attempts: Attempts) -> dict[str, str]:
        """See missy.providers.driver.ProviderAdapter."""
        access = self._access = self._access_of(attempts)
        return self._headers(access, attempts.cache_key)

    def _headers(self, access: X, cache_key: str | None) -> dict[str, str]:
        return self._account_headers(access) | _STREAMED | self._cache_headers(cache_key)

    def _access_of(self, attempts: Attempts) -> X:
        login = attempts.credentials
        assert isinstance(login, LoginCredentials)
        access: X = login.access
        return access

    def issuer(self, request: Request, attempts: Attempts) -> Issuer:
        """See missy.providers.driver.ProviderAdapter."""
        return Issuer(self._kind, self._host, self._access_of(attempts).account_id, request.model)

    def reader(
        self, request: Request, headers: Mapping[str, str]
    ) -> tuple[wire_responses.ResponsesReply, ResponseReader]:
        """See missy.providers.driver.ProviderAdapter."""
        request_id = headers.get("x-request-id") or headers.get("x-oai-request-id") or headers.get("cf-ray")
        parser = wire_responses.ResponsesReply(
            host=self._host,
            model=request.model,
            request_id=request_id,
            offered=frozenset(tool.name for tool in request.tools),
            in_loop=request.in_loop,
        )
        if self._access is not None:
            self._answered(self._access, headers, parser)
        return parser, ResponseReader(headers.get("content-type", ""), parser)

    def succeeded(self, request: Request, attempts: Attempts) -> None:
        """See missy.providers.driver.ProviderAdapter."""

    # --- the caller's side

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events as they arrive. Raises MissyError."""
        request = self._with_model(request)
        yield from self._notices(request)
        try:
            yield from drive(self, request)
        except ProviderError as error:
            self._add_list(error, request)
            raise

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code."""
        import asyncio

        request = await asyncio.to_thread(self._with_model, request)
        for notice in self._notices(request):
            yield notice
        try:
            async for event in adrive(self, request):
                yield event
        except ProviderError as error:
            await asyncio.to_thread(self._add_list, error, request)
            raise

    def _notices(self, request: Request) -> list[Event]:
        names = responses_body.left_out(request)
        if not names:
            return []
        return [Notice(f"{self.profile.title} takes no {' and no '.join(names)}: left out")]

    def _with_model(self, request: Request) -> Request:
        """Return the model to use; the default comes from the live list, never from a constant."""
        return request if request.model else request._replace(model=self._default_model(request.timeout))

    def _default_model(self, timeout: float) -> str:
        for model in self._models(timeout):
            if model.listed:
                return model.name
        raise ProviderError(f"{self._host} lists no model for this account", hint="name one with --model")

    def _models(self, timeout: float) -> list[Model]:
        credentials = LoginCredentials(self._logins)
        clock = Clock(timeout, timeout * 2)
        while True:
            try:
                return self._catalogue.models(
                    self.endpoint,
                    credentials.current,
                    self._account_headers(credentials.access),
                    clock,
                    self._entry,
                    account=credentials.access.account_id,
                )
            except CredentialError as error:
                if not credentials.next(error):
                    raise

    def models(self, timeout: float) -> list[str]:
        """Return the account's live list of models, the default first. Raises MissyError."""
        return [model.name for model in self._models(timeout) if model.listed]

    def _add_list(self, error: ProviderError, request: Request) -> None:
        """Add the list of models to the error for an unknown model."""
        if error.status not in (400, 404) or "model" not in error.message.lower():
            return
        with suppress(MissyError):
            error.hint = f"this account's models: {', '.join(self.models(request.timeout))}"

    def preview(self, request: Request) -> Preview:
        """Return what `stream` would send first, with secrets masked. Sends nothing, not even to renew the login."""
        access = self._logins.stored()
        request = (
            request if request.model else request._replace(model=self._catalogue.cached_default(self._entry))
        )
        credential = Credential(access.token, _CREDENTIAL, _CREDENTIAL)
        headers = self._headers(access, request.cache_key)
        issuer = Issuer(self._kind, self._host, access.account_id, request.model)
        body = self.body(keep_own(request, issuer))
        made = self.endpoint.preview("post", self.path, credential=credential, body=body, headers=headers)
        return Preview(*made, credential.source)

    def account(self) -> Account:
        """See missy.providers.base.Provider. The login is renewed for a lent client as for our own calls."""
        return self.endpoint.account(
            lambda: self._request_credentials(LoginCredentials(self._logins)), timeout=self._timeout
        )

    def _request_credentials(self, login: LoginCredentials[X]) -> RequestCredentials:
        def renew() -> RequestCredentials:
            login.renew()
            return self._request_credentials(login)

        return self.endpoint.request_credentials(login.current, self._account_headers(login.access), renew)
