"""The table of the keys of one server under `mcp`, and reading that section; see missy.config.field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from missy.config import extras, values
from missy.config.field import (
    FLAG,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    URL_OR_NULL,
    Field,
    above_zero,
    mapping,
    read_section,
)
from missy.config.section_schema import NETWORKS, REACHES, McpServer
from missy.config.values import Wrong, shown

if TYPE_CHECKING:
    from missy.config.positions import KeyPath, SourceMap

MAX_WORDS = 64
MAX_TOOLS = 256
# Short, and without two underscores in a row: the model's name of a tool is SERVER__TOOL, of at most 64 characters.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_)){0,30}[A-Za-z0-9]|[A-Za-z0-9]")
TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# They change how any program is loaded, or where Missy says that its own are.
_OURS = ("PATH", "HOME", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT")


def _command(value: Any) -> tuple[str, ...]:
    words: tuple[str, ...] = values.many(_word)(value)
    if not words or len(words) > MAX_WORDS:
        raise Wrong(f"{len(words)} words", "write the program and its arguments: [mcp-server-time, --utc]")
    return words


def _word(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > 4096 or not value:
        raise Wrong(shown(value), "write each word in quotes")
    return value


def _tool(value: Any) -> str:
    if not isinstance(value, str) or not TOOL_NAME.fullmatch(value):
        raise Wrong(shown(value), "the names of tools: missy mcp list NAME")
    return value


def _environment(value: Any) -> tuple[tuple[str, str], ...]:
    """Check the variables of a server: names and values; a value may be a reference."""
    if value is None:
        return ()
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                raise Wrong(
                    "an invalid name of a variable", "letters, digits and _ are allowed", key=str(name)
                )
            if name in _OURS:
                raise Wrong("a variable that cannot be set", "Missy sets it, or it is refused", key=name)
    return extras.query(value)


MCP = (
    Field(
        "command", _command, f"a list of 1 to {MAX_WORDS} words: the program, then its arguments", TEXTS,
        "The server as a program, started in the sandbox; without a shell.",
    ),
    Field(
        "url", values.optional(values.url), "an http(s) URL without user name, query and fragment, or null",
        URL_OR_NULL,
        "The server as an endpoint: streamable HTTP. Its host is allowed for it, under the category tool.",
    ),
    Field(
        "key", values.optional(values.key), "a key, $ENV_VAR, vault://NAME or keyring://NAME, or null",
        TEXT_OR_NULL, "The credential of `url`; sent to its origin alone.",
    ),
    Field(
        "env", _environment, "a mapping of names to text, $ENV_VAR, vault://NAME or keyring://NAME",
        {"type": ["object", "null"], "additionalProperties": TEXT},
        "Variables for the program, besides PATH, HOME and LANG: it gets no others.",
    ),
    Field(
        "tools", values.many(_tool), "a list of names of its tools", TEXTS,
        "The tools that are offered; none named: all that were approved.",
    ),
    Field(
        "workspace", values.one_of(REACHES), " | ".join(REACHES), {"enum": list(REACHES)},
        "Whether the program may read, or read and write, the workspace.",
    ),
    Field(
        "read", values.many(values.place), "a list of absolute paths or ~/...", TEXTS,
        "Paths that the program may read, besides the system's and its own.",
    ),
    Field(
        "write", values.many(values.place), "a list of absolute paths or ~/...", TEXTS,
        "Paths that the program may read and write.",
    ),
    Field(
        "network", values.one_of(NETWORKS), " | ".join(NETWORKS), {"enum": list(NETWORKS)},
        "The program's network: none, or through Missy's policy under the category tool.",
    ),
    Field(
        "seconds", values.seconds, f"a number of seconds above 0, at most {values.MAX_SECONDS}",
        above_zero(values.MAX_SECONDS), "Seconds for one call.",
    ),
    Field(
        "trusted", values.flag, "true or false", FLAG,
        "Whether an allow rule for its tools still holds after text from others was read.",
    ),
    Field(
        "private", values.flag, "true or false", FLAG,
        "Whether its results are private data.",
    ),
)  # fmt: skip
_STDIO_ONLY = ("env", "workspace", "read", "write", "network")


def read_servers(data: Any, source_map: SourceMap) -> dict[str, McpServer]:
    """Return the servers of the section. Raises ConfigError."""
    found: dict[str, McpServer] = {}
    for name, value in mapping(data, ("mcp",), source_map).items():
        key_path: KeyPath = ("mcp", name)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise source_map.error(
                f"found {shown(name)} as the name of a server; allowed 1 to 32 letters, digits, - and single _",
                key_path,
            )
        given = read_section(MCP, mapping(value, key_path, source_map), key_path, source_map)
        server = McpServer(name, **given)
        if bool(server.command) == server.is_remote:
            raise source_map.error(
                "found both command and url; allowed one of them"
                if server.command
                else "found neither command nor url",
                key_path,
                hint="command: [PROGRAM, ARGUMENT, ...] for a program, url: https://... for an endpoint",
            )
        others = _STDIO_ONLY if server.is_remote else ("key",)
        for key in others:
            if given.get(key) not in (None, (), "none"):
                what = "an endpoint" if server.is_remote else "a program"
                raise source_map.error(
                    f"found a value, but {what} takes none", (*key_path, key), hint="remove it"
                )
        found[name] = server
    return found
