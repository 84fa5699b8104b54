"""The one maker of HTTP clients. Whoever wants to send something asks the Door for a client, or to send it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from missy import __version__
from missy.errors import BadReply
from missy.net.gate import CALL, Call, Gate
from missy.net.limits import Clock, read_json
from missy.policy import InvalidURL, parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    import httpx2

    from missy.audit import Audit
    from missy.net.streams import Backend
    from missy.net.transport import AsyncTransport, Transport
    from missy.policy import Category, Policy

USER_AGENT = f"missy/{__version__}"


class Reply:
    """A whole reply: `status`, `headers` (lower-case names) and `body`."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON. Raises BadReply."""
        return parse_json(self.body)


def parse_json(data: bytes | str) -> Any:
    """Parse JSON from outside. Raises BadReply for whatever the parser cannot take, deep nesting and endless numbers too."""
    try:
        return read_json(data)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is not JSON: {type(error).__name__}") from None


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Put every request made in this context on the account of `call`."""
    token = CALL.set(call)
    try:
        yield
    finally:
        CALL.reset(token)


class Door:
    """The one way out: policy, audit, roots and proxy, shared by everything that one Missy sends."""

    def __init__(
        self, policy: Policy, audit: Audit, *, proxy: str | None = None, ca_bundle: str | None = None
    ) -> None:
        self.gate = Gate(policy, audit)
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._backend: Backend | None = None
        self._transport: Transport | None = None
        self._async_transport: AsyncTransport | None = None
        self._loop: object = None
        self._client: httpx2.Client | None = None
        self._async_client: httpx2.AsyncClient | None = None
        self._making = threading.RLock()

    def transport(self) -> Transport:
        """Return the door itself, for sync code; made once."""
        with self._making:
            if self._transport is None:
                import httpcore2

                from missy.net import streams, transport
                from missy.net.pool import make_pools

                pools = make_pools(
                    httpcore2.ConnectionPool,
                    httpcore2.HTTPProxy,
                    self._direct(),
                    streams.Backend(self.gate, proxy=True),
                    self._tls,
                    self._proxy,
                )
                self._transport = transport.Transport(self.gate, pools)
            return self._transport

    def async_transport(self) -> AsyncTransport:
        """Return the door itself, for async code; made once for each event loop, whose connections are its own."""
        import asyncio

        loop = asyncio.get_running_loop()
        with self._making:
            if self._async_transport is None or self._loop is not loop:
                self._loop, self._async_client = loop, None
                import httpcore2

                from missy.net import streams, transport
                from missy.net.pool import make_pools

                pools = make_pools(
                    httpcore2.AsyncConnectionPool,
                    httpcore2.AsyncHTTPProxy,
                    streams.AsyncBackend(self.gate),
                    streams.AsyncBackend(self.gate, proxy=True),
                    self._tls,
                    self._proxy,
                )
                self._async_transport = transport.AsyncTransport(self.gate, pools)
            return self._async_transport

    def _direct(self) -> Backend:
        """Return the backend of direct connections, made once."""
        if self._backend is None:
            from missy.net.streams import Backend

            self._backend = Backend(self.gate)
        return self._backend

    def connect_ahead(self, url: str, *, entry: str, timeout: float) -> None:
        """Begin the connection that a request to `url` will need, in a thread; whatever goes wrong is told by the request.

        Only where it pays: not to this machine itself, and not through a proxy.
        """
        target = parse(url)
        if target.scheme != "https" or target.is_loopback or self._proxy is not None:
            return
        from missy.net.preconnect import Ahead

        with self._making:
            backend = self._direct()
            backend.expect(Ahead(backend, url, entry=entry, timeout=timeout, tls=self._tls))

    def _tls(self) -> ssl.SSLContext:
        """Return the TLS context, made with the first connection that needs it."""
        with self._making:
            if self._context is None:
                from missy.net import tls

                self._context = tls.context(self._ca_bundle)
            return self._context

    def client(self) -> httpx2.Client:
        """Return an httpx2 client over the door, made once."""
        with self._making:
            if self._client is None:
                import httpx2

                self._client = httpx2.Client(
                    transport=self.transport(), headers=client_headers(), **client_options()
                )
            return self._client

    def async_client(self) -> httpx2.AsyncClient:
        """Return an async httpx2 client over the door, made once."""
        with self._making:
            if self._async_client is None:
                import httpx2

                self._async_client = httpx2.AsyncClient(
                    transport=self.async_transport(), headers=client_headers(), **client_options()
                )
            return self._async_client

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
        """Send one request and read its reply whole, up to `limit` bytes.

        Redirects are not followed: a 3xx is a reply like any other. Raises PolicyError, ConnectionFailed, TimedOut,
        BadReply.
        """
        call = Call(
            Clock(timeout, deadline if deadline is not None else timeout * 2),
            category=category,
            entry=entry,
            credential=credential,
        )
        client, target = self.client(), self._read(url, call)
        with (
            calling(call),
            client.stream(method, target, headers=dict(headers or {}), content=content) as response,
        ):
            body = bytearray()
            for piece in response.iter_raw():
                body += piece
                if len(body) > limit:
                    raise BadReply(f"the reply of {response.url.host} is longer than {limit} bytes")
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, names, bytes(body))

    def _read(self, url: str, call: Call) -> httpx2.URL:
        """Read a URL. Raises PolicyError for what is none, or for what httpx2 would first have to put right."""
        import httpx2

        try:
            parse(url)
            return httpx2.URL(url)
        except (InvalidURL, httpx2.InvalidURL) as error:
            raise self.gate.invalid(str(error)[:200], call) from error

    def close(self) -> None:
        """Close the connections of sync code."""
        if self._transport is not None:
            self._transport.close()
        if self._backend is not None:
            self._backend.forget()
        self._transport = self._client = None

    async def aclose(self) -> None:
        """Close every connection: those of async code, and those of sync code that it had done in threads."""
        self.close()
        import asyncio

        # Connections of a loop that is gone went with it.
        if self._async_transport is not None and self._loop is asyncio.get_running_loop():
            await self._async_transport.aclose()
        self._async_transport = self._async_client = None


def client_headers() -> dict[str, str]:
    """Return what every request of ours says of itself."""
    # identity: an answer's bytes come as they are made, and nothing needs unpacking.
    return {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}


def client_options() -> dict[str, Any]:
    """Return how every client is made: no environment, no redirect, no clock but ours."""
    return {"trust_env": False, "follow_redirects": False, "timeout": None}
