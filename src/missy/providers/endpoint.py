"""One endpoint of one entry: builds its requests, sends them through the door, and maps its HTTP errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.governor.core import Governor
from missy.net.door import read_whole
from missy.net.gate import Attribution
from missy.net.limits import MAX_ERROR, Clock
from missy.net.messages import HttpRequest, wire_headers
from missy.policy import parse
from missy.providers import faults
from missy.providers.heads import HeadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.errors import MissyError
    from missy.net.client_lease import Account, RequestCredentials
    from missy.net.core import AsyncCore, Core
    from missy.net.door import Door
    from missy.net.messages import HttpResponse
    from missy.providers.heads import HeadStore
    from missy.secrets.resolve import Credential

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class BuiltRequest(NamedTuple):
    """A request for a preview: it is not sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Endpoint:
    """Builds and sends the calls of one endpoint. `explain` maps an HTTP error to a typed one (Chat's by default).

    `governor` knows how long the endpoint asked to wait.
    """

    def __init__(
        self,
        door: Door,
        *,
        base_url: str,
        host: str,
        entry: str,
        heads: HeadStore,
        governor: Governor | None = None,
        explain: Callable[..., MissyError] = faults.from_response,
    ) -> None:
        self._door = door
        self._base_url = base_url
        self._home = parse(base_url)
        _, slash, base = base_url.partition("://")[2].partition("/")
        self._base = f"{slash}{base}".rstrip("/")
        self._origin = str(self._home)
        self._host = host
        self._entry = entry
        self._heads = heads
        self._explain = explain
        self.governor: Governor = governor or Governor()

    def require(self) -> None:
        """Raise PolicyError if the policy refuses the endpoint, before its credential is looked up."""
        self._door.gate.require(self._base_url, Attribution(Clock(1), entry=self._entry))

    def core(self) -> Core:
        """Return the sender for sync code."""
        return self._door.core()

    def async_core(self) -> AsyncCore:
        """Return the sender for async code on the running loop."""
        return self._door.async_core()

    def attribution(
        self, credential: Credential, clock: Clock, recorded: Mapping[str, str] | None = None
    ) -> Attribution:
        """Return the attribution of a request, with its clock, and with what else is `recorded` of it."""
        extras = {**credential.extras.names, **(recorded or {})}
        return Attribution(clock, entry=self._entry, credential=credential.id, extras=extras)

    def build(
        self,
        method: str,
        path: str,
        credential: Credential,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> HttpRequest:
        """Build a request from the package's head for this endpoint, the body and the caller's headers."""
        values = {**headers, **credential.extras.plain_headers(), **_key_header(credential)}
        key = HeadKey(method.upper(), self._base, path, tuple(values), body is not None)
        head = self._heads.find(key)
        if head is None:
            from missy.providers._sdk import make_head

            head = make_head(key)
            self._heads.keep(key, head)
        content = None
        if body is not None:
            # A lone surrogate can only be the model's own, in an earlier tool call: what a user gives is checked before.
            content = _encode(body).encode("utf-8", "replace")
        target, query = head.target, credential.extras.url_query()
        if query:
            target += ("&" if "?" in target else "?") + query
        filled = head.fill({name.lower(): value for name, value in values.items()})
        return HttpRequest(head.method, self._origin, target.encode("ascii"), filled, content)

    def build_plain(self, path: str, credential: Credential, content: bytes) -> HttpRequest:
        """Build a POST of JSON that another program wrote; no package makes its head."""
        from missy.net.door import client_headers

        values = {
            **client_headers(),
            "Content-Type": "application/json",
            **credential.extras.plain_headers(),
            **_key_header(credential),
        }
        target = self._base + path
        query = credential.extras.url_query()
        target += f"?{query}" if query else ""
        headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in values.items()]
        return HttpRequest("POST", str(self._home), target.encode("ascii"), headers, content)

    def fetch(
        self,
        path: str,
        *,
        credential: Credential,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        limit: int,
    ) -> tuple[HttpResponse, bytes]:
        """GET a complete response of at most `limit` bytes. Raises a MissyError for any status except 2xx."""
        request = self.build("get", path, credential, None, headers or {})
        response = self.core().send(request, self.attribution(credential, clock))
        raw = read_whole(response, limit if response.status < 300 else MAX_ERROR, self._host)
        if not 200 <= response.status < 300:
            raise self.error(response, raw, credential, None)
        return response, raw

    def error(
        self, response: HttpResponse, raw: bytes, credential: Credential, body: Mapping[str, Any] | None
    ) -> MissyError:
        """Map a response with an error status to an error; `body` is the body of the request."""
        keyed = credential.secret is not None or credential.source != "none"  # or a header carries the secret
        model = body.get("model") if body else None
        return self._explain(
            response.status, response.headers, raw, host=self._host, keyed=keyed, model=model
        )

    def preview(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> BuiltRequest:
        """Build the request that `send` would send, without secrets."""
        made = self.build(method, path, credential.masked(), body, headers or {})
        sent = wire_headers(made, self._home.authority)
        shown = {name.decode("ascii"): value.decode("ascii") for name, value in sent}
        return BuiltRequest(
            made.method, made.origin + made.target.decode("ascii"), shown, made.content or b""
        )

    def account(self, request_credentials: Callable[[], RequestCredentials], *, timeout: float) -> Account:
        """Return the account of a lent client's request; `request_credentials` returns its credential when it is sent."""
        from missy.net.client_lease import Account

        return Account(self._door, self._base_url, self._home, self._entry, timeout, request_credentials)

    def request_credentials(
        self,
        credential: Credential,
        headers: Mapping[str, str] | None = None,
        renew: Callable[[], RequestCredentials] | None = None,
    ) -> RequestCredentials:
        """Return the credentials of a lent client's request."""
        from missy.net.client_lease import RequestCredentials

        extras = credential.extras
        return RequestCredentials(
            credential.id,
            {**_key_header(credential), **(headers or {})},
            renew,
            extras.plain_headers(),
            extras.url_query(),
            extras.names,
        )


def _key_header(credential: Credential) -> dict[str, str]:
    """Return the header with the key, none without a key."""
    if not credential.secret:
        return {}
    key, bare = credential.secret.reveal(), credential.extras.key_header
    return {bare: key} if bare else {"Authorization": f"Bearer {key}"}
