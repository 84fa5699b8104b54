"""Slash commands about tools: what the model may use from the next message on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.app import notice
from missy.errors import UsageError

if TYPE_CHECKING:
    from missy.cli.talk.shell import Shell


def tools(shell: Shell, _argument: str) -> None:
    """List the tools that the next message offers to the model."""
    box = shell.talk.tools.get("toolbox")
    if box is None:
        notice(
            "no tools; /mcp NAME offers those of a server, and `missy run --tools read,list` built-in ones"
        )
        return
    from missy.toolbox.servers import approved

    names = [
        *box.use,
        *(tool.offered_name for one in approved(shell.talk.config, box.mcp) for tool in one.tools),
    ]
    notice(f"tools: {', '.join(names) or 'none'}")


def mcp(shell: Shell, argument: str) -> None:
    """List the servers, or offer the approved tools of one from the next message on; `off` offers those of none."""
    talk = shell.talk
    box = talk.tools.get("toolbox")
    used = tuple(box.mcp) if box is not None else ()
    if not argument:
        known = (f"{name} (offered)" if name in used else name for name in talk.config.mcp)
        notice("servers: " + (", ".join(known) or "none; add one: missy mcp add NAME -- COMMAND"))
        return
    names = () if argument == "off" else tuple(dict.fromkeys([*used, argument]))
    _offer(shell, names)
    tools(shell, "")


def _offer(shell: Shell, names: tuple[str, ...]) -> None:
    """Offer the tools of these servers. Raises UsageError, PolicyError; what was offered before stays then."""
    from missy.cli.tool_options import find_person
    from missy.toolbox.box import Toolbox
    from missy.toolbox.servers import approved

    talk = shell.talk
    if any(" " in name for name in names):
        raise UsageError("that is not the name of one server", hint="/mcp lists them")
    approved(talk.config, names)
    box = talk.tools.get("toolbox")
    if box is not None:
        talk.tools["toolbox"] = replace(box, mcp=names)
    elif names:
        talk.tools["toolbox"] = Toolbox.of(talk.config.tools, mcp=names)
        talk.tools["approve"] = find_person(lambda event: talk.show(event))  # noqa: PLW0108 it changes
