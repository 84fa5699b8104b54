"""Tools of MCP servers in an answer: offered as they were approved, and called only while they still are so."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.approval import Action
from missy.errors import MissyError, PolicyError, UsageError
from missy.mcp.identity import identify
from missy.mcp.pins import load_pins, require_server
from missy.mcp.servers import require_sdk
from missy.structured.validator import Validator
from missy.toolbox.base import Output, Prepared, ToolFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from missy.config.schema import Config
    from missy.config.section_schema import McpServer
    from missy.mcp.definition import Definition
    from missy.mcp.live import Live
    from missy.mcp.pins import Pins
    from missy.mcp.servers import Servers
    from missy.toolbox.base import Handler

MAX_FAULTS = 3


class Approved(NamedTuple):
    """A server that may be used, and those of its tools that are offered."""

    server: McpServer
    pins: Pins
    tools: list[Definition]


def approved(config: Config, names: Sequence[str]) -> list[Approved]:
    """Return what was approved of servers; nothing is started.

    Raises UsageError for an unknown server, PolicyError (exit code 3) for one that was not approved as it is now.
    """
    require_sdk()
    found = []
    for name in dict.fromkeys(names):
        server: McpServer = require_server(config.mcp, name)
        pins = load_pins(name)
        if pins.identity is None:
            raise _withheld(name, "its tools were not approved yet", f"missy mcp approve {name}")
        if pins.identity != identify(server):
            what = "it is at another URL" if server.is_remote else "its command or its program is another one"
            raise _withheld(name, f"{what} than the one that was approved", f"missy mcp diff {name}")
        missing = [tool for tool in server.tools if tool not in pins.tools]
        if missing:
            raise _withheld(
                name, f"these tools were not approved: {', '.join(missing)}", f"missy mcp approve {name}"
            )
        found.append(Approved(server, pins, pins.offered(server.tools)))
    return found


def _withheld(name: str, why: str, command: str) -> PolicyError:
    return PolicyError(f"the MCP server {name} is not used: {why}", hint=f"run: {command}", rule="pin")


class ServerTools:
    """The servers of one answer. They begin to start at once, so that a first call waits less."""

    def __init__(
        self,
        config: Config,
        names: Sequence[str],
        pool: Servers,
        workspace: Callable[[], str],
        cancelled: threading.Event,
        notice: Callable[[str], None],
    ) -> None:
        self._cancelled = cancelled
        self._threads: list[threading.Thread] = []
        self.handlers: dict[str, Handler] = {}
        level = (
            _level() if any(not config.mcp[one].is_remote for one in names if one in config.mcp) else "none"
        )
        for one in approved(config, names):
            folder = workspace() if one.server.workspace != "none" else ""
            live = pool.get(config, one.server.name, folder)
            walls = "none" if one.server.is_remote else level
            for tool in one.tools:
                self.handlers[tool.offered_name] = ServerTool(live, one, tool, walls, cancelled, notice)
            self._threads.append(
                threading.Thread(target=self._warm, args=(live,), name="missy-mcp-start", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def _warm(self, live: Live) -> None:
        with suppress(MissyError):  # the call tells
            live.tools(self._cancelled)

    def close(self) -> None:
        """Wait until no start is under way; `cancelled` is set by now."""
        for thread in self._threads:
            thread.join()


def _level() -> str:
    from missy.sandbox.probe import walls

    return walls().level or "none"


class ServerTool:
    """One tool of a server; see Handler."""

    def __init__(
        self,
        live: Live,
        approved: Approved,
        definition: Definition,
        level: str,
        cancelled: threading.Event,
        notice: Callable[[str], None],
    ) -> None:
        self.tool = definition.tool()
        self._live = live
        self._server = approved.server
        self._pins = approved.pins
        self._definition = definition
        self._level = level
        self._cancelled = cancelled
        self._notice = notice

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        faults = _faults(self._definition, arguments)
        if faults:
            raise ToolFailed("the arguments do not fit: " + "; ".join(faults))
        network = self._server.has_network
        action = Action(
            f"mcp:{self._server.name}/{self._definition.name}", sends=network, trusted=self._server.trusted
        )
        return Prepared(
            action,
            lambda: self._run(arguments),
            level=self._level,
            network=network,
            acts=True,
            pin=self._pins.pin_of(self._definition.name),
        )

    def _run(self, arguments: dict[str, Any]) -> Output:
        source = f"the MCP server {self._server.name}"
        try:
            return self._call(arguments, source)
        except KeyboardInterrupt:  # the first Ctrl-C ends the call, and with it the server
            return Output(
                "it was cancelled by the person", own=True, private=False, cancelled=True, failed=True
            )
        except PolicyError:
            raise
        except MissyError as error:  # its words may be the server's
            return Output(error.message, source, private=self._server.private, failed=True)

    def _call(self, arguments: dict[str, Any], source: str) -> Output:
        name = self._server.name
        now = {tool.name: tool for tool in self._live.tools(self._cancelled)}
        mine = now.get(self._definition.name)
        if mine is None or not self._pins.holds(mine):
            what = "is gone" if mine is None else "has changed since it was approved"
            return Output(
                f"the tool {what}, and it was not called; only the person can approve it",
                own=True,
                private=False,
                notice=f"{name}: {self._definition.name} {what}, and it was not called; see: missy mcp diff {name}",
                failed=True,
                unapproved=True,
            )
        result = self._live.call(self._definition.name, arguments, self._cancelled)
        return Output(
            result.text, source, private=self._server.private, failed=result.failed, image=result.image
        )


def _faults(definition: Definition, arguments: dict[str, Any]) -> list[str]:
    """Return what does not fit the tool's schema; nothing for a schema that cannot be read: the server checks too."""
    schema = definition.raw.get("inputSchema")
    if not isinstance(schema, dict):
        return []
    try:
        return [str(fault) for fault in Validator(schema).faults(arguments)[:MAX_FAULTS]]
    except UsageError:
        return []
