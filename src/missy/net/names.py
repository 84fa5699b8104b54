"""Names to addresses: one lookup a connection, with a deadline that getaddrinfo itself does not have."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from missy.errors import ConnectionFailed

if TYPE_CHECKING:
    from missy.net.limits import Clock

_LOOPBACK = ("127.0.0.1", "::1")


def known(host: str) -> tuple[str, ...] | None:
    """Return the addresses of a host that needs no lookup: an IP literal, or localhost (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return _LOOPBACK
    if ":" in host or host.rpartition(".")[2].isdigit():
        return (host,)
    return None


def resolve(host: str, port: int, clock: Clock) -> tuple[str, ...]:
    """Look a name up, once. Raises ConnectionFailed when it has no address, TimedOut when the clock runs out."""
    addresses = known(host)
    if addresses is not None:
        return addresses
    found: list[tuple[str, ...] | OSError] = []

    def look() -> None:
        try:
            found.append(_addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            found.append(error if isinstance(error, OSError) else OSError(str(error)))

    worker = threading.Thread(target=look, daemon=True)
    worker.start()
    worker.join(clock.left())
    if not found:
        raise clock.expired()
    if isinstance(found[0], OSError):
        raise unresolved(host, found[0])
    return found[0]


async def resolve_async(host: str, port: int, clock: Clock) -> tuple[str, ...]:
    """Like `resolve`, on the running event loop."""
    addresses = known(host)
    if addresses is not None:
        return addresses
    import asyncio

    lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        return _addresses(await asyncio.wait_for(lookup, clock.left()))
    except TimeoutError:
        raise clock.expired() from None
    except OSError as error:
        raise unresolved(host, error) from error


def unresolved(host: str, error: OSError) -> ConnectionFailed:
    """Return the error for a name without an address."""
    return ConnectionFailed(
        f"the name {host} does not resolve: {error.strerror or error}",
        hint="check the host in base_url, and the network; behind a proxy set network.proxy",
    )


def _addresses(infos: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))
