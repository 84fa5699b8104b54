"""The `openai` package over the door of our own calls.

It builds the model calls: their URLs, headers and authentication are its own, made once for each endpoint and credential.
What it would read from the environment, what it would add to fingerprint us, its retries and its response models stay
out: the request goes to the door as it is, and raw bytes come back.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

# From the modules that define them: `import openai` would load its other services too, twice the time.
from openai._base_client import SyncAPIClient
from openai._models import FinalRequestOptions
from openai._types import Omit

from missy.net.door import USER_AGENT, calling
from missy.net.gate import Call
from missy.net.limits import Clock
from missy.net.transport import BODY
from missy.net.urls import with_query
from missy.policy import parse
from missy.providers import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from missy.errors import MissyError
    from missy.net.door import Door
    from missy.net.lease import Account, Papers
    from missy.secrets.resolve import Credential

_Head = tuple[str, httpx2.URL, list[tuple[bytes, bytes]]]  # method, URL, headers

_MOST = 64  # requests kept to be sent again with another body


def _plain_headers() -> dict[str, Any]:
    return {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": USER_AGENT}


def _make_anonymous(request: httpx2.Request) -> None:
    for name in [name for name in request.headers if name.lower().startswith("x-stainless")]:
        del request.headers[name]


class _Builder(SyncAPIClient):
    """Builds requests as the package builds them, without its fingerprint."""

    @property
    def default_headers(self) -> dict[str, Any]:
        return _plain_headers()

    def make(self, options: FinalRequestOptions) -> httpx2.Request:
        request = self._build_request(options)
        _make_anonymous(request)
        return request


def _key_header(credential: Credential) -> dict[str, str]:
    """Return the header that carries the key, none without one."""
    if not credential.secret:
        return {}
    key, bare = credential.secret.reveal(), credential.extras.key_header
    return {bare: key} if bare else {"Authorization": f"Bearer {key}"}


class Sdk:
    """The `openai` package for one endpoint. `explain` turns an HTTP error into a typed one; the default is Chat's."""

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
        self._builder: _Builder | None = None
        self._made: dict[tuple[object, ...], _Head] = {}

    def require(self) -> None:
        """Raise PolicyError where the policy refuses the endpoint: before its credential is looked for."""
        self._door.gate.require(self._base_url, Call(Clock(1), entry=self._entry))

    def _call(self, credential: Credential, clock: Clock) -> Call:
        return Call(clock, entry=self._entry, credential=credential.id, extras=credential.extras.names)

    def _build(
        self,
        method: str,
        path: str,
        credential: Credential,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> httpx2.Request:
        """Put a body under the request line and the headers that the package makes, once for each credential."""
        key = (method, path, credential.secret, credential.extras, tuple(headers.items()), body is None)
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= _MOST:
                self._made.clear()
            known = self._made[key] = self._make(method, path, credential, headers, has_body=body is not None)
        verb, url, kept = known
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return httpx2.Request(verb, url, headers=kept, content=content)

    def _make(
        self, method: str, path: str, credential: Credential, headers: Mapping[str, str], *, has_body: bool
    ) -> _Head:
        if self._builder is None:
            self._builder = _Builder(
                version="", base_url=self._base_url, max_retries=0, timeout=None, http_client=self._door.client(),
                _strict_response_validation=False,
            )  # fmt: skip
        options: dict[str, Any] = {
            "method": method,
            "url": path,
            "headers": {
                "Authorization": Omit(),
                **headers,
                **credential.extras.plain_headers(),
                **_key_header(credential),
            },
        }
        if has_body:
            options["json_data"] = {}
        made = self._builder.make(FinalRequestOptions.construct(**options))
        kept = [(name, value) for name, value in made.headers.raw if name.lower() != b"content-length"]
        return made.method, with_query(made.url, credential.extras.url_query()), kept

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
        request = self._build(method, path, credential, body, headers or {})
        with calling(self._call(credential, clock)):
            response = self._door.transport().handle_request(request)
        try:
            if not response.is_success:
                raise self._typed(response, b"".join(response.extensions[BODY]), credential, body)
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
        request = self._build(method, path, credential, body, headers or {})
        with calling(self._call(credential, clock)):
            response = await self._door.async_transport().handle_async_request(request)
        try:
            if not response.is_success:
                raw = b"".join([piece async for piece in response.extensions[BODY]])
                raise self._typed(response, raw, credential, body)
            yield response
        finally:
            await response.aclose()

    def _typed(
        self, response: httpx2.Response, raw: bytes, credential: Credential, body: Mapping[str, Any] | None
    ) -> MissyError:
        headers = {name.lower(): value for name, value in response.headers.items()}
        keyed = credential.secret is not None
        model = body.get("model") if body else None
        return self._explain(response.status_code, headers, raw, host=self._host, keyed=keyed, model=model)

    def preview(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Request:
        """Build the request that `send` would send, without a secret in it."""
        return self._build(method, path, credential.masked(), body, headers or {})

    def account(self, papers: Callable[[], Papers], *, timeout: float) -> Account:
        """Return whose account a request of a lent client is on; `papers` gives its credential when it is sent."""
        from missy.net.lease import Account

        return Account(self._door, self._base_url, parse(self._base_url), self._entry, timeout, papers)

    def papers(
        self,
        credential: Credential,
        headers: Mapping[str, str] | None = None,
        renew: Callable[[], Papers] | None = None,
    ) -> Papers:
        """Return what a request of a lent client goes out with."""
        from missy.net.lease import Papers

        extras = credential.extras
        return Papers(
            credential.id,
            {**_key_header(credential), **(headers or {})},
            renew,
            extras.plain_headers(),
            extras.url_query(),
            extras.names,
        )
