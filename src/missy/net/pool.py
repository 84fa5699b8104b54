"""Connections that serve again: the last one used is the first one taken, at the same cost for one as for a thousand.

httpcore2 makes the connections and speaks HTTP over them. Its own pool looks at every connection for every request, which
at a hundred in flight is most of the work; here a request takes one from a stack, or has a new one made.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpcore2

_MOST_IDLE = 128  # connections kept for one origin


class Pool:
    """The idle connections of one transport. Safe for threads: a deque's ends are atomic."""

    def __init__(self, make: Callable[[httpcore2.Origin], Any]) -> None:
        self._make = make
        self._idle: dict[tuple[bytes, bytes, int], deque[Any]] = {}

    def take(self, origin: httpcore2.Origin) -> tuple[Any, list[Any]]:
        """Return a connection for an origin, idle or new, and those that were found dead, for the caller to close."""
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
        return self._make(origin), dead

    def give(self, origin: httpcore2.Origin, connection: Any) -> bool:
        """Take a connection back if it can serve again. Returns whether it did; if not, the caller closes it."""
        if not connection.is_available():
            return False
        idle = self._idle.setdefault((origin.scheme, origin.host, origin.port), deque())
        if len(idle) >= _MOST_IDLE:
            return False
        idle.append(connection)
        return True

    def drain(self) -> list[Any]:
        """Give up every idle connection, for the caller to close."""
        idle, self._idle = self._idle, {}
        return [connection for stack in idle.values() for connection in stack]
