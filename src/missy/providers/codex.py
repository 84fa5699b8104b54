"""The provider of kind `openai-codex`: a ChatGPT subscription, over the Responses format.

The bearer token is sent only to the entry's own `base_url`, whatever the backend answers.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy.auth.usage import account_headers, read_event, read_headers
from missy.errors import CredentialError, MissyError, ProviderError
from missy.events import Notice
from missy.net.limits import Clock
from missy.providers import faults, responses_body, responses_faults, wire_responses
from missy.providers.attempts import Attempts
from missy.providers.base import Preview
from missy.providers.driver import adrive, drive
from missy.providers.replays import Issuer, keep_own
from missy.providers.reply import ResponseReader
from missy.secrets.resolve import Credential

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from missy.auth.login import Access
    from missy.auth.tokens import Logins
    from missy.auth.usage import UsageCache
    from missy.events import Event
    from missy.net.client_lease import Account, RequestCredentials
    from missy.net.door import Door
    from missy.providers.base import Request
    from missy.providers.catalogue import Catalogue, Model
    from missy.providers.heads import HeadStore

_CREDENTIAL = "oauth"  # the name of the login in the audit
_STREAMED = {
    "Accept": "text/event-stream"
}  # all answers are streamed, and the backend's own client sends this header


class LoginCredentials:
    """The login as the credential of one call: after a 401 at most one reload, one renewal, one retry."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self.access: Access = logins.access()
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
        self.renew()
        return True

    def renew(self) -> None:
        """Switch to another token than this one. Raises MissyError if there is none."""
        self.access = self._logins.access(force_refresh_of=self.access.token.reveal())


