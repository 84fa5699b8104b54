"""The `tools` section as typed values with every default filled in. See missy.config.schema."""

from __future__ import annotations

from typing import NamedTuple

APPROVALS = ("ask", "never")
NETWORKS = ("none", "tool")
# The names of the built-in tools. The room of the tools is above this one; a test holds both lists equal.
BUILT_IN = ("read", "list", "search", "write", "edit", "run", "fetch")


class ToolLimits(NamedTuple):
    """What one answer with tools may use; `output` is in bytes, of one result. None is no limit."""

    rounds: int = 20
    calls: int = 50
    seconds: float = 600.0
    output: int = 64 << 10
    command_seconds: float = 120.0
    tokens: int | None = None


class SandboxRules(NamedTuple):
    """What commands reach besides the workspace: absolute paths to read and to write, and their network."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: str = "none"


class Tools(NamedTuple):
    """The tools that an answer may use unasked, where, and the rules: plain text, in the grammar of missy.approval."""

    workspace: str = "."
    use: tuple[str, ...] = ()
    approve: str = "ask"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    sandbox: SandboxRules = SandboxRules()
    limits: ToolLimits = ToolLimits()
