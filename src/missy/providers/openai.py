"""The provider of kind `openai`: Chat Completions at OpenAI or any compatible endpoint."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, MissyError
from missy.net.door import parse_json
from missy.net.limits import MAX_BODY, Clock
from missy.providers import chat_body, wire_chat
from missy.providers.attempts import Attempts, KeyPool
from missy.providers.base import Preview
from missy.providers.driver import adrive, drive
from missy.providers.profile import choose_profile
from missy.providers.replays import Issuer, own_replays
from missy.providers.reply import ResponseReader, not_an_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from missy.events import Event
    from missy.governor.core import Governor
    from missy.net.client_lease import Account
    from missy.net.door import Door
    from missy.providers.base import Request
    from missy.providers.heads import HeadStore
    from missy.providers.quirks import LearnedQuirks
    from missy.secrets.resolve import Credential


class OpenAIProvider:
    """See missy.providers.base.Provider. `credentials` is called for each call, so that a changed key is used."""

    path = "/chat/completions"

    def __init__(
        self,
        door: Door,
        *,
        kind: str,
        entry: str,
        base_url: str,
        host: str,
        credentials: Callable[[], Sequence[Credential]],
        max_retries: int,
        quirks: LearnedQuirks,
        heads: HeadStore,
        governor: Governor,
        timeout: float = 30.0,
        may_wait: bool = False,
    ) -> None:
        from missy.providers.endpoint import Endpoint

        self.endpoint: Endpoint = Endpoint(
            door, base_url=base_url, host=host, entry=entry, heads=heads, governor=governor
        )
        self._base_url = base_url
        self._kind = kind
        self._host = host
        self._credentials = credentials
        self._max_retries = max_retries
        self._quirks = quirks
        self._timeout = timeout
        self.may_wait = may_wait

    def attempts(self, request: Request, clock: Clock) -> Attempts:
        """See missy.providers.driver.ProviderAdapter."""
        refused = self._quirks.refused(self._base_url, request.model)
        return Attempts(self._keys(), max_retries=self._max_retries, clock=clock, omitted=refused)

    def fresh_attempts(self, clock: Clock) -> Attempts:
        """See missy.providers.relay.Relaying."""
        return Attempts(self._keys(), max_retries=self._max_retries, clock=clock, omitted=())

    def _keys(self) -> KeyPool:
        self.endpoint.require()
        return KeyPool(self._credentials())

    def body(self, request: Request, attempts: Attempts) -> dict[str, Any]:
        """See missy.providers.driver.ProviderAdapter."""
        return chat_body.body(request, choose_profile(self._host, request.model, attempts.omitted))

    def issuer(self, request: Request, attempts: Attempts) -> Issuer:  # noqa: ARG002
        """See missy.providers.driver.ProviderAdapter. An API key does not say whose account it is of."""
        return Issuer(self._kind, self._host, None, request.model)

    def headers(self, attempts: Attempts) -> dict[str, str]:  # noqa: ARG002
        """See missy.providers.driver.ProviderAdapter."""
        return {}

    def reader(
        self, request: Request, headers: Mapping[str, str]
    ) -> tuple[wire_chat.ChatReply, ResponseReader]:
        """See missy.providers.driver.ProviderAdapter."""
        request_id = headers.get("x-request-id") or headers.get("x-litellm-call-id")
        parser = wire_chat.ChatReply(
            host=self._host,
            model=request.model,
            request_id=request_id,
            offered=frozenset(tool.name for tool in request.tools),
            in_loop=request.in_loop,
        )
        return parser, ResponseReader(headers.get("content-type", ""), parser)

    def succeeded(self, request: Request, attempts: Attempts) -> None:
        """See missy.providers.driver.ProviderAdapter."""
        if attempts.newly_omitted:
            self._quirks.learn(self._base_url, request.model, attempts.lasting)

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield the answer's events as they arrive. Raises MissyError."""
        return drive(self, request)

    def astream(self, request: Request) -> AsyncIterator[Event]:
        """Like `stream`, for async code."""
        return adrive(self, request)

    def models(self, timeout: float) -> list[str]:
        """Return the ids of the endpoint's list of models, in its order. Raises MissyError."""
        clock = Clock(timeout, timeout * 2)
        attempts = self.fresh_attempts(clock)
        while True:
            try:
                return self._models(attempts.credential, clock)
            except MissyError as error:
                time.sleep(attempts.next_delay(error, sent=(), output_started=False))

    def _models(self, credential: Credential, clock: Clock) -> list[str]:
        clock.reset_idle()
        _, body = self.endpoint.fetch("/models", credential=credential, clock=clock, limit=MAX_BODY)
        if body.lstrip()[:1] == b"<":
            raise not_an_api()
        value = parse_json(body)
        items = value.get("data", value.get("models")) if isinstance(value, dict) else value
        if not isinstance(items, list):
            raise BadReply("the reply is not a list of models", hint="is base_url right? most end in /v1")
        names = [item.get("id") or item.get("name") if isinstance(item, dict) else item for item in items]
        return [name for name in names if isinstance(name, str)]

    def preview(self, request: Request) -> Preview:
        """Return what `stream` would send first, with secrets masked, without sending it."""
        attempts = self.attempts(request, Clock(request.timeout))
        own = own_replays(request, lambda: self.issuer(request, attempts), attempts.replays)
        body = self.body(own, attempts)
        made = self.endpoint.preview("post", self.path, credential=attempts.credential, body=body)
        return Preview(*made, attempts.credential.source)

    def account(self) -> Account:
        """See missy.providers.base.Provider."""
        return self.endpoint.account(
            lambda: self.endpoint.request_credentials(self._credentials()[0]), timeout=self._timeout
        )
