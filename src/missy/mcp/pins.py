"""What a person approved of a server: who it is and its tools, word for word, in MISSY_HOME/mcp/NAME.json.

A tool is offered only as it was approved. What is new or changed is withheld until it is approved again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import files, paths
from missy.errors import MissyError, UsageError
from missy.mcp.definition import MAX_TOOLS, Definition, hash_of, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_VERSION = 1
_MAX_BYTES = 32 << 20


class Pins(NamedTuple):
    """What was approved of one server. `identity` is as `identity.identify` returns it; tools are by name."""

    server: str
    identity: dict[str, Any] | None = None
    tools: dict[str, Definition] = {}  # noqa: RUF012 never changed

    def offered(self, wanted: Sequence[str] = ()) -> list[Definition]:
        """Return the approved tools that may be offered; those of `wanted` if that names any."""
        bad = problems(list(self.tools.values()))
        return [one for name, one in self.tools.items() if name not in bad and (not wanted or name in wanted)]

    def holds(self, tool: Definition) -> bool:
        """Tell whether a tool is as it was approved."""
        pinned = self.tools.get(tool.name)
        return pinned is not None and pinned.hash == tool.hash

    @property
    def id(self) -> str:
        """The hash of what identifies the server."""
        return hash_of(self.identity)

    def pin_of(self, name: str) -> str:
        """Return what the audit calls the pin of a tool: 12 hexadecimal digits over server and definition."""
        return hash_of([self.identity, self.tools[name].raw])[:12]


class Difference(NamedTuple):
    """What a server says now, compared with what was approved: names of tools, and whether it is another server."""

    server_changed: bool
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def withheld(self) -> tuple[str, ...]:
        """The tools that need approval."""
        return (*self.changed, *self.new)

    def __bool__(self) -> bool:
        return bool(self.server_changed or self.new or self.changed or self.gone)


def compare(pins: Pins, identity: dict[str, Any], tools: Sequence[Definition]) -> Difference:
    """Compare a server with what was approved."""
    now = {one.name: one for one in tools}
    return Difference(
        pins.identity is not None and pins.identity != identity,
        tuple(name for name in now if name not in pins.tools),
        tuple(name for name, one in now.items() if name in pins.tools and not pins.holds(one)),
        tuple(name for name in pins.tools if name not in now),
    )


def pins_file(server: str) -> Path:
    """Return the file of a server's pins."""
    return paths.home() / "mcp" / f"{server}.json"


def load_pins(server: str) -> Pins:
    """Return what was approved of a server, nothing if it never was. Raises MissyError for a file that is damaged."""
    path = pins_file(server)
    if not path.exists():
        return Pins(server)
    try:
        data = json.loads(files.read_private(path, _MAX_BYTES))
        raws = data["tools"]
        if (
            data["version"] != _VERSION
            or not isinstance(data["identity"], dict)
            or not isinstance(raws, list)
        ):
            raise ValueError
        tools = [Definition(server, dict(raw)) for raw in raws]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MissyError(
            f"{path} is damaged, so that nothing of server {server} counts as approved",
            hint=f"delete it, and approve the tools again: missy mcp approve {server}",
        ) from None
    return Pins(server, data["identity"], {one.name: one for one in tools[:MAX_TOOLS]})


def save_pins(
    server: str, identity: dict[str, Any], tools: Sequence[Definition], approved: Iterable[str]
) -> None:
    """Write what a person approved: `approved` of the tools as they are now, besides those that were before.

    Of a server that is another one than before, nothing that was approved before counts.
    """
    path = pins_file(server)
    with files.lock(path):
        before = load_pins(server)
        names = set(approved)
        kept = before.tools if before.identity == identity else {}
        found = {one.name: one for one in tools}
        now = {
            name: one if name in names else kept[name]
            for name, one in found.items()
            if name in names or name in kept
        }
        raws = [one.raw for one in now.values()]
        data = {"version": _VERSION, "identity": identity, "tools": raws}
        files.write_private(path, json.dumps(data, indent=1, ensure_ascii=True).encode())


def forget_pins(server: str) -> bool:
    """Delete what was approved of a server. Returns whether there was anything."""
    path = pins_file(server)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MissyError(f"{path} cannot be deleted: {error.strerror}") from error
    return True


def require_server(servers: Mapping[str, Any], name: str) -> Any:
    """Return a server of the configuration. Raises UsageError, with the nearest name."""
    if name in servers:
        return servers[name]
    from missy.config.schema import nearest

    known = f"the servers are: {', '.join(servers)}" if servers else "add one: missy mcp add NAME -- COMMAND"
    raise UsageError(f"there is no MCP server '{name}'", hint=f"{nearest(name, servers)} {known}".strip())
