"""The sections of the configuration as typed values with every default filled in, but for the entries.

They are named tuples, which every command makes, in a fifth of the time of a dataclass. The keys and their checks are in
`section_fields`, `tool_fields`, `mcp_fields`, `serve_fields` and `role_fields`. Annotations are evaluated here, and are
no text: `typing` would compile each of them, which takes longer.
"""

from typing import NamedTuple

from missy.masking import REFERENCES, names_secret

# What is stored unasked: conversations of `run`; answers of `ask` too; nothing.
SAVES = ("run", "all", "none")
APPROVALS = ("ask", "never")
NETWORKS = ("none", "tool")
REACHES = ("none", "read", "write")
# The names of the built-in tools. The room of the tools is above this one; a test holds both lists equal.
BUILT_IN = ("read", "list", "search", "write", "edit", "run", "fetch")
ON_FAILURE = ("refuse", "allow")
SQLITE = "sqlite"  # the store in MISSY_HOME


class Network(NamedTuple):
    """What may be reached in addition to the entries' endpoints, and how. `ca_bundle` is an absolute path."""

    default_deny: bool = True
    presets: tuple[str, ...] = ()
    provider_allowed_hosts: tuple[str, ...] = ()
    tool_allowed_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    allowed_cidrs: tuple[str, ...] = ()
    proxy: str | None = None
    ca_bundle: str | None = None


class Budget(NamedTuple):
    """Spending limits in US dollars; None is no limit."""

    day_usd: float | None = None
    session_usd: float | None = None


class Keep(NamedTuple):
    """Which conversations are stored unasked, and for how many days; None keeps them until they are deleted."""

    save: str = "run"
    keep_days: int | None = None


class Role(NamedTuple):
    """Instructions for the model, and who is asked. What is None is left to the entry, or to a question's options."""

    system: str | None = None
    provider: str | None = None
    model: str | None = None
    temperature: float | None = None


class Conversation(NamedTuple):
    """How `missy run` behaves: whether it keeps a history of lines, may write to the terminal's clipboard, draws nothing
    over (for screen readers), and shows a status line.
    """

    history: bool = True
    clipboard: bool = True
    screen_reader: bool = False
    status: bool = True


class AuditFiles(NamedTuple):
    """The record begins another file after `segment_mb` MiB; `keep` is how many ended ones stay, None for all."""

    segment_mb: int = 64
    keep: int | None = None


class BatchFiles(NamedTuple):
    """Jobs that were last run more days ago are deleted when the next one ends; None keeps them."""

    keep_days: int | None = None


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


class Serve(NamedTuple):
    """What `missy serve` offers to other programs, and where.

    `listen` is host:port. `hosts` are the names, besides loopback and `listen`, that a request may give as its Host.
    `aliases` are pairs of a name and what it stands for, an entry or `entry/model`. `store` is `sqlite`, a postgresql URL,
    or a reference to one.
    """

    listen: str = "127.0.0.1:8484"
    hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    entries: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    store: str = SQLITE
    reserve_output_tokens: int = 4096
    on_store_failure: str = "refuse"
