"""The door itself: an httpx2 transport, sync and async, that decides, records and bounds every request.

It never follows a redirect, never reads the environment, and sends only what was admitted, to where it was admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import httpcore2
import httpx2

from missy.errors import BadReply
from missy.net import connection_errors
from missy.net.gate import CALL, Call
from missy.net.limits import MAX_ERROR, MAX_STREAM, Clock, Inflate
from missy.net.pool import Pool

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from missy.net.gate import Gate, Passage

BODY = (
    "missy.body"  # the response extension that is its body: raw bytes by iteration, `ended()` for the audit
)
_KEEP_ALIVE = 60.0  # seconds that an idle connection is kept
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


def _tell(gate: Gate, passage: Passage, error: BaseException, *, status: int | None = None) -> NoReturn:
    """Put on record how a request failed, and raise it in our own words."""
    told = connection_errors.translate(error, passage.target.host, passage.target.port)
    gate.end(passage, status=status, error=told)
    if told is error:
        raise error
    raise told from error


class BrokenOff(Exception):
    """The reader stopped before the reply was over: a name for the audit, never raised."""


class _Body:
    """The bounded way of a reply's bytes: unpacked in small steps, counted, and on record when it ends."""

    def __init__(self, gate: Gate, passage: Passage, response: httpcore2.Response, *, restart: bool) -> None:
        self._gate = gate
        self._passage = passage
        self._status = response.status
        self._restart = restart
        self._bytes = 0
        self._whole = False
        self._most = MAX_STREAM if 200 <= response.status < 300 else MAX_ERROR
        gate.heard = response.headers
        encoding = next((v for k, v in response.headers if k.lower() == b"content-encoding"), b"identity")
        plain = encoding.lower() in (b"identity", b"")
        self._inflate = None if plain else Inflate(encoding.decode("latin-1"))

    def count(self, length: int) -> None:
        self._bytes += length
        if self._bytes > self._most:
            raise BadReply(f"the reply ({self._status}) is longer than {self._most >> 20} MiB")
        if self._restart:
            self._passage.clock.restart()

    def unpacked(self, chunk: bytes) -> list[bytes]:
        assert self._inflate is not None
        pieces = self._inflate.feed(chunk)
        self.count(sum(map(len, pieces)))
        return pieces

    def failed(self, error: BaseException) -> NoReturn:
        _tell(self._gate, self._passage, error, status=self._status)

    def ended(self, error: BaseException | None = None) -> None:
        """Close the audit's line: the answer is over, or `error` is what became of it."""
        self._gate.end(self._passage, status=self._status, error=error)


