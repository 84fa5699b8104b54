"""The sections `tools` and `mcp` as typed values with every default filled in. See missy.config.schema."""

from __future__ import annotations

from typing import NamedTuple

from missy.masking import REFERENCES, names_secret

APPROVALS = ("ask", "never")
NETWORKS = ("none", "tool")
REACHES = ("none", "read", "write")
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


class McpServer(NamedTuple):
    """One MCP server: a program that is started in the sandbox (`command`), or an endpoint (`url`).

    `key` and the values of `env` are the literal text of the file, references unresolved. `tools` are the names of those
    that are offered, all that were approved if it is empty. `seconds` bounds one call.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str | None = None
    key: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    workspace: str = "none"
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: str = "none"
    seconds: float = 120.0
    trusted: bool = False
    private: bool = False

    def __repr__(self) -> str:
        return f"McpServer({self.name!r})"  # the others may hold a key

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over HTTP."""
        return self.url is not None

    @property
    def has_network(self) -> bool:
        """Whether a call can carry data out of this machine."""
        return self.is_remote or self.network != "none"

    @property
    def literal_key(self) -> bool:
        """Whether a credential is written literally in the file."""
        texts = [
            text for text in (self.key, *(value for name, value in self.env if names_secret(name))) if text
        ]
        return any(not text.startswith(REFERENCES) for text in texts)

    @property
    def entry(self) -> str:
        """Its name in the audit and in the policy."""
        return f"mcp:{self.name}"
