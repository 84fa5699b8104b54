"""Sending requests over httpcore2: authorize, record, connect or reuse a connection, send, limit the response.

Every request of Missy passes here; `transport` is the same with httpx2's interface, for lent clients. Redirects are
never followed, the environment is never read, and only an authorized request is sent, only to its authorized target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import httpcore2

from missy.net.bodies import AsyncBody, SyncBody, tell
from missy.net.resend import was_closed_unused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.net.gate import Attribution, Gate, RequestContext
    from missy.net.pool import Pool, Pools

    Headers = Sequence[tuple[bytes, bytes]]


class HttpRequest(NamedTuple):
    """One request. `headers` have no Host: it is made from the authorized target.

    `origin` is scheme, host and port; `target` is path and query as sent. `content` is bytes or an iterable of bytes;
    `repeatable` tells whether it can be sent a second time.
    """

    method: str
    origin: str
    target: bytes
    headers: Headers
    content: Any = None
    repeatable: bool = True


class HttpResponse(NamedTuple):
    """A response: its status, headers and unread body. Iterate over the body for raw bytes, and close it."""

    status: int
    raw_headers: Headers
    body: Any

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of several with the same name, the last."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}


def wire_headers(request: HttpRequest, authority: str) -> list[tuple[bytes, bytes]]:
    """Return all headers of a request to `authority` as sent, including those that no caller sets."""
    headers = [(b"Host", authority.encode()), *request.headers]
    if isinstance(request.content, bytes):
        headers.append((b"Content-Length", str(len(request.content)).encode()))
    return headers


def _authorize(gate: Gate, request: HttpRequest, attribution: Attribution) -> RequestContext:
    path = request.target.partition(b"?")[0].decode("latin-1")
    return gate.authorize(request.origin, request.method, path, attribution)


def _outgoing(request: HttpRequest, context: RequestContext) -> httpcore2.Request:
    """Build httpcore2's request from the authorized target; a caller's extensions (SNI, socket options) are dropped."""
    target = context.target
    return httpcore2.Request(
        request.method,
        httpcore2.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=request.target
        ),
        headers=wire_headers(request, target.authority),
        content=request.content,
        extensions={"timeout": {"connect": context, "read": context, "write": context, "pool": None}},
    )


class Core:
    """Sends requests for sync code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    def send(self, request: HttpRequest, attribution: Attribution) -> HttpResponse:
        """Send one request if the policy allows it, recorded with `attribution`. Raises a typed MissyError."""
        context = _authorize(self.gate, request, attribution)
        outgoing, pool = _outgoing(request, context), self._pools.of(context)
        connection: Any = None

        def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                connection.close()

        try:
            connection, response = self._exchange(pool, outgoing, context, repeatable=request.repeatable)
            body = SyncBody(self.gate, context, response, stream=response.stream, release=release)
        except BaseException as error:
            if connection is not None:
                connection.close()
            tell(self.gate, context, error)
        return HttpResponse(response.status, response.headers, body)

    def _exchange(
        self, pool: Pool, outgoing: httpcore2.Request, context: RequestContext, *, repeatable: bool
    ) -> tuple[Any, httpcore2.Response]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        connection, dead = pool.take(outgoing.url.origin) if repeatable else (None, [])
        for old in dead:
            old.close()
        if connection is not None:
            try:
                return connection, connection.handle_request(outgoing)
            except BaseException as error:
                connection.close()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make(outgoing.url.origin)
            try:
                return connection, connection.handle_request(outgoing)
            except BaseException as error:
                connection.close()
                is_preconnected, context.is_preconnected = context.is_preconnected, False
                if not (repeatable and is_preconnected and was_closed_unused(error, context)):
                    raise

    def close(self) -> None:
        """Close every idle connection; one in use is closed by its response."""
        for connection in self._pools.drain():
            connection.close()


class AsyncCore:
    """Sends requests for async code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    async def send(self, request: HttpRequest, attribution: Attribution) -> HttpResponse:
        """Send one request if the policy allows it, recorded with `attribution`. Raises a typed MissyError."""
        context = _authorize(self.gate, request, attribution)
        outgoing, pool = _outgoing(request, context), self._pools.of(context)
        connection: Any = None

        async def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                await connection.aclose()

        try:
            connection, response = await self._exchange(
                pool, outgoing, context, repeatable=request.repeatable
            )
            body = AsyncBody(self.gate, context, response, stream=response.stream, release=release)
        except BaseException as error:
            if connection is not None:
                await connection.aclose()
            tell(self.gate, context, error)
        return HttpResponse(response.status, response.headers, body)

    async def _exchange(
        self, pool: Pool, outgoing: httpcore2.Request, context: RequestContext, *, repeatable: bool
    ) -> tuple[Any, httpcore2.Response]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        connection, dead = pool.take(outgoing.url.origin) if repeatable else (None, [])
        for old in dead:
            await old.aclose()
        if connection is not None:
            try:
                return connection, await connection.handle_async_request(outgoing)
            except BaseException as error:
                await connection.aclose()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make(outgoing.url.origin)
            try:
                return connection, await connection.handle_async_request(outgoing)
            except BaseException as error:
                await connection.aclose()
                is_preconnected, context.is_preconnected = context.is_preconnected, False
                if not (repeatable and is_preconnected and was_closed_unused(error, context)):
                    raise

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed by its response."""
        for connection in self._pools.drain():
            await connection.aclose()
