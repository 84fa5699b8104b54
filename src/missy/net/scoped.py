"""Transports for lent clients: whatever their user does, they reach only the origin of one entry.

A lent client has no credential. It sends a placeholder, which is replaced here by the entry's current credential, only
if the request goes to the entry's scheme, host and port.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2

from missy.errors import MissyError
from missy.net.client_lease import translate_error
from missy.net.door import client_headers, client_options
from missy.net.gate import Attribution
from missy.net.limits import Clock
from missy.net.transport import BODY, asend, send
from missy.net.watched_body import AsyncWatched, SyncWatched
from missy.policy import InvalidURL, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.net.client_lease import Account, Lease, RequestCredentials

STAND_IN = "held-by-missy"  # the client's "key": a placeholder for the entry's credential
_WRITTEN = f"bearer {STAND_IN}"
_FINGERPRINT = b"x-stainless-"  # the package's telemetry headers: system, versions, retry count


def _attribution(
    request: httpx2.Request, account: Account, credential: str, extras: Mapping[str, str] | None = None
) -> Attribution:
    """Start the clock, with the shorter idle timeout of the entry and the caller."""
    asked = request.extensions.get("timeout", {})
    read, connect = asked.get("read"), asked.get("connect")
    clock = Clock(account.timeout if read is None else min(account.timeout, read))
    clock.reset_idle(connect)
    return Attribution(clock, entry=account.entry, credential=credential, extras=extras, live=True)


def _require_own_origin(request: httpx2.Request, account: Account) -> None:
    """Refuse a request to another origin than the entry's. Raises PolicyError before any lookup or connection."""
    url, attribution, gate = request.url, _attribution(request, account, "none"), account.door.gate
    try:
        target = parse(f"{url.scheme}://{url.netloc.decode('latin-1')}")
    except InvalidURL as error:
        raise gate.invalid(str(error), attribution, host=url.host) from error
    if target != account.home:
        raise gate.deny_outright(
            target,
            attribution,
            f"this client is for {account.home}, not for {target}",
            rule="entry_only",
            hint="ask for a client of the entry that names this endpoint",
            method=request.method,
            path=url.raw_path.decode("latin-1"),
        )
    gate.require(str(target), attribution)


def _with_query(url: httpx2.URL, query: str) -> httpx2.URL:
    """Return a URL with encoded parameters added to its query."""
    if not query:
        return url
    before = url.query.decode("ascii")
    return url.copy_with(query=(f"{before}&{query}" if before else query).encode("ascii"))


def _has_stand_in(request: httpx2.Request) -> bool:
    return request.headers.get("authorization", "").lower() == _WRITTEN


def _with_credentials(
    request: httpx2.Request, request_credentials: RequestCredentials
) -> tuple[httpx2.Request, str]:
    """Return the request to send and the name of its credential. The client's own request is not changed."""
    headers = [(k, v) for k, v in request.headers.raw if not k.lower().startswith(_FINGERPRINT)]
    credential = "caller" if "authorization" in request.headers else "none"
    given, instead = dict(request_credentials.extra_headers), set[bytes]()
    if _has_stand_in(request):
        given |= request_credentials.headers
        instead, credential = {b"authorization"}, request_credentials.credential
    instead |= {name.lower().encode() for name in given}
    kept = [(k, v) for k, v in headers if k.lower() not in instead]
    headers = kept + [(name.encode(), value.encode()) for name, value in given.items()]
    url = _with_query(request.url, request_credentials.query)
    made = httpx2.Request(request.method, url, headers=headers, stream=request.stream)
    return made, credential


class ScopedTransport(httpx2.BaseTransport):
    """The transport of a lent client, for sync code."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the entry's origin. Raises a typed MissyError as a class that the client's user expects."""
        try:
            account = self._lease.account()
            _require_own_origin(request, account)
            request_credentials = account.request_credentials()
            response = self._send(request, account, request_credentials)
            if (
                response.status_code == 401
                and request_credentials.renew
                and _has_stand_in(request)
                and isinstance(request.stream, httpx2.ByteStream)
            ):
                response.read()
                response.close()
                response = self._send(request, account, request_credentials.renew())
        except MissyError as error:
            raise translate_error(error, request, self._lease) from error
        response.stream = SyncWatched(response.extensions[BODY], self._lease, request, response)
        return response

    @staticmethod
    def _send(
        request: httpx2.Request, account: Account, request_credentials: RequestCredentials
    ) -> httpx2.Response:
        outgoing, credential = _with_credentials(request, request_credentials)
        return send(
            account.door.core(),
            outgoing,
            _attribution(request, account, credential, request_credentials.extras),
        )


class AsyncScopedTransport(httpx2.AsyncBaseTransport):
    """The same for async code. What may block on a file, a child process or the network runs in a thread."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the entry's origin. Raises a typed MissyError as a class that the client's user expects."""
        try:
            account = await asyncio.to_thread(self._lease.account)
            _require_own_origin(request, account)
            request_credentials = await asyncio.to_thread(account.request_credentials)
            response = await self._send(request, account, request_credentials)
            if (
                response.status_code == 401
                and request_credentials.renew
                and _has_stand_in(request)
                and isinstance(request.stream, httpx2.ByteStream)
            ):
                await response.aread()
                await response.aclose()
                response = await self._send(
                    request, account, await asyncio.to_thread(request_credentials.renew)
                )
        except MissyError as error:
            raise translate_error(error, request, self._lease) from error
        response.stream = AsyncWatched(response.extensions[BODY], self._lease, request, response)
        return response

    @staticmethod
    async def _send(
        request: httpx2.Request, account: Account, request_credentials: RequestCredentials
    ) -> httpx2.Response:
        outgoing, credential = _with_credentials(request, request_credentials)
        return await asend(
            account.door.async_core(),
            outgoing,
            _attribution(request, account, credential, request_credentials.extras),
        )


class ScopedClient(httpx2.Client):
    """An HTTP client that reaches only one entry's origin."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(transport=ScopedTransport(lease), headers=client_headers(), **client_options())
        self.lease = lease


class AsyncScopedClient(httpx2.AsyncClient):
    """The same for async code."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(transport=AsyncScopedTransport(lease), headers=client_headers(), **client_options())
        self.lease = lease
