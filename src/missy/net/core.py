"""Sending requests: authorize, record, connect or reuse a connection, send, limit the response.

Every request of Missy passes here; `transport` is the same with httpx2's interface, for lent clients. Redirects are
never followed, the environment is never read, and only an authorized request is sent, only to its authorized target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.net.bodies import AsyncBody, SyncBody, tell
from missy.net.messages import HttpRequest, HttpResponse, wire_headers
from missy.net.resend import was_closed_unused

if TYPE_CHECKING:
    from missy.net.connection import AsyncConnection, Connection
    from missy.net.gate import Attribution, Gate, RequestContext
    from missy.net.http1 import ResponseReader
    from missy.net.pool import Pool, Pools


def _authorize(gate: Gate, request: HttpRequest, attribution: Attribution) -> RequestContext:
    path = request.target.partition(b"?")[0].decode("latin-1")
    return gate.authorize(request.origin, request.method, path, attribution)


class Core:
    """Sends requests for sync code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    def send(self, request: HttpRequest, attribution: Attribution) -> HttpResponse:
        """Send one request if the policy allows it, recorded with `attribution`. Raises a typed MissyError."""
        context = _authorize(self.gate, request, attribution)
        pool = self._pools.of(context)
        connection: Any = None

        def release() -> None:
            if not pool.give(context.target, connection):
                connection.close()

        try:
            connection, response = self._exchange(pool, request, context)
            body = SyncBody(self.gate, context, response, receive=connection.receive, release=release)
        except BaseException as error:
            if connection is not None:
                connection.close()
            tell(self.gate, context, error)
        return HttpResponse(response.status, response.headers, body)

    def _exchange(
        self, pool: Pool, request: HttpRequest, context: RequestContext
    ) -> tuple[Connection, ResponseReader]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        headers = wire_headers(request, context.target.authority)
        connection, dead = pool.take(context.target) if request.repeatable else (None, [])
        for old in dead:
            old.close()
        if connection is not None:
            try:
                return connection, connection.send(request, headers, context)
            except BaseException as error:
                connection.close()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make()
            try:
                return connection, connection.send(request, headers, context)
            except BaseException as error:
                connection.close()
                is_preconnected, context.is_preconnected = context.is_preconnected, False
                if not (request.repeatable and is_preconnected and was_closed_unused(error, context)):
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
        pool = self._pools.of(context)
        connection: Any = None

        async def release() -> None:
            if not pool.give(context.target, connection):
                await connection.aclose()

        try:
            connection, response = await self._exchange(pool, request, context)
            body = AsyncBody(self.gate, context, response, receive=connection.receive, release=release)
        except BaseException as error:
            if connection is not None:
                await connection.aclose()
            tell(self.gate, context, error)
        return HttpResponse(response.status, response.headers, body)

    async def _exchange(
        self, pool: Pool, request: HttpRequest, context: RequestContext
    ) -> tuple[AsyncConnection, ResponseReader]:
        """Send over an idle connection, else over a new one; a request that cannot be repeated needs a new one."""
        headers = wire_headers(request, context.target.authority)
        connection, dead = pool.take(context.target) if request.repeatable else (None, [])
        for old in dead:
            await old.aclose()
        if connection is not None:
            try:
                return connection, await connection.send(request, headers, context)
            except BaseException as error:
                await connection.aclose()
                if not was_closed_unused(error, context):
                    raise
        while True:
            connection = pool.make()
            try:
                return connection, await connection.send(request, headers, context)
            except BaseException as error:
                await connection.aclose()
                is_preconnected, context.is_preconnected = context.is_preconnected, False
                if not (request.repeatable and is_preconnected and was_closed_unused(error, context)):
                    raise

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed by its response."""
        for connection in self._pools.drain():
            await connection.aclose()
