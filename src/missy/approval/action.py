"""One call of a tool, as parsed values: what rules are compared with."""

from __future__ import annotations

from typing import NamedTuple

PATH_TOOLS = ("read", "list", "search", "write", "edit")
READS = ("read", "list", "search")
CHANGES = ("write", "edit")
TOOLS = (*PATH_TOOLS, "run", "fetch")
MCP = "mcp:"


class Action(NamedTuple):
    """What a call would do.

    `tool` is a built-in's name or `mcp:SERVER/TOOL`. `path` is relative to the workspace, normalized, "." for the
    workspace itself. `argv` are the words of a command; `in_workspace` says that its program lies in the workspace, or
    was named by a path. `host` and `url` are those of `fetch`; `sends` tells that the call can carry data to a place
    that was not reached before; `trusted` is for a tool of an MCP server that the configuration marks so.
    """

    tool: str
    path: str = ""
    argv: tuple[str, ...] = ()
    in_workspace: bool = False
    host: str = ""
    url: str = ""
    in_prompt: bool = False
    sends: bool = False
    trusted: bool = False

    @property
    def reads(self) -> bool:
        """Whether it only looks at the workspace."""
        return self.tool in READS

    @property
    def subject(self) -> str:
        """Return the argument that a rule is compared with, as a rule would write it."""
        if self.argv:
            from shlex import join

            return join(self.argv)
        return self.path or self.host

    @property
    def words(self) -> str:
        """Return the action in the grammar of rules, e.g. `run: git status`."""
        return f"{self.tool}: {self.subject}" if self.subject else self.tool
