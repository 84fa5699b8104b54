"""Toolbox: which tools an answer may use, where, and by which rules. A value, without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from missy.approval import Approvals
from missy.approval.action import TOOLS
from missy.config.section_schema import ToolLimits
from missy.errors import UsageError
from missy.toolbox.asking import read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.config.section_schema import Tools


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one answer: `m.ask("...", toolbox=Toolbox(), approve=callback)`. Raises UsageError.

    `use` names built-in tools, `mcp` servers of the configuration, whose approved tools are offered. `workspace` is the one
    folder that they reach. `allow` and `deny` are rules, in the grammar of `tools.allow` in the configuration. `approve`:
    whether what no rule allows is asked or denied; `approve_all` answers every question with yes, and needs the `full`
    sandbox without a network. `read` and `write` are further paths for commands, and `network` is theirs: none, or through
    the policy (`tool`).
    `words` is what the user wrote, if the prompt holds other text too; `private_prompt`: the prompt holds private data.
    """

    use: Sequence[str] = ("read", "list", "search")
    workspace: str = "."
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    approve: Literal["ask", "never"] = "ask"
    approve_all: bool = False
    read: Sequence[str] = ()
    write: Sequence[str] = ()
    network: Literal["none", "tool"] = "none"
    limits: ToolLimits = field(default_factory=ToolLimits)
    words: str | None = None
    private_prompt: bool = False
    mcp: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.use:
            if name not in TOOLS:
                from missy.config.schema import nearest

                hint = nearest(name, TOOLS) or f"the tools are: {', '.join(TOOLS)}"
                raise UsageError(f"there is no tool {name!r}", hint=hint)
        if self.approve_all and self.network != "none":
            raise UsageError(
                "--approve-all and a network for commands exclude each other",
                hint="set tools.sandbox.network: none, or answer the questions",
            )
        self.approvals()

    @classmethod
    def of(cls, tools: Tools, **changes: Any) -> Self:
        """Return the toolbox of a configuration, with changes."""
        made = cls(
            use=tools.use,
            workspace=tools.workspace,
            allow=tools.allow,
            deny=tools.deny,
            approve="never" if tools.approve == "never" else "ask",
            read=tools.sandbox.read,
            write=tools.sandbox.write,
            network="tool" if tools.sandbox.network == "tool" else "none",
            limits=tools.limits,
        )
        return replace(made, **changes)

    def approvals(self) -> Approvals:
        """Return what decisions rest on. Raises UsageError for a rule that cannot be read."""
        return Approvals(
            read_rules(tuple(self.allow), allows=True),
            read_rules(tuple(self.deny), allows=False),
            may_ask=self.approve == "ask",
            all=self.approve_all,
        )
