"""The Door: the only factory of HTTP clients, and the only way to send a request."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from missy._version import __version__
from missy.errors import BadReply, PolicyError
from missy.net.gate import Attribution, Gate
from missy.net.limits import Clock, read_json
from missy.policy import InvalidURL, parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import httpx2

    from missy.audit import Audit
    from missy.net.connection import Route
    from missy.net.core import AsyncCore, Core
    from missy.net.gate import RequestContext
    from missy.net.messages import HttpResponse
    from missy.net.pool import Pools
    from missy.net.streams import Backend, Stream
    from missy.policy import Category, Policy

_TARGET = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"  # RFC 3986: path and query
USER_AGENT = f"missy/{__version__}"


class Reply:
    """A complete response: `status`, `headers` (lower-case names) and `body`."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status: int = status
        self.headers: dict[str, str] = headers
        self.body: bytes = body

    def json(self) -> Any:
        """Return the body as JSON. Raises BadReply."""
        return parse_json(self.body)


def parse_json(data: bytes | str) -> Any:
    """Parse JSON from a server. Raises BadReply for invalid JSON, deep nesting and oversized numbers."""
    try:
        return read_json(data)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is not JSON: {type(error).__name__}") from None


def read_whole(response: HttpResponse, limit: int, host: str) -> bytes:
    """Read a response body to its end and close it. Raises BadReply if it is longer than `limit` bytes."""
    body = bytearray()
    try:
        for piece in response.body:
            body += piece
            if len(body) > limit:
                raise BadReply(f"the reply of {host} is longer than {limit} bytes")
    finally:
        response.body.close()
    return bytes(body)


def _attribution_maker(
    category: Category, entry: str, timeout: float
) -> Callable[[httpx2.Request], Attribution]:
    def attribution_of(_: httpx2.Request) -> Attribution:
        return Attribution(Clock(timeout), category=category, entry=entry, live=True, may_stop=True)

    return attribution_of