class CodexProvider:
    """See missy.providers.base.Provider and missy.providers.driver.ProviderAdapter."""

    path = "/responses"
    may_wait = True

    def __init__(
        self,
        door: Door,
        *,
        kind: str,
        entry: str,
        base_url: str,
        host: str,
        logins: Logins,
        max_retries: int,
        catalogue: Catalogue,
        limits: UsageCache,
        heads: HeadStore,
        timeout: float = 60.0,
    ) -> None:
        from missy.providers.endpoint import Endpoint

        self.endpoint = Endpoint(
            door, base_url=base_url, host=host, entry=entry, heads=heads, explain=self._explain
        )
        self._kind = kind
        self._host = host
        self._entry = entry
        self._logins = logins
        self._max_retries = max_retries
        self._catalogue = catalogue
        self._limits = limits
        self._timeout = timeout
        self._account_id = ""

    def attempts(self, request: Request, clock: Clock) -> Attempts:
        """See missy.providers.driver.ProviderAdapter."""
        attempts = Attempts(
            LoginCredentials(self._logins), max_retries=self._max_retries, clock=clock, omitted=()
        )
        attempts.cache_key = request.cache_key
        return attempts

    def body(self, request: Request, attempts: Attempts | None = None) -> dict[str, Any]:
        """See missy.providers.driver.ProviderAdapter."""
        return responses_body.body(request, omitted=attempts.omitted if attempts else ())

    def headers(self, attempts: Attempts) -> dict[str, str]:
        """See missy.providers.driver.ProviderAdapter."""
        login = attempts.credentials
        assert isinstance(login, LoginCredentials)
        self._account_id = login.access.account_id
        return account_headers(login.access) | _STREAMED | _same_cache(attempts.cache_key)

    def issuer(self, request: Request, attempts: Attempts) -> Issuer:
        """See missy.providers.driver.ProviderAdapter."""
        login = attempts.credentials
        assert isinstance(login, LoginCredentials)
        return Issuer(self._kind, self._host, login.access.account_id, request.model)

    def reader(
        self, request: Request, headers: Mapping[str, str]
    ) -> tuple[wire_responses.ResponsesReply, ResponseReader]:
        """See missy.providers.driver.ProviderAdapter."""
        self._note_limits(headers)
        request_id = headers.get("x-request-id") or headers.get("x-oai-request-id") or headers.get("cf-ray")
        parser = wire_responses.ResponsesReply(
            host=self._host,
            model=request.model,
            request_id=request_id,
            offered=frozenset(tool.name for tool in request.tools),
        )
        parser.on_limits = self._note_event
        return parser, ResponseReader(headers.get("content-type", ""), parser)

    def _explain(self, status: int, headers: Mapping[str, str], body: bytes, **call: Any) -> MissyError:
        self._note_limits(headers)  # an error response has the limits too, especially when they are exhausted
        return explain(status, headers, body, **call)

    def _note_limits(self, headers: Mapping[str, str]) -> None:
        limits = read_headers(headers)
        if limits is not None and self._account_id:
            self._limits.write(self._account_id, limits)

    def _note_event(self, data: Mapping[str, Any]) -> None:
        limits = read_event(data)
        if limits is not None and self._account_id:
            self._limits.write(self._account_id, limits)

    def succeeded(self, request: Request, attempts: Attempts) -> None:
        """See missy.providers.driver.ProviderAdapter."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events as they arrive. Raises MissyError."""
        request = self._with_model(request)
        yield from _notices(request)
        try:
            yield from drive(self, request)
        except ProviderError as error:
            self._add_list(error, request)
            raise

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code."""
        import asyncio

        request = await asyncio.to_thread(self._with_model, request)
        for notice in _notices(request):
            yield notice
        try:
            async for event in adrive(self, request):
                yield event
        except ProviderError as error:
            await asyncio.to_thread(self._add_list, error, request)
            raise

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
                    account_headers(credentials.access),
                    clock,
                    self._entry,
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
        from missy.auth.login import load

        login = load(self._logins.path)
        if login is None:
            raise CredentialError("not logged in", hint=f"log in: missy auth login {self._entry}")
        request = (
            request if request.model else request._replace(model=self._catalogue.cached_default(self._entry))
        )
        credential = Credential(login.access_token, _CREDENTIAL, _CREDENTIAL)
        headers = account_headers(login.access()) | _STREAMED | _same_cache(request.cache_key)
        issuer = Issuer(self._kind, self._host, login.account_id, request.model)
        body = self.body(keep_own(request, issuer))
        made = self.endpoint.preview("post", self.path, credential=credential, body=body, headers=headers)
        return Preview(*made, credential.source)

    def account(self) -> Account:
        """See missy.providers.base.Provider. The login is renewed for a lent client as for our own calls."""
        return self.endpoint.account(
            lambda: self._request_credentials(LoginCredentials(self._logins)), timeout=self._timeout
        )

    def _request_credentials(self, login: LoginCredentials) -> RequestCredentials:
        def renew() -> RequestCredentials:
            login.renew()
            return self._request_credentials(login)

        return self.endpoint.request_credentials(login.current, account_headers(login.access), renew)


def _same_cache(key: str | None) -> dict[str, str]:
    """Return the header that keeps a conversation's requests where its beginning is cached already."""
    return {} if key is None else {"session-id": key}


def _notices(request: Request) -> list[Event]:
    names = responses_body.left_out(request)
    if not names:
        return []
    return [Notice(f"the ChatGPT backend takes no {' and no '.join(names)}: left out")]


def explain(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    host: str,
    keyed: bool = True,
    model: str | None = None,
) -> MissyError:
    """Map an error response of the ChatGPT backend to an error with a hint for subscribers."""
    from missy.net.error_meaning import REGION_HINT

    error = faults.from_response(status, headers, body, host=host, keyed=keyed, model=model)
    words = error.message.lower()
    if isinstance(error, ProviderError):
        error.hint = responses_faults.NEXT_STEPS.get(error.code or "", error.hint)
    if "workspace" in words and status in (402, 403):
        hint = "log in again and choose another workspace: missy auth login"
        return CredentialError(error.message, hint=hint, status=status, request_id=error.request_id)
    if error.hint == REGION_HINT:
        error.hint = f"{REGION_HINT}; the login is fine"
    if error.hint.endswith("/v1"):  # that hint is for other endpoints
        error.hint = "try again later; if the entry sets base_url, is it right?"
    if isinstance(error, CredentialError) and "missy models" not in error.hint:
        error.hint = "log in again: missy auth login"
    return error
