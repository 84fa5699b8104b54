"""DNS lookup: once for each connection, with a timeout, which getaddrinfo itself does not have."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from missy.errors import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.net.limits import Clock

    _Found = tuple[str, ...] | OSError

_LOOPBACK = ("127.0.0.1", "::1")


def known(host: str) -> tuple[str, ...] | None:
    """Return the addresses of a host that needs no lookup: an IP literal, or localhost (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return _LOOPBACK
    if ":" in host or host.rpartition(".")[2].isdigit():
        return (host,)
    return None


def resolve(host: str, port: int, clock: Clock) -> tuple[str, ...]:
    """Look up a name once. Raises ConnectionFailed if it has no address, TimedOut when the clock runs out."""
    addresses = known(host)
    if addresses is not None:
        return addresses
    found: list[_Found] = []
    _start(host, port, found.append).join(clock.remaining())
    if not found:
        raise clock.expired()
    return _taken(host, found[0])


async def resolve_async(host: str, port: int, clock: Clock) -> tuple[str, ...]:
    """Like `resolve`, on the running event loop."""
    addresses = known(host)
    if addresses is not None:
        return addresses
    import asyncio

    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Found] = loop.create_future()

    def take(found: _Found) -> None:
        if not answer.done():
            answer.set_result(found)

    _start(host, port, lambda found: loop.call_soon_threadsafe(take, found))
    try:
        return _taken(host, await asyncio.wait_for(answer, clock.remaining()))
    except TimeoutError:
        raise clock.expired() from None


def _start(host: str, port: int, tell: Callable[[_Found], object]) -> threading.Thread:
    """Look up a name on a daemon thread: exiting must not wait for it, as it would for the event loop's own pool."""

    def look() -> None:
        found: _Found
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            found = error if isinstance(error, OSError) else OSError(str(error))
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            tell(found)

    worker = threading.Thread(target=look, daemon=True)
    worker.start()
    return worker


def _taken(host: str, found: _Found) -> tuple[str, ...]:
    if isinstance(found, OSError):
        raise unresolved(host, found)
    return found


def unresolved(host: str, error: OSError) -> ConnectionFailed:
    """Return the error for a name without an address."""
    return ConnectionFailed(
        f"the name {host} does not resolve: {error.strerror or error}",
        hint="check the host in base_url, and the network; behind a proxy set network.proxy",
    )
