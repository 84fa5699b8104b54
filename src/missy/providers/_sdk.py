"""The `openai` package over the door: the only file that imports it.

It carries the model calls: their URLs, headers and authentication are its own. What it would read from the environment,
what it would add to fingerprint us, its retries and its response models stay out: raw bytes come back.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx2

# From the modules that define them: `import openai` would load its other services too, twice the time.
from openai._client import AsyncOpenAI, OpenAI
from openai._models import FinalRequestOptions
from openai._types import Omit

from missy.net.client import USER_AGENT, calling
from missy.net.gate import Call
from missy.providers import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from missy.errors import MissyError
    from missy.net.client import Door
    from missy.net.limits import Clock
    from missy.secrets.resolve import Credential

_MASKED = "Bearer ***"


class _Plain:
    """What both clients do differently from the stock ones: no fingerprint, nothing from the environment."""

    own_headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, **settings: Any) -> None:
        self._urls: dict[str, httpx2.URL] = {}
        super().__init__(**settings)

    @property
    def default_headers(self) -> dict[str, Any]:
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **self.own_headers,
        }

    def _prepare_url(self, url: str) -> httpx2.URL:
        """Build the URL of a path once: a process calls the same one or two."""
        known = self._urls.get(url)
        if known is None:
            known = self._urls[url] = super()._prepare_url(url)  # type: ignore[misc]
        return known

    def _anonymous(self, request: httpx2.Request) -> httpx2.Request:
        for name in [name for name in request.headers if name.lower().startswith("x-stainless")]:
            del request.headers[name]
        return request

    def make(self, options: FinalRequestOptions) -> httpx2.Request:
        """Build a request as the package builds it: its URL, headers, authentication and body."""
        return self._anonymous(self._build_request(options))  # type: ignore[attr-defined]


class _Client(_Plain, OpenAI):
    def _prepare_request(self, request: httpx2.Request) -> None:
        self._anonymous(request)


class _AsyncClient(_Plain, AsyncOpenAI):
    async def _prepare_request(self, request: httpx2.Request) -> None:
        self._anonymous(request)


def _settings(base_url: str, api_key: str, http_client: Any) -> dict[str, Any]:
    # Given empty rather than left out: what is left out, the package takes from the environment.
    return {
        "base_url": base_url,
        "api_key": api_key,
        "admin_api_key": "",
        "organization": "",
        "project": "",
        "webhook_secret": "",
        "max_retries": 0,
        "timeout": None,
        "http_client": http_client,
        "_enforce_credentials": False,
    }


class Sdk:
    """The `openai` client of one endpoint. `explain` turns an HTTP error into a typed one; the default is Chat's."""

    def __init__(
        self,
        door: Door,
        *,
        base_url: str,
        host: str,
        entry: str,
        explain: Callable[..., MissyError] = faults.from_response,
    ) -> None:
        self._door = door
        self._base_url = base_url
        self._host = host
        self._entry = entry
        self._explain = explain
        self._sync: _Client | None = None
        self._async: _AsyncClient | None = None

    def _client(self) -> _Client:
        if self._sync is None:
            self._sync = _Client(**_settings(self._base_url, "", self._door.client()))
        return self._sync

    def _async_client(self) -> _AsyncClient:
        if self._async is None:
            self._async = _AsyncClient(**_settings(self._base_url, "", self._door.async_client()))
        return self._async

    @contextmanager
    def send(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        clock: Clock,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """Send, and give the response with its body unread. Raises a MissyError for any status but 2xx."""
        client = self._client()
        request = client.make(_options(method, path, credential, body, headers))
        with calling(Call(clock, entry=self._entry, credential=credential.id)):
            response = client._send_request(request, stream=True)
        try:
            if not response.is_success:
                response.read()
                raise self._typed(response, credential)
            yield response
        finally:
            response.close()

    @asynccontextmanager
    async def asend(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        clock: Clock,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """Like `send`, for async code."""
        client = self._async_client()
        request = client.make(_options(method, path, credential, body, headers))
        with calling(Call(clock, entry=self._entry, credential=credential.id)):
            response = await client._send_request(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise self._typed(response, credential)
            yield response
        finally:
            await response.aclose()

    def _typed(self, response: httpx2.Response, credential: Credential) -> MissyError:
        headers = {name.lower(): value for name, value in response.headers.items()}
        keyed = credential.secret is not None
        return self._explain(response.status_code, headers, response.content, host=self._host, keyed=keyed)

    def preview(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Request:
        """Build the request that `send` would send, with the credential masked."""
        request = self._client().make(_options(method, path, credential, body, headers))
        if "authorization" in request.headers:
            request.headers["authorization"] = _MASKED
        return request

    def bare(self, credential: Credential, headers: Mapping[str, str] | None = None) -> OpenAI:
        """Return a client for the user's own calls: a real `openai.OpenAI` over the same door."""
        key = credential.secret.reveal() if credential.secret else "none"
        client = _Client(**_settings(self._base_url, key, self._door.client()))
        client.own_headers = dict(headers or {})
        return client


def _options(
    method: str,
    path: str,
    credential: Credential,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
) -> FinalRequestOptions:
    secret = credential.secret
    authorization: Any = f"Bearer {secret.reveal()}" if secret else Omit()
    sent = {"Authorization": authorization, **(headers or {})}
    if body is None:
        return FinalRequestOptions.construct(method=method, url=path, headers=sent)
    return FinalRequestOptions.construct(method=method, url=path, headers=sent, json_data=body)
