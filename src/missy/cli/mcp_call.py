"""`missy mcp test NAME TOOL`: one call, decided, asked and recorded like a call of the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.cli.app import emit, notice
from missy.errors import UsageError

if TYPE_CHECKING:
    from missy.cli.app import App
    from missy.events import Event


def call_once(app: App, name: str, tool: str, text: str, allow: tuple[str, ...]) -> int:
    """Call one tool of a server and print its result. Returns the exit code."""
    from missy.cli.tool_options import find_person
    from missy.events import Message, ToolCall
    from missy.mcp.servers import Servers
    from missy.providers.base import Request
    from missy.toolbox.bench import Bench, Surroundings, ToolRun
    from missy.toolbox.box import Toolbox
    from missy.toolbox.servers import approved

    arguments = _object(text)
    config = app.config()
    toolbox = Toolbox.of(config.tools, use=(), mcp=(name,), allow=(*config.tools.allow, *allow), words="")
    (server,) = approved(config, [name])
    found = next((one for one in server.tools if one.name == tool), None)
    if found is None:
        known = ", ".join(one.name for one in server.tools) or "none"
        raise UsageError(f"the server {name} has no approved tool {tool!r}", hint=f"approved are: {known}")
    audit = app.audit()
    pool = Servers(audit)
    with app.assistant() as missy:
        around = Surroundings(config, audit, missy.door, lambda: pool, "")
        request = Request((Message("user", ""),), None)
        bench = Bench(ToolRun(toolbox, find_person(_show)), around, request)
        try:
            (result,) = bench.run([ToolCall("test", found.offered_name, arguments)])
        finally:
            bench.cancel()
            bench.close()
            pool.close()
            audit.close()
    for one in bench.take_notices():
        notice(one)
    emit(result.text)
    return {"ok": 0, "failed": 5}.get(result.outcome, 3)


def _show(event: Event) -> None:
    notice(getattr(event, "text", ""))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError("--args is no JSON object", hint="""--args '{"timezone": "UTC"}'""")
    return value
