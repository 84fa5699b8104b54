"""Connection pools: last in, first out, in constant time whatever the number of connections.

httpcore2 opens the connections and implements HTTP. Its own pool examines every connection for every request, which
takes most of the time with a hundred requests in progress; here a request takes one from a stack, or opens a new one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import httpcore2

    from missy.net.gate import RequestContext

MAX_IDLE_CONNECTIONS = 128  # connections kept for one origin
KEEP_ALIVE_SECONDS = 60.0  # seconds that an idle connection is kept


class Pool:
    """The idle connections of one transport. Thread-safe: operations on the ends of a deque are atomic."""

    def __init__(self, make: Callable[[httpcore2.Origin], Any]) -> None:
        self.make = make  # a new connection, not used yet
        self._idle: dict[tuple[bytes, bytes, int], deque[Any]] = {}
        self._closed = False

    def take(self, origin: httpcore2.Origin) -> tuple[Any, list[Any]]:
        """Return an idle connection for an origin, or None, and those found closed or expired, for the caller to close."""
        idle = self._idle.get((origin.scheme, origin.host, origin.port))
        dead: list[Any] = []
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was quicker
                break
            if connection.is_available() and not connection.has_expired():
                return connection, dead
            dead.append(connection)
        return None, dead

    def give(self, origin: httpcore2.Origin, connection: Any) -> bool:
        """Keep a connection if it can be reused. Returns whether it is kept; if not, the caller closes it."""
        if self._closed or not connection.is_available() or _has_unread_bytes(connection):
            return False
        idle = self._idle.setdefault((origin.scheme, origin.host, origin.port), deque())
        if len(idle) >= MAX_IDLE_CONNECTIONS:
            return False
        idle.append(connection)
        return True

    def drain(self) -> list[Any]:
        """Keep no connection any more, and return every idle one, for the caller to close."""
        self._closed = True
        idle, self._idle = self._idle, {}
        return [connection for stack in idle.values() for connection in stack]


def _has_unread_bytes(connection: Any) -> bool:
    """Tell whether bytes have come after the end of the response; h11 would read them as the response of the next request.

    RFC 9112, 9.2: a client that receives data on a connection without a request in progress must not take it for a response.
    """
    inner = connection
    while (state := getattr(inner, "_h11_state", None)) is None:
        inner = getattr(inner, "_connection", None)
        if inner is None:
            return True  # not known, so the connection is not used again
    unread, _ = state.trailing_data
    return bool(unread)


class Pools:
    """The pools of one transport: direct, and through `network.proxy` for https to other machines."""

    def __init__(self, direct: Pool, proxied: Pool | None) -> None:
        self._direct = direct
        self._proxied = proxied

    def of(self, request_context: RequestContext) -> Pool:
        """Choose the pool. Plain http and loopback never use the proxy."""
        own = request_context.target.scheme == "http" or request_context.target.is_loopback
        return self._direct if own or self._proxied is None else self._proxied

    def drain(self) -> list[Any]:
        """Return every idle connection, for the caller to close."""
        return self._direct.drain() + (self._proxied.drain() if self._proxied else [])


def make_pools(
    pool: Callable[..., Any],
    proxy_pool: Callable[..., Any],
    backend: Any,
    proxy_backend: Any,
    tls: Callable[[], ssl.SSLContext],
    proxy: str | None,
) -> Pools:
    """Build the pools over our network backends; httpcore2's pools are used only to create connections."""
    common = {"keepalive_expiry": KEEP_ALIVE_SECONDS, "http2": False}

    def direct(origin: httpcore2.Origin) -> Any:
        context = tls() if origin.scheme == b"https" else None  # httpcore2 has no tunnel for plain http
        return pool(network_backend=backend, ssl_context=context, **common).create_connection(origin)

    def through_proxy(origin: httpcore2.Origin) -> Any:
        secure = {"proxy_ssl_context": tls()} if str(proxy).startswith("https:") else {}
        made = proxy_pool(
            proxy_url=proxy, network_backend=proxy_backend, ssl_context=tls(), **secure, **common
        )
        return made.create_connection(origin)

    return Pools(Pool(direct), Pool(through_proxy) if proxy is not None else None)
