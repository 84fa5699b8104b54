"""Connections that serve again: the last one used is the first one taken, at the same cost for one as for a thousand.

httpcore2 makes the connections and speaks HTTP over them. Its own pool looks at every connection for every request, which
at a hundred in flight is most of the work; here a request takes one from a stack, or has a new one made.
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
    """The idle connections of one transport. Safe for threads: a deque's ends are atomic."""

    def __init__(self, make: Callable[[httpcore2.Origin], Any]) -> None:
        self.make = make  # a new connection, used by nobody yet
        self._idle: dict[tuple[bytes, bytes, int], deque[Any]] = {}
        self._closed = False

    def take(self, origin: httpcore2.Origin) -> tuple[Any, list[Any]]:
        """Return an idle connection for an origin, or None, and those that were found dead, for the caller to close."""
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
        """Take a connection back if it can serve again. Returns whether it did; if not, the caller closes it."""
        if self._closed or not connection.is_available():
            return False
        idle = self._idle.setdefault((origin.scheme, origin.host, origin.port), deque())
        if len(idle) >= MAX_IDLE_CONNECTIONS:
            return False
        idle.append(connection)
        return True

    def drain(self) -> list[Any]:
        """Take no connection back any more, and give up every idle one, for the caller to close."""
        self._closed = True
        idle, self._idle = self._idle, {}
        return [connection for stack in idle.values() for connection in stack]


class Pools:
    """The pools of one transport: direct, and through `network.proxy` for https to other machines."""

    def __init__(self, direct: Pool, proxied: Pool | None) -> None:
        self._direct = direct
        self._proxied = proxied

    def of(self, request_context: RequestContext) -> Pool:
        """Choose. Plain http and this machine itself never go through a proxy."""
        own = request_context.target.scheme == "http" or request_context.target.is_loopback
        return self._direct if own or self._proxied is None else self._proxied

    def drain(self) -> list[Any]:
        """Give up every idle connection, for the caller to close."""
        return self._direct.drain() + (self._proxied.drain() if self._proxied else [])


def make_pools(
    pool: Callable[..., Any],
    proxy_pool: Callable[..., Any],
    backend: Any,
    proxy_backend: Any,
    tls: Callable[[], ssl.SSLContext],
    proxy: str | None,
) -> Pools:
    """Build the pools over our network backends; of httpcore2's own they take only how a connection is made."""
    common = {"keepalive_expiry": KEEP_ALIVE_SECONDS, "http2": False}

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
