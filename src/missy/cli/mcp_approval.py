"""Looking at a server, and the question whether its tools may be offered."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from missy.cli.app import App, emit, notice
from missy.cli.confirm import confirm
from missy.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from missy.config.schema import Config
    from missy.mcp.inspection import Seen


@contextmanager
def looked_at(app: App, config: Config, name: str) -> Iterator[Seen]:
    """Start a server or connect to it; it is ended afterwards."""
    from missy.mcp.inspection import look
    from missy.mcp.pins import require_server
    from missy.mcp.servers import Servers

    workspace = _workspace(config) if require_server(config.mcp, name).workspace != "none" else ""
    audit = app.audit()
    pool = Servers(audit)
    try:
        yield look(pool, config, name, workspace)
    finally:
        pool.close()
        audit.close()


def _workspace(config: Config) -> str:
    from missy.toolbox.workspace import Workspace

    workspace = Workspace(config.tools.workspace)
    workspace.close()
    return workspace.path


def ask_and_approve(seen: Seen, names: Sequence[str], *, yes: bool) -> int:
    """Show tools whole, ask, and write down what was approved. Raises PolicyError where there is nobody to ask."""
    from missy.cli.mcp_display import describe_difference, describe_server, describe_tool
    from missy.mcp.pins import save_pins

    is_new = seen.pins.identity is None
    lines = list(describe_server(seen))
    if is_new:
        lines += [
            line for tool in seen.tools if tool.name in names for line in ("", *describe_tool(seen, tool))
        ]
    else:
        lines += describe_difference(seen)
    for line in lines:
        emit(line, masked=False)
    if not yes:
        if not sys.stdin.isatty():
            raise PolicyError(
                "there is no terminal to ask on, and nothing was approved",
                hint=f"read the above, then: missy mcp approve {seen.name} --yes",
                rule="pin",
            )
        sys.stdout.flush()
        if not confirm(f"approve {', '.join(names) or 'the server as it is now'}?"):
            notice("nothing was approved")
            return 3
    save_pins(seen.name, seen.identity, seen.tools, names)
    notice(f"approved of {seen.name}: {', '.join(names) or 'that tools are gone'}")
    return 0
