"""The `openai` package over the door: the only file that imports it.

It carries the model calls: their URLs, headers and authentication are its own. What it would read from the environment,
what it would add to fingerprint us, its retries and its response models stay out: raw bytes come back.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from openai._models import FinalRequestOptions

from missy.errors import MissyError, ProviderError
from missy.net.client import USER_AGENT, calling
from missy.net.gate import Call
from missy.providers import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from missy.net.client import Door
    from missy.net.limits import Clock
    from missy.secrets.resolve import Credential

_MASKED = "Bearer ***"


class _Plain:
    """What both clients do differently from the stock ones: no fingerprint, nothing from the environment."""

    own_headers: Mapping[str, str] = MappingProxyType({})

    @property
    def default_headers(self) -> dict[str, Any]:
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **self.own_headers,
        }

    def _prepare_request(self, request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower().startswith("x-stainless")]:
            del request.headers[name]


class _Client(_Plain, openai.OpenAI):
    pass


class _AsyncClient(_Plain, openai.AsyncOpenAI):
    async def _prepare_request(self, request: httpx2.Request) -> None:  # type: ignore[override]
        _Plain._prepare_request(self, request)


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
        options = _options(method, path, credential, body, headers)
        call = Call(clock, entry=self._entry, credential=credential.id)
        try:
            with calling(call):
                response: Any = self._client().request(
                    httpx2.Response, options, stream=True, stream_cls=openai.Stream[Any]
                )
        except openai.APIError as error:
            raise self._typed(error, credential) from error
        try:
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
        options = _options(method, path, credential, body, headers)
        call = Call(clock, entry=self._entry, credential=credential.id)
        try:
            with calling(call):
                response: Any = await self._async_client().request(
                    httpx2.Response, options, stream=True, stream_cls=openai.AsyncStream[Any]
                )
        except openai.APIError as error:
            raise self._typed(error, credential) from error
        try:
            yield response
        finally:
            await response.aclose()

    def _typed(self, error: openai.APIError, credential: Credential) -> MissyError:
        if isinstance(error, openai.APIStatusError):
            response = error.response
            headers = {name.lower(): value for name, value in response.headers.items()}
            return self._explain(
                response.status_code,
                headers,
                response.content,
                host=self._host,
                keyed=credential.secret is not None,
            )
        return ProviderError(f"the call to {self._host} failed: {type(error).__name__}: {error}")

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
        client = self._client()
        request = client._build_request(_options(method, path, credential, body, headers))
        client._prepare_request(request)
        if "authorization" in request.headers:
            request.headers["authorization"] = _MASKED
        return request

    def bare(self, credential: Credential, headers: Mapping[str, str] | None = None) -> openai.OpenAI:
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
    authorization: Any = f"Bearer {secret.reveal()}" if secret else openai.Omit()
    sent = {"Authorization": authorization, **(headers or {})}
    if body is None:
        return FinalRequestOptions.construct(method=method, url=path, headers=sent)
    return FinalRequestOptions.construct(method=method, url=path, headers=sent, json_data=body)