class _SyncBody(_Body, httpx2.SyncByteStream):
    def __init__(self, *args: Any, stream: Any, release: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stream = stream
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                if self._inflate is None:
                    self.count(len(chunk))
                    yield chunk
                else:
                    yield from self.unpacked(chunk)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failed(error)
        self._whole = True  # whoever reads says what it was, or closes it

    def close(self) -> None:
        self._stream.close()
        self._release()
        self.ended(None if self._whole else BrokenOff())


class _AsyncBody(_Body, httpx2.AsyncByteStream):
    def __init__(
        self, *args: Any, stream: Any, release: Callable[[], Awaitable[None]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stream = stream
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                if self._inflate is None:
                    self.count(len(chunk))
                    yield chunk
                else:
                    for piece in self.unpacked(chunk):
                        yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failed(error)
        self._whole = True  # whoever reads says what it was, or closes it

    async def aclose(self) -> None:
        await self._stream.aclose()
        await self._release()
        self.ended(None if self._whole else BrokenOff())


def _response(response: httpcore2.Response, body: Any) -> httpx2.Response:
    # Already unpacked: httpx2 must not do it again, unbounded. And no cookie is kept: one jar would serve all endpoints.
    headers = [(k, v) for k, v in response.headers if k.lower() not in (b"content-encoding", b"set-cookie")]
    made = httpx2.Response(response.status, headers=headers, stream=body, extensions={BODY: body})
    made.encoding = "utf-8"  # the server's charset could name any codec, bz2 and idna too
    return made


class Pools:
    """The pools of one transport: direct, and through `network.proxy` for https to other machines."""

    def __init__(self, direct: Pool, proxied: Pool | None) -> None:
        self._direct = direct
        self._proxied = proxied

    def of(self, passage: Passage) -> Pool:
        """Choose. Plain http and this machine itself never go through a proxy."""
        own = passage.target.scheme == "http" or passage.target.is_loopback
        return self._direct if own or self._proxied is None else self._proxied

    def drain(self) -> list[Any]:
        """Give up every idle connection, for the caller to close."""
        return self._direct.drain() + (self._proxied.drain() if self._proxied else [])


class Transport(httpx2.BaseTransport):
    """The door for sync code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self._gate = gate
        self._pools = pools

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, if the policy allows. Raises MissyError of the fitting kind."""
        call = _call(request)
        passage = _admit(self._gate, request, call)
        outgoing, pool = _outgoing(request, passage), self._pools.of(passage)
        connection: Any = None

        def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                connection.close()

        try:
            connection, dead = pool.take(outgoing.url.origin)
            for old in dead:
                old.close()
            response = connection.handle_request(outgoing)
            body = _SyncBody(
                self._gate,
                passage,
                response,
                restart=call.live,
                stream=response.stream,
                release=release,
            )
        except BaseException as error:
            if connection is not None:
                connection.close()
            _tell(self._gate, passage, error)
        return _response(response, body)

    def close(self) -> None:
        """Close every idle connection; one in use is closed by its answer."""
        for connection in self._pools.drain():
            connection.close()


class Lent(httpx2.BaseTransport):
    """The door for a client that is lent out: every request is on the account of one entry."""

    def __init__(self, door: Transport, *, entry: str, credential: str, timeout: float) -> None:
        self._door = door
        self._entry = entry
        self._credential = credential
        self._timeout = timeout

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, if the policy allows. Raises MissyError of the fitting kind."""
        token = CALL.set(
            Call(Clock(self._timeout), entry=self._entry, credential=self._credential, live=True)
        )
        try:
            return self._door.handle_request(request)
        finally:
            CALL.reset(token)


class AsyncTransport(httpx2.AsyncBaseTransport):
    """The door for async code."""

    def __init__(self, gate: Gate, pools: Pools) -> None:
        self._gate = gate
        self._pools = pools

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, if the policy allows. Raises MissyError of the fitting kind."""
        call = _call(request)
        passage = _admit(self._gate, request, call)
        outgoing, pool = _outgoing(request, passage), self._pools.of(passage)
        connection: Any = None

        async def release() -> None:
            if not pool.give(outgoing.url.origin, connection):
                await connection.aclose()

        try:
            connection, dead = pool.take(outgoing.url.origin)
            for old in dead:
                await old.aclose()
            response = await connection.handle_async_request(outgoing)
            body = _AsyncBody(
                self._gate,
                passage,
                response,
                restart=call.live,
                stream=response.stream,
                release=release,
            )
        except BaseException as error:
            if connection is not None:
                await connection.aclose()
            _tell(self._gate, passage, error)
        return _response(response, body)

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed by its answer."""
        for connection in self._pools.drain():
            await connection.aclose()


def make_pools(
    pool: Callable[..., Any],
    proxy_pool: Callable[..., Any],
    backend: Any,
    proxy_backend: Any,
    tls: Callable[[], ssl.SSLContext],
    proxy: str | None,
) -> Pools:
    """Build the pools over our network backends; of httpcore2's own they take only how a connection is made."""
    common = {"keepalive_expiry": _KEEP_ALIVE, "http2": False}

    def direct(origin: httpcore2.Origin) -> Any:
        context = tls() if origin.scheme == b"https" else None  # httpcore2 makes none of its own for http
        return pool(network_backend=backend, ssl_context=context, **common).create_connection(origin)

    def through_proxy(origin: httpcore2.Origin) -> Any:
        secure = {"proxy_ssl_context": tls()} if str(proxy).startswith("https:") else {}
        made = proxy_pool(
            proxy_url=proxy, network_backend=proxy_backend, ssl_context=tls(), **secure, **common
        )
        return made.create_connection(origin)

    return Pools(Pool(direct), Pool(through_proxy) if proxy is not None else None)
