"""The slash commands: one table of their names, arguments, help and handlers."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from missy.cli.talk.shell import Leave
from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.talk.shell import Shell


class Command(NamedTuple):
    """One command. `takes`: 0 for no argument, 1 for one that may be left out, 2 for one that is needed."""

    name: str
    argument: str
    help: str
    run: Callable[[Shell, str], None]

    @property
    def needs_argument(self) -> bool:
        """Whether it is an error to leave the argument out."""
        return bool(self.argument) and not self.argument.startswith("[")


def run(shell: Shell, line: str) -> None:
    """Run a command line such as `/model gpt-4o`. Raises UsageError for an unknown one; Leave for /exit."""
    name, _, rest = line[1:].partition(" ")
    if "\n" in name:
        name, _, rest = line[1:].partition("\n")
    command = COMMANDS.get(name.strip().lower())
    if command is None:
        raise UsageError(f"there is no command /{name.strip()}; nothing was sent", hint=_hint(name.strip()))
    rest = rest.strip()
    if command.needs_argument and not rest:
        raise UsageError(f"/{command.name} needs {command.argument}", hint=command.help)
    if rest and not command.argument:
        raise UsageError(f"/{command.name} takes no argument", hint=f"to send such a text: /{line}")
    command.run(shell, rest)


def _run(module: str, function: str) -> Callable[[Shell, str], None]:
    """Return the handler of a command. Its module is imported when it is used."""

    def run(shell: Shell, argument: str) -> None:
        handler = getattr(importlib.import_module(f"missy.cli.talk.{module}"), function)
        handler(shell, argument)

    return run


def _hint(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), COMMANDS, n=1)
    meant = f"did you mean /{near[0]}? " if near else ""
    return f"{meant}/help lists them; a message that begins with / is typed with //"


def _help(_shell: Shell, _argument: str) -> None:
    width = max(len(f"/{one.name} {one.argument}") for one in COMMANDS.values())
    lines = [f"{f'/{one.name} {one.argument}':<{width}}  {one.help}" for one in COMMANDS.values()]
    sys.stdout.write("\n".join([*lines, "", *_KEYS]) + "\n\n")


def _exit(_shell: Shell, _argument: str) -> None:
    raise Leave


_KEYS = (
    "Enter sends. Alt+Enter, Ctrl+J or Shift+Enter: a new line. A paste never sends.",
    "Ctrl+C stops an answer, or clears the line. Ctrl+D or /exit ends. Up, Down, Ctrl+R: earlier lines.",
    "Ctrl+X Ctrl+E: your editor. //x sends /x.",
)

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("help", "", "The commands and keys.", _help),
        Command("model", "[M]", "Show the model, or use another one.", _run("slash_options", "model")),
        Command("provider", "[E]", "Show the entry, or ask another one.", _run("slash_options", "provider")),
        Command("system", "[T]", "Show or set the instructions; off: none.", _run("slash_options", "system")),
        Command("role", "[R]", "List the roles, or take one.", _run("slash_options", "role")),
        Command("tools", "", "The tools that the model may use.", _run("slash_tools", "tools")),
        Command("mcp", "[NAME|off]", "Offer the tools of an MCP server.", _run("slash_tools", "mcp")),
        Command(
            "attach", "FILE", "Send a file along with the next message.", _run("slash_options", "attach")
        ),
        Command("detach", "", "Send no file after all.", _run("slash_options", "detach")),
        Command("retry", "[MODEL]", "Ask the last question again.", _run("slash_turns", "retry")),
        Command("edit", "", "Change the last question, and ask it again.", _run("slash_turns", "edit")),
        Command("undo", "[N]", "Put the last turn, or N, aside.", _run("slash_turns", "undo")),
        Command("fork", "[NAME]", "Go on in a new session with the same turns.", _run("slash_turns", "fork")),
        Command(
            "copy",
            "[N|all]",
            "Copy the last answer, its code block N, or all turns.",
            _run("slash_turns", "copy"),
        ),
        Command(
            "save", "FILE", "Write the conversation to a new file: .md or .json.", _run("slash_turns", "save")
        ),
        Command("sessions", "", "List the stored sessions.", _run("slash_sessions", "list_")),
        Command("resume", "S", "Go on with a stored session.", _run("slash_sessions", "resume")),
        Command("search", "W", "Find words in stored sessions.", _run("slash_sessions", "search")),
        Command("rename", "N", "Name this session.", _run("slash_sessions", "rename")),
        Command("usage", "", "Tokens, cost and limits so far.", _run("slash_sessions", "usage")),
        Command("schema", "[S|off]", "Show or set what answers must fit.", _run("slash_options", "schema")),
        Command("reasoning", "[L]", "low, medium, high, or off.", _run("slash_options", "reasoning")),
        Command("clear", "", "Begin a new session; this one stays stored.", _run("slash_sessions", "clear")),
        Command("temp", "", "Store nothing; before the first message.", _run("slash_sessions", "temp")),
        Command("exit", "", "End the conversation.", _exit),
    )
}
