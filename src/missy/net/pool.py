"""Connection pools: last in, first out, in constant time whatever the number of connections.

A request takes a connection from a stack, or opens a new one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.net.gate import RequestContext
    from missy.policy import Target

MAX_IDLE_CONNECTIONS = 128  # connections kept for one origin


class Pool:
    """The idle connections of one transport. Thread-safe: operations on the ends of a deque are atomic."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make  # a new connection, not used yet
        self._idle: dict[Target, deque[Any]] = {}
        self._closed = False

    def take(self, origin: Target) -> tuple[Any, list[Any]]:
        """Return an idle connection for an origin, or None, and those found closed or expired, for the caller to close."""
        idle = self._idle.get(origin)
        dead: list[Any] = []
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was quicker
                break
            if connection.is_usable():
                return connection, dead
            dead.append(connection)
        return None, dead

    def give(self, origin: Target, connection: Any) -> bool:
        """Keep a connection if it can be reused. Returns whether it is kept; if not, the caller closes it."""
        if not connection.finish() or self._closed:
            return False
        idle = self._idle.setdefault(origin, deque())
        if len(idle) >= MAX_IDLE_CONNECTIONS:
            return False
        idle.append(connection)
        return True

    def drain(self) -> list[Any]:
        """Keep no connection any more, and return every idle one, for the caller to close."""
        self._closed = True
        idle, self._idle = self._idle, {}
        return [connection for stack in idle.values() for connection in stack]


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
