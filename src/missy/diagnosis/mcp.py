"""The checks of the MCP servers: each is started or connected to, and compared with what was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.checks import Check
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.audit import Audit
    from missy.config.schema import Config


def examine_servers(config: Config, audit: Audit) -> Iterator[Check]:
    """Yield a check for each server. None that fails keeps entries from working, so each is a warning."""
    if not config.mcp:
        return
    from missy.mcp.inspection import look
    from missy.mcp.servers import Servers
    from missy.toolbox.workspace import Workspace

    pool = Servers(audit)
    try:
        for name, server in config.mcp.items():
            try:
                workspace = ""
                if server.workspace != "none":
                    opened = Workspace(config.tools.workspace)
                    workspace = opened.path
                    opened.close()
                seen = look(pool, config, name, workspace)
            except MissyError as error:
                yield Check(f"mcp.{name}", "warn", error.message, f"missy mcp test {name}")
                continue
            where = "an endpoint" if server.is_remote else f"sandbox: {seen.level}"
            if seen.pins.identity is None:
                yield Check(
                    f"mcp.{name}", "warn", "its tools were not approved yet", f"missy mcp approve {name}"
                )
            elif seen.difference:
                detail = "it is not as it was approved, and what changed is withheld"
                yield Check(f"mcp.{name}", "warn", detail, f"missy mcp diff {name}")
            else:
                count = len(seen.pins.offered(server.tools))
                yield Check(f"mcp.{name}", "ok", f"{count} approved tools, {where}")
    finally:
        pool.close()
