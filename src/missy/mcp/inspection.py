"""One server as it is now beside what was approved of it: for the commands that show and approve, and for `doctor`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.mcp.definition import Definition, problems
from missy.mcp.pins import Difference, Pins, compare, load_pins

if TYPE_CHECKING:
    from missy.config.schema import Config
    from missy.mcp.servers import Servers


class Seen(NamedTuple):
    """A server that was started or connected, and its tools. `problems` says which can never be offered, and why."""

    name: str
    level: str
    identity: dict[str, Any]
    tools: list[Definition]
    pins: Pins
    difference: Difference
    problems: dict[str, str]

    def tool(self, name: str) -> Definition | None:
        """Return a tool by its name."""
        return next((one for one in self.tools if one.name == name), None)


def look(pool: Servers, config: Config, name: str, workspace: str) -> Seen:
    """Start a server, or connect to it, and list its tools. Raises MissyError. It runs on until the pool is closed."""
    live = pool.get(config, name, workspace)
    tools = live.tools(threading.Event())
    pins = load_pins(name)
    return Seen(
        name, live.level, live.identity, tools, pins, compare(pins, live.identity, tools), problems(tools)
    )
