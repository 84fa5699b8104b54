"""The grammar of a rule: `read: docs/**`, `run: git status`, `fetch: docs.python.org`, `mcp:time/*`.

The same text stands in `tools.allow` and `tools.deny`, follows `--allow`, and is what the question offers to save.
"""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from missy.approval.action import CHANGES, MCP, PATH_TOOLS, TOOLS
from missy.approval.commands import has_running_option, runs_programs
from missy.approval.protected import holds_secret, runs_later
from missy.policy import InvalidURL, check_domain_entry, check_host_entry

if TYPE_CHECKING:
    from missy.approval.action import Action

_EXACTLY = "exactly:"
_WAIVER = "after_untrusted:"
MAX_RULE_CHARS = 1024
_MAX_STARS = 8  # `**` in one pattern: each multiplies the work of a comparison


class InvalidRule(ValueError):
    """A rule that cannot be read, or that would allow more than it says. `hint` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Rule(NamedTuple):
    """One rule, parsed. `after_untrusted`: it also holds after text from strangers was read."""

    text: str
    tool: str
    pattern: str = ""
    words: tuple[str, ...] = ()
    exactly: bool = False
    after_untrusted: bool = False

    def covers(self, action: Action) -> bool:
        """Tell whether the rule is about this action, as a rule that denies."""
        if self.tool.startswith(MCP):
            return _covers_mcp(self.tool, action.tool)
        if self.tool != action.tool:
            return False
        if self.words:
            return self._covers_words(action.argv)
        if not self.pattern:
            return True
        if self.tool == "fetch":
            return _covers_host(self.pattern, action.host)
        return match_path(self.pattern, action.path)

    def allows(self, action: Action) -> bool:
        """Tell whether the rule allows this action: a general rule does not cover secrets, nor what runs later."""
        if not self.covers(action):
            return False
        if action.tool == "run":
            return bool(self.words) and not action.in_workspace and not self._is_steered(action)
        if action.tool in CHANGES and runs_later(action.path):
            return self.pattern == action.path
        if action.tool == "read" and holds_secret(action.path):
            return self.pattern == action.path
        return True

    def _is_steered(self, action: Action) -> bool:
        return not self.exactly and (has_running_option(action.argv) or runs_programs(action.argv))

    def _covers_words(self, argv: tuple[str, ...]) -> bool:
        return argv == self.words if self.exactly else argv[: len(self.words)] == self.words


def parse_rule(text: str, *, allows: bool = True) -> Rule:
    """Read a rule. `allows`: it is one that allows, which must not allow more than it says. Raises InvalidRule."""
    if len(text) > MAX_RULE_CHARS or not text.isprintable():
        raise InvalidRule("it is too long or has an invisible character")
    rest = text.strip()
    waives = rest.startswith(_WAIVER)
    if waives:
        rest = rest.removeprefix(_WAIVER).strip()
    if rest.startswith(MCP):
        return Rule(text, _mcp(rest), after_untrusted=waives)
    tool, colon, pattern = (part.strip() for part in rest.partition(":"))
    if tool not in TOOLS:
        raise InvalidRule(
            f"there is no tool {tool[:40]!r}", f"a rule begins with {', '.join(TOOLS)} or mcp:SERVER/TOOL"
        )
    if colon and not pattern:
        raise InvalidRule("nothing follows the colon", f"write {tool}: and what it is about, or {tool} alone")
    rule = Rule(text, tool, after_untrusted=waives)
    if tool == "run":
        return _run(rule, pattern, allows=allows)
    if not pattern:
        return rule
    if tool == "fetch":
        return rule._replace(pattern=_host(pattern))
    assert tool in PATH_TOOLS
    return rule._replace(pattern=_path(pattern))


def _run(rule: Rule, pattern: str, *, allows: bool) -> Rule:
    exactly = pattern.startswith(_EXACTLY)
    try:
        words = tuple(shlex.split(pattern.removeprefix(_EXACTLY)))
    except ValueError as error:
        raise InvalidRule(f"its words cannot be read: {error}", "close the quotes") from None
    if allows and not words:
        raise InvalidRule("it would allow every command", "name one: run: git status")
    if allows and not exactly and runs_programs(words):
        raise InvalidRule(
            f"{words[0]} can run any other program",
            f"write the whole command: run: exactly: {shlex.join(words)}",
        )
    if allows and not words[0]:
        raise InvalidRule("the command has no name", "name one: run: git status")
    return rule._replace(words=words, exactly=exactly)


def _mcp(text: str) -> str:
    server, slash, tool = text.removeprefix(MCP).partition("/")
    server, tool = server.strip(), tool.strip()
    for name in (server, tool.removesuffix("*") or "x"):
        if not name or not all(char.isascii() and (char.isalnum() or char in "_-.") for char in name):
            raise InvalidRule(
                "it names no tool of a server", "write mcp:SERVER/TOOL, or mcp:SERVER/* for all"
            )
    if not slash or not tool or (tool.endswith("*") and tool != "*"):
        raise InvalidRule("it names no tool of a server", "write mcp:SERVER/TOOL, or mcp:SERVER/* for all")
    return f"{MCP}{server}/{tool}"


def _host(pattern: str) -> str:
    try:
        if pattern.startswith("*."):
            name, _ = check_domain_entry(pattern)
            return f"*.{name}"
        host, port = check_host_entry(pattern)
    except InvalidURL as error:
        raise InvalidRule(f"it names no host: {error}", "write fetch: docs.python.org") from None
    return host if port == 443 else f"{host}:{port}"


def _path(pattern: str) -> str:
    parts = pattern.removeprefix("./").rstrip("/").split("/")
    if pattern.startswith(("/", "~")) or ".." in parts:
        raise InvalidRule("its path leaves the workspace", "write it from the workspace on: src/**")
    if "" in parts or "." in parts[1:]:
        raise InvalidRule("its path has an empty part", "write it like src/**/*.py")
    if parts.count("**") > _MAX_STARS or any("**" in part and part != "**" for part in parts):
        raise InvalidRule("** stands for whole folders", "write it like src/**/*.py")
    return "/".join(parts)


def _covers_mcp(rule: str, tool: str) -> bool:
    return rule == tool or (rule.endswith("/*") and tool.startswith(rule[:-1]) and tool.startswith(MCP))


def _covers_host(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host == pattern[2:] or host.endswith(pattern[1:])
    return host == pattern


def match_path(pattern: str, path: str) -> bool:
    """Compare a path with a glob: `*` within a name, `**` any number of folders. A folder covers what is in it.

    The work is bounded by the product of the parts: no pattern and no path can make it explode.
    """
    parts = path.split("/")
    states = _reach({0}, wanted := pattern.split("/"))
    for part in parts:
        following = set()
        for at in states:
            if at == len(wanted):
                following.add(at)  # the pattern named a folder above
            elif wanted[at] == "**":
                following.add(at)
            elif fnmatchcase(part, wanted[at]):
                following.add(at + 1)
        states = _reach(following, wanted)
    return len(wanted) in states


def _reach(states: set[int], wanted: list[str]) -> set[int]:
    """Add the states behind each `**`, which may stand for nothing."""
    for at in sorted(states):
        end = at
        while end < len(wanted) and wanted[end] == "**":
            end += 1
            states = states | {end}
    return states