class Door:
    """Policy, audit, trusted roots, proxy and connection pools, shared by all requests of one Missy."""

    def __init__(
        self, policy: Policy, audit: Audit, *, proxy: str | None = None, ca_bundle: str | None = None
    ) -> None:
        self.gate: Gate = Gate(policy, audit)
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._backend: Backend | None = None
        self._core: Core | None = None
        self._async_core: AsyncCore | None = None
        self._loop: object = None
        self._making = threading.RLock()

    def core(self) -> Core:
        """Return the sender for sync code; created once."""
        with self._making:
            if self._core is None:
                from missy.net.connection import Connection
                from missy.net.core import Core
                from missy.net.streams import Backend

                pools = self._pools(Connection, self._direct(), Backend(self.gate, proxy=True))
                self._core = Core(self.gate, pools)
            return self._core

    def async_core(self) -> AsyncCore:
        """Return the sender for async code; created once for each event loop, with connections of its own."""
        import asyncio

        loop = asyncio.get_running_loop()
        with self._making:
            if self._async_core is None or self._loop is not loop:
                self._loop = loop
                from missy.net.connection import AsyncConnection
                from missy.net.core import AsyncCore
                from missy.net.streams import AsyncBackend

                backends = AsyncBackend(self.gate), AsyncBackend(self.gate, proxy=True)
                self._async_core = AsyncCore(self.gate, self._pools(AsyncConnection, *backends))
            return self._async_core

    def _pools(self, connection: Callable[[Route], Any], direct: Any, proxied: Any) -> Pools:
        """Return the pools of one transport."""
        from missy.net.connection import Route
        from missy.net.pool import Pool, Pools

        own = Route(direct, self._tls)
        if self._proxy is None:
            return Pools(Pool(lambda: connection(own)), None)
        through = Route(proxied, self._tls, parse(self._proxy))
        return Pools(Pool(lambda: connection(own)), Pool(lambda: connection(through)))

    def _direct(self) -> Backend:
        """Return the backend of direct connections, created once."""
        if self._backend is None:
            from missy.net.streams import Backend

            self._backend = Backend(self.gate)
        return self._backend

    def connect_ahead(self, url: str, *, entry: str, timeout: float) -> None:
        """Start the connection for a later request to `url` in a thread. Errors are reported by that request.

        Not for loopback or through a proxy, where it saves no time.
        """
        target = parse(url)
        if target.scheme != "https" or target.is_loopback or self._proxy is not None:
            return
        from missy.net.preconnect import Preconnect

        with self._making:
            backend = self._direct()
            backend.adopt(Preconnect(backend, url, entry=entry, timeout=timeout, tls=self._tls))

    def _tls(self) -> ssl.SSLContext:
        """Return the TLS context, created for the first connection that needs it."""
        with self._making:
            if self._context is None:
                from missy.net import tls

                self._context = tls.context(self._ca_bundle)
            return self._context

    def httpx_client(
        self, *, category: Category = "provider", entry: str = "", timeout: float = 30.0
    ) -> httpx2.Client:
        """Return an httpx2 client for a library that makes its own requests; the caller closes it.

        Each request has its own clock: `timeout` is the idle timeout in seconds. A response may be closed early.
        """
        import httpx2

        from missy.net.transport import Transport

        attribution_of = _attribution_maker(category, entry, timeout)
        return httpx2.Client(
            transport=Transport(self.core(), attribution_of), headers=client_headers(), **client_options()
        )

    def async_httpx_client(
        self, *, category: Category = "provider", entry: str = "", timeout: float = 30.0
    ) -> httpx2.AsyncClient:
        """Return an httpx2 client for async code; see `httpx_client`."""
        import httpx2

        from missy.net.transport import AsyncTransport

        attribution_of = _attribution_maker(category, entry, timeout)
        return httpx2.AsyncClient(
            transport=AsyncTransport(self.async_core(), attribution_of),
            headers=client_headers(),
            **client_options(),
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float,
        category: Category = "provider",
        entry: str = "",
        credential: str = "none",
        deadline: float | None = None,
        limit: int = 1 << 20,
    ) -> Reply:
        """Send one request and read the complete response, up to `limit` bytes.

        Redirects are not followed: a 3xx is returned like any other reply. Raises PolicyError, ConnectionFailed, TimedOut,
        BadReply.
        """
        from missy.net.messages import HttpRequest

        attribution = Attribution(
            Clock(timeout, deadline if deadline is not None else timeout * 2),
            category=category,
            entry=entry,
            credential=credential,
        )
        origin, target = self._split(url, attribution)
        own = {name.lower() for name in headers or {}}
        kept = {name: value for name, value in client_headers().items() if name.lower() not in own}
        raw = [(name.encode(), value.encode()) for name, value in {**kept, **(headers or {})}.items()]
        response = self.core().send(HttpRequest(method, origin, target, raw, content), attribution)
        return Reply(response.status, response.headers, read_whole(response, limit, parse(url).host))

    def connect(self, context: RequestContext) -> Stream:
        """Connect to the target of an authorized request, for bytes that are not ours. Raises PolicyError and others."""
        self.require_direct(context)
        return self._direct().connect(context.target.host, context.target.port, context)

    def require_direct(self, context: RequestContext) -> None:
        """Raise PolicyError if connections go through a proxy, which could not check the addresses of others."""
        if self._proxy is not None:
            raise PolicyError(
                "a network for commands does not work through network.proxy",
                hint="set tools.sandbox.network: none",
                rule="proxy",
                host=context.target.host,
            )

    def _split(self, url: str, attribution: Attribution) -> tuple[str, bytes]:
        """Return origin and target of a URL. Raises PolicyError for an invalid URL; nothing is corrected or escaped."""
        try:
            origin = str(parse(url))
            rest = url.partition("://")[2].partition("#")[0]
            authority = re.match(r"[^/?]*", rest)
            path = rest[authority.end() :] if authority else ""
            if not re.fullmatch(_TARGET, path):
                raise InvalidURL("its path contains characters that must be percent-encoded")
        except InvalidURL as error:
            raise self.gate.invalid(str(error)[:200], attribution) from error
        return origin, (path if path.startswith("/") else f"/{path}").encode("ascii")

    def close(self) -> None:
        """Close the connections of sync code."""
        if self._core is not None:
            self._core.close()
        if self._backend is not None:
            self._backend.discard()
        self._core = None

    async def aclose(self) -> None:
        """Close every connection: those of async code, and those of sync code run in threads for it."""
        self.close()
        import asyncio

        # Connections of a closed loop were closed with it.
        if self._async_core is not None and self._loop is asyncio.get_running_loop():
            await self._async_core.aclose()
        self._async_core = None


def client_headers() -> dict[str, str]:
    """Return the headers that all our requests have."""
    # identity: an answer is streamed without delay, and nothing needs decompression.
    return {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}


def client_options() -> dict[str, Any]:
    """Return the arguments of every client: no environment, no redirects, no timeouts except ours."""
    return {"trust_env": False, "follow_redirects": False, "timeout": None}
