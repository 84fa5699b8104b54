"""The door itself: an httpx2 transport, sync and async, that decides, records and bounds every request.

It never follows a redirect, never reads the environment, and sends only what was admitted, to where it was admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from missy.net.bodies import AsyncBody, SyncBody, tell
from missy.net.gate import CALL, Call
from missy.net.limits import Clock
from missy.net.resend import can_be_sent_twice, was_closed_unused

if TYPE_CHECKING:
    from missy.net.gate import Gate, Passage
    from missy.net.pool import Pool, Pools

BODY = (
    "missy.body"  # the response extension that is its body: raw bytes by iteration, `ended()` for the audit
)
_DEFAULT_TIMEOUT = 30.0  # seconds, for a request that came without a Call of its own


def _call(request: httpx2.Request) -> Call:
    """Return the Call that the request belongs to; a stranger's request gets its own clock, restarted by each byte."""
    call = CALL.get()
    if call is not None:
        return call
    timeout = request.extensions.get("timeout", {}).get("read") or _DEFAULT_TIMEOUT
    return Call(Clock(float(timeout)), live=True)


def _admit(gate: Gate, request: httpx2.Request, call: Call) -> Passage:
    url = request.url
    origin = f"{url.scheme}://{url.netloc.decode('latin-1')}"
    if url.userinfo:
        raise gate.invalid("credentials before the host in a URL", call, host=url.host)
    path = url.raw_path.partition(b"?")[0].decode("latin-1")
    if request.headers.get("host", "").lower() != url.netloc.decode("latin-1").lower():
        raise gate.invalid(f"the Host header is not {url.host}", call, host=url.host)
    return gate.admit(origin, request.method, path, call)


def _outgoing(request: httpx2.Request, passage: Passage) -> httpcore2.Request:
    """Build the request from what was decided on; no extension of the caller's (SNI, socket options) gets through."""
    target = passage.target
    clocks = {"connect": passage, "read": passage, "write": passage, "pool": None}
    headers = [
        (b"Host", target.authority.encode()),
        *(h for h in request.headers.raw if h[0].lower() != b"host"),
    ]
    return httpcore2.Request(
        request.method,
        httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=request.url.raw_path,
        ),
        headers=headers,
        content=request.stream,
        extensions={"timeout": clocks},
    )


def _response(response: httpcore2.Response, body: Any) -> httpx2.Response:
    # Already unpacked: httpx2 must not do it again, unbounded. And no cookie is kept: one jar would serve all endpoints.
    headers = [(k, v) for k, v in response.headers if k.lower() not in (b"content-encoding", b"set-cookie")]
    made = httpx2.Response(response.status, headers=headers, stream=body, extensions={BODY: body})
    made.encoding = "utf-8"  # the server's charset could name any codec, bz2 and idna too
    return made


class Transport(httpx2.BaseTransport):
    """The door for sync code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, if the policy allows. Raises MissyError of the fitting kind."""
        return self.send(request, _call(request))

    def send(self, request: httpx2.Request, call: Call) -> httpx2.Response:
        """Send one request on the account of `call`, if the policy allows. Raises MissyError of the fitting kind."""
        passage = _admit(self.gate, request, call)
        outgoing, pool = _outgoing(request, passage), self._pools.of(passage)
        connection: Any = None

        def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                connection.close()

        try:
            connection, response = self._exchange(
                pool, outgoing, passage, twice=can_be_sent_twice(request.stream)
            )
            body = SyncBody(
                self.gate,
                passage,
                response,
                restart=call.live,
                stream=response.stream,
                release=release,
            )
        except BaseException as error:
            if connection is not None:
                connection.close()
            tell(self.gate, passage, error)
        return _response(response, body)

    def _exchange(
        self, pool: Pool, outgoing: httpcore2.Request, passage: Passage, *, twice: bool
    ) -> tuple[Any, httpcore2.Response]:
        """Send over a connection that serves again, else over a new one; what cannot be sent twice needs a new one."""
        connection, dead = pool.take(outgoing.url.origin) if twice else (None, [])
        for old in dead:
            old.close()
        if connection is not None:
            try:
                return connection, connection.handle_request(outgoing)
            except BaseException as error:
                connection.close()
                if not was_closed_unused(error, passage):
                    raise
        while True:
            connection = pool.make(outgoing.url.origin)
            try:
                return connection, connection.handle_request(outgoing)
            except BaseException as error:
                connection.close()
                begun_ahead, passage.begun_ahead = passage.begun_ahead, False
                if not (twice and begun_ahead and was_closed_unused(error, passage)):
                    raise

    def close(self) -> None:
        """Close every idle connection; one in use is closed by its answer."""
        for connection in self._pools.drain():
            connection.close()


class AsyncTransport(httpx2.AsyncBaseTransport):
    """The door for async code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self.gate = gate
        self._pools = pools

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, if the policy allows. Raises MissyError of the fitting kind."""
        return await self.send(request, _call(request))

    async def send(self, request: httpx2.Request, call: Call) -> httpx2.Response:
        """Send one request on the account of `call`, if the policy allows. Raises MissyError of the fitting kind."""
        passage = _admit(self.gate, request, call)
        outgoing, pool = _outgoing(request, passage), self._pools.of(passage)
        connection: Any = None

        async def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                await connection.aclose()

        try:
            connection, response = await self._exchange(
                pool, outgoing, passage, twice=can_be_sent_twice(request.stream)
            )
            body = AsyncBody(
                self.gate,
                passage,
                response,
                restart=call.live,
                stream=response.stream,
                release=release,
            )
        except BaseException as error:
            if connection is not None:
                await connection.aclose()
            tell(self.gate, passage, error)
        return _response(response, body)

    async def _exchange(
        self, pool: Pool, outgoing: httpcore2.Request, passage: Passage, *, twice: bool
    ) -> tuple[Any, httpcore2.Response]:
        """Send over a connection that serves again, else over a new one; what cannot be sent twice needs a new one."""
        connection, dead = pool.take(outgoing.url.origin) if twice else (None, [])
        for old in dead:
            await old.aclose()
        if connection is not None:
            try:
                return connection, await connection.handle_async_request(outgoing)
            except BaseException as error:
                await connection.aclose()
                if not was_closed_unused(error, passage):
                    raise
        connection = pool.make(outgoing.url.origin)
        try:
            return connection, await connection.handle_async_request(outgoing)
        except BaseException:
            await connection.aclose()
            raise

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed by its answer."""
        for connection in self._pools.drain():
            await connection.aclose()
