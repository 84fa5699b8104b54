"""Sending requests: authorize, record, connect or reuse a connection, send, limit the response.

Every request of Missy passes here; `transport` is the same with httpx2's interface, for lent clients. Redirects are
never followed, the environment is never read, and only an authorized request is sent, only to its authorized target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from missy.net.bodies import AsyncBody, SyncBody, tell
from missy.net.connection import Outgoing
from missy.net.resend import was_closed_unused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.net.connection import AsyncConnection, Connection
    from missy.net.gate import Attribution, Gate, RequestContext
    from missy.net.http1 import Head
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


def _outgoing(request: HttpRequest, context: RequestContext) -> Outgoing:
    """Build the request as sent; its Host is the authorized target."""
    headers = wire_headers(request, context.target.authority)
    return Outgoing(request.method, request.target, headers, request.content)


class Core:
    """Sends requests for sync code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    def send(self, request: HttpRequest, attribution: Attribution) -> HttpResponse:
        """Send one request if the policy allows it, recorded with `attribution`. Raises a typed MissyError."""
        context = _authorize(self.gate, request, attribution)
        outgoing, pool = _outgoing(request, context), self._pools.of(context)
        try:
            connection, head = self._exchange(pool, outgoing, context, repeatable=request.repeatable)
        except BaseException as error:
            tell(self.gate, context, error)
        return HttpResponse(head.status, head.headers, SyncBody(self.gate, context, head, pool, connection))

    def _exchange(
        self, pool: Pool, outgoing: Outgoing, context: RequestContext, *, repeatable: bool
    ) -> tuple[Connection, Head]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        connection, dead = pool.take(context.target) if repeatable else (None, [])
        for old in dead:
            old.close()
        if connection is not None:
            try:
                return connection, connection.send(outgoing, context)
            except BaseException as error:
                connection.close()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make()
            try:
                return connection, connection.send(outgoing, context)
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
        try:
            connection, head = await self._exchange(pool, outgoing, context, repeatable=request.repeatable)
        except BaseException as error:
            tell(self.gate, context, error)
        return HttpResponse(head.status, head.headers, AsyncBody(self.gate, context, head, pool, connection))

    async def _exchange(
        self, pool: Pool, outgoing: Outgoing, context: RequestContext, *, repeatable: bool
    ) -> tuple[AsyncConnection, Head]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        connection, dead = pool.take(context.target) if repeatable else (None, [])
        for old in dead:
            await old.aclose()
        if connection is not None:
            try:
                return connection, await connection.send(outgoing, context)
            except BaseException as error:
                await connection.aclose()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make()
            try:
                return connection, await connection.send(outgoing, context)
            except BaseException as error:
                await connection.aclose()
                is_preconnected, context.is_preconnected = context.is_preconnected, False
                if not (repeatable and is_preconnected and was_closed_unused(error, context)):
                    raise

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed by its response."""
        for connection in self._pools.drain():
            await connection.aclose()
