"""Runs a gateway: listens, serves until a signal, and ends in order."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, NamedTuple

from missy.errors import ConfigError, MissyError, PolicyError
from missy.serve.doorman import hosts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config
    from missy.serve.store import Store

_BACKLOG = 512


class Listen(NamedTuple):
    """Where to listen. `cert` and `key` are files, both or none."""

    host: str
    port: int
    cert: str | None = None
    key: str | None = None


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def require_safe(listen: Listen, config: Config) -> None:
    """Raise PolicyError where keys and prompts would cross a network in the clear, ConfigError if nothing is served."""
    if not config.serve.entries:
        raise ConfigError(
            "serve.entries names no entry: there is nothing to serve",
            hint="missy config set serve.entries '[openai]', with the entries that programs may use",
            key="serve.entries",
        )
    is_loopback = listen.host == "localhost" or listen.host.startswith("127.") or listen.host == "::1"
    if not is_loopback and listen.cert is None and not config.serve.behind_proxy:
        raise PolicyError(
            f"refused to listen on {listen.host} without TLS: keys and prompts could be read on the network",
            hint="give --tls-cert and --tls-key, or set serve.behind_proxy: true if a proxy in front ends TLS",
            rule="listen",
            host=listen.host,
        )


def serve(
    config: Config, store: Store, listen: Listen, ready: Callable[[int], None], notice: Callable[[str], None]
) -> int:
    """Serve until SIGTERM or SIGINT. `ready` is told the port. Returns the exit code: 0 if every answer ended by itself.

    Raises PolicyError, ConfigError, and MissyError if the port or the store cannot be had.
    """
    require_safe(listen, config)
    listening = _bind(listen)
    try:
        return asyncio.run(_serve(config, store, listen, listening, ready, notice))
    finally:
        listening.close()


def _bind(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        # With its protocol named, asyncio sets TCP_NODELAY on what it accepts: else each reply waits 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((listen.host, listen.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        raise MissyError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror or error}",
            hint="is another program there already? --port takes another port",
        ) from error
    listening.setblocking(False)
    return listening


async def _serve(
    config: Config,
    store: Store,
    listen: Listen,
    listening: socket.socket,
    ready: Callable[[int], None],
    notice: Callable[[str], None],
) -> int:
    from missy.serve.gateway import Gateway
    from missy.serve.http import Application
    from missy.serve.runner import Runner, make_server

    gateway = Gateway(config, store, notice)
    port = listening.getsockname()[1]
    hosts = hosts_of(listen.host, port, config.serve.hosts, tls=listen.cert is not None)
    application = Application(
        gateway, hosts, lambda error: notice(f"internal error: {type(error).__name__}: {error}")
    )
    try:
        server = make_server(application, listen.cert, listen.key)
        await gateway.open()
        return await Runner(server, gateway, application).run(listening, lambda: ready(port))
    finally:
        await gateway.close()
