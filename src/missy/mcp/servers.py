"""All MCP servers of one Missy, by their configuration."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError
from missy.mcp.identity import identify
from missy.mcp.live import Live
from missy.mcp.loop import END_SECONDS, Loop

if TYPE_CHECKING:
    from missy.audit import Audit
    from missy.config.schema import Config
    from missy.config.section_schema import McpServer
    from missy.net.door import Door


def require_sdk() -> None:
    """Raise UsageError, with how to install it, unless the `mcp` package is there. It is not imported for that."""
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        from missy.hints import to_install

        raise UsageError(
            "MCP servers need the package mcp, which this Python does not have",
            hint=f"run: {to_install('mcp')}",
        )


def new_door(config: Config, audit: Audit) -> Door:
    """Return a door for the servers alone: its connections live in their event loop."""
    from missy.net.door import Door
    from missy.policy import Policy

    network = config.network
    return Door(Policy(config.rules()), audit, proxy=network.proxy, ca_bundle=network.ca_bundle)


class Servers:
    """All servers of one Missy. Safe to use from several threads."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._mutex = threading.RLock()
        self._live: dict[Any, Live] = {}
        self._loop = Loop()
        self._doors: dict[Any, Door] = {}

    def get(self, config: Config, name: str, workspace: str) -> Live:
        """Return a server as it is configured now; nothing is started. Raises UsageError.

        `workspace` is the folder that it reaches, "" for none.
        """
        from missy.mcp.pins import require_server

        server: McpServer = require_server(config.mcp, name)
        require_sdk()
        with self._mutex:
            key = (server, workspace, config.rules(), config.network)
            found = self._live.get(key)
            if found is not None and found.identity == identify(server):
                return found
            for other in [one for one in self._live if one[0].name == name]:
                self._live.pop(other).end()
            self._live[key] = Live(server, workspace, self._loop, lambda: self._door(config))
            return self._live[key]

    def _door(self, config: Config) -> Door:
        with self._mutex:
            key = (config.rules(), config.network)
            if key not in self._doors:
                self._doors[key] = new_door(config, self._audit)
            return self._doors[key]

    def close(self) -> None:
        """End all servers, and their thread."""
        with self._mutex:
            ending = [threading.Thread(target=one.end, name="missy-mcp-end") for one in self._live.values()]
            for thread in ending:
                thread.start()
            for thread in ending:
                thread.join()
            self._live.clear()
            if self._loop.runs:
                with suppress(Exception):
                    self._loop.submit(self._close_doors()).result(END_SECONDS)
            self._loop.close()

    async def _close_doors(self) -> None:
        for door in self._doors.values():
            await door.aclose()
        self._doors.clear()
