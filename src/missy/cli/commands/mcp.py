"""`missy mcp`: the servers of tools. What a server says is shown before it counts, and again when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, emit, emit_json, notice
from missy.cli.confirm import require_yes
from missy.cli.garbage import collect_from_now_on
from missy.cli.mcp_approval import ask_and_approve, looked_at
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from missy.config.schema import Config


@click.group("mcp")
def command() -> None:
    """Servers of tools, by the Model Context Protocol: programs in the sandbox, endpoints through the policy.

    A server's tools are offered only as you approved them: see docs/mcp.md.

    \b
    Example:
      missy mcp add time -- mcp-server-time
      missy mcp list
      missy ask --mcp time "What time is it in Tokyo?"
    """


@command.command("add")
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM [ARGUMENT]...]")
@click.option("--url", metavar="URL", help="An endpoint (streamable HTTP), in place of a program.")
@click.option("--key", metavar="REF", help="The endpoint's key: $NAME, vault://NAME or keyring://NAME.")
@click.option(
    "--workspace",
    type=click.Choice(["none", "read", "write"]),
    default="none",
    help="Whether the program reaches the workspace.",
)
@click.option("--read", metavar="PATH", multiple=True, help="A path that the program may read.")
@click.option("--write", metavar="PATH", multiple=True, help="A path that the program may read and write.")
@click.option("--network", is_flag=True, help="Give the program a network, through the policy.")
@click.option("--env", metavar="NAME=VALUE", multiple=True, help="A variable for the program.")
@click.option("--tools", metavar="LIST", help="The tools to offer; without it, all that are approved.")
@click.option(
    "--yes", is_flag=True, help="Approve all its tools without a question, and say what was approved."
)
@click.pass_obj
def add(app: App, /, name: str, words: tuple[str, ...], url: str | None, yes: bool, **options: Any) -> int:
    """Add a server: start it once, show each of its tools whole, and ask whether they may be offered.

    \b
    Example:
      missy mcp add time -- mcp-server-time
      missy mcp add files --workspace read -- mcp-server-filesystem .
      missy mcp add docs --url https://docs.example.com/mcp --key '$DOCS_KEY'
    """
    from missy.cli.mcp_entry import make_entry
    from missy.config.edit import edit, outcome, section

    config, entry = app.config(), make_entry(url, words, options)
    if name in config.mcp:
        raise UsageError(f"there is an MCP server '{name}' already", hint=f"missy mcp remove {name}")

    def change(data: dict[str, Any]) -> None:
        section(data, "mcp")[name] = entry

    with looked_at(app, outcome(config.path, change, config.kinds), name) as seen:
        edit(config.path, change, config.kinds)
        notice(f"written to {config.path}: mcp.{name}")
        return ask_and_approve(seen, [tool.name for tool in seen.tools], yes=yes)


@command.command("list")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_servers(app: App, name: str | None, as_json: bool) -> None:
    """List the servers and their approved tools; with NAME, its tools whole. No server is started.

    \b
    Example:
      missy mcp list
      missy mcp list time --json
    """
    from missy.mcp.pins import require_server

    config = app.config()
    names = list(config.mcp) if name is None else [require_server(config.mcp, name).name]
    rows = [_row(config, one) for one in names]
    if as_json:
        emit_json({"servers": rows})
        return
    from missy.cli.output.table import show_table

    show_table(
        ("SERVER", "WHAT", "REACHES", "TOOLS", "STATE"),
        [(row["name"], row["what"], row["reaches"], len(row["tools"]), row["state"]) for row in rows],
    )
    for row in rows if name is not None else ():
        for tool in row["tools"]:
            emit(f"\n{tool['name']} ({tool['offered_as']}, pin {tool['pin']})")
            emit(tool["description"])


def _row(config: Config, name: str) -> dict[str, Any]:
    from missy.mcp.pins import load_pins
    from missy.toolbox.servers import approved

    server = config.mcp[name]
    reaches = [f"workspace: {server.workspace}"] if server.workspace != "none" else []
    reaches += ["network"] if server.has_network else []
    reaches += [*server.read, *server.write]
    tools: list[dict[str, Any]] = []
    try:
        pins = load_pins(name)
        tools = [
            {
                "name": tool.name,
                "offered_as": tool.offered_name,
                "pin": pins.pin_of(tool.name),
                "description": tool.description,
            }
            for tool in pins.offered(server.tools)
        ]
        approved(config, [name])
        state = "approved"
    except MissyError as error:
        state = f"{error.message} ({error.hint})"
    return {
        "name": name,
        "what": server.url or server.command[0],
        "reaches": ", ".join(reaches) or "nothing",
        "tools": tools,
        "state": state,
    }


@command.command("approve")
@click.argument("name")
@click.argument("tools", nargs=-1)
@click.option("--yes", is_flag=True, help="Without a question; says what was approved.")
@click.pass_obj
def approve(app: App, name: str, tools: tuple[str, ...], yes: bool) -> int:
    """Show what is new or changed at a server, and approve it: all of it, or the named TOOLS.

    \b
    Example:
      missy mcp approve time
      missy mcp approve time get_current_time --yes
    """
    with looked_at(app, app.config(), name) as seen:
        for tool in tools:
            if seen.tool(tool) is None:
                raise UsageError(
                    f"the server {name} has no tool {tool!r}",
                    hint=f"it has: {', '.join(one.name for one in seen.tools)}",
                )
        is_other = seen.difference.server_changed or seen.pins.identity is None
        wanted = [one.name for one in seen.tools] if is_other else list(seen.difference.withheld)
        wanted = [one for one in wanted if not tools or one in tools]
        if not wanted and not seen.difference:
            notice(f"the server {name} is as it was approved; there is nothing to approve")
            return 0
        return ask_and_approve(seen, wanted, yes=yes)


@command.command("diff")
@click.argument("name")
@click.pass_obj
def diff(app: App, name: str) -> int:
    """Show what has changed at a server since it was approved. Exits with 3 if anything has.

    \b
    Example:
      missy mcp diff time
    """
    from missy.cli.mcp_display import describe_difference

    with looked_at(app, app.config(), name) as seen:
        if not seen.difference:
            emit(f"the server {name} is as it was approved: {len(seen.pins.tools)} tools")
            return 0
        for line in describe_difference(seen):
            emit(line)
        return 3


@command.command("test")
@click.argument("name")
@click.argument("tool", required=False)
@click.option(
    "--args", "text", metavar="JSON", default="{}", help="The arguments of the call, a JSON object."
)
@click.option(
    "--allow", metavar="RULE", multiple=True, help="Allow this without a question, e.g. 'mcp:time/*'."
)
@click.pass_obj
def test(app: App, name: str, tool: str | None, text: str, allow: tuple[str, ...]) -> int:
    """Start a server and list its tools; with TOOL, call one, by the same rules as in an answer.

    \b
    Example:
      missy mcp test time
      missy mcp test time get_current_time --args '{"timezone": "UTC"}'
    """
    if tool is not None:
        from missy.cli.mcp_call import call_once

        return call_once(app, name, tool, text, allow)
    with looked_at(app, app.config(), name) as seen:
        withheld = set(seen.difference.withheld)
        for one in seen.tools:
            is_new = one.name in withheld or seen.difference.server_changed
            state = seen.problems.get(one.name) or ("not approved" if is_new else "approved")
            emit(f"{one.name}: {state}")
        return 0


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Without a question.")
@click.pass_obj
def remove(app: App, name: str, yes: bool) -> None:
    """Remove a server from the configuration, and forget what was approved of it.

    \b
    Example:
      missy mcp remove time
    """
    from missy.config.edit import edit, section
    from missy.mcp.pins import forget_pins, require_server

    config = app.config()
    require_server(config.mcp, name)
    require_yes(f"remove the MCP server {name}?", yes=yes)

    def change(data: dict[str, Any]) -> None:
        section(data, "mcp").pop(name, None)

    edit(config.path, change, config.kinds)
    forget_pins(name)
    notice(f"removed: {name}")


@command.command("serve")
@click.option(
    "--entries",
    metavar="E,...",
    required=True,
    help="The entries that others may ask; the first is the default.",
)
@click.pass_obj
def serve(app: App, entries: str) -> None:
    """Be a server: offer ask, models, net_explain and audit_recent to another agent, over stdin and stdout.

    Every call is under the policy and in the audit. A ChatGPT login is never offered.

    \b
    Example:
      missy mcp serve --entries openai
      codex mcp add missy -- missy mcp serve --entries openai
    """
    from missy.cli.mcp_offers import require_offerable
    from missy.mcp.servers import require_sdk

    names = [name.strip() for name in entries.split(",") if name.strip()]
    if not names:
        raise UsageError("--entries names no entry", hint="missy providers lists them")
    require_sdk()
    config = app.config()
    require_offerable(config, list(dict.fromkeys(names)))
    from missy.cli.mcp_server import serve as serve_stdio

    collect_from_now_on()
    serve_stdio(config, list(dict.fromkeys(names)), notice)
