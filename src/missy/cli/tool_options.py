"""The options of commands that may use tools, and what they mean: a toolbox, and who answers its questions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.answer import Answer
    from missy.cli.app import App
    from missy.events import Event

_NAMES = ("tools", "mcp", "no_tools", "allow", "max_rounds", "approve_all")
_OPTIONS = (
    click.option(
        "--tools", metavar="LIST", help="The tools that the model may use: read,list,search,write,edit,run,fetch."
    ),
    click.option(
        "--mcp", metavar="NAME", multiple=True, help="Offer the approved tools of this MCP server; may be repeated."
    ),
    click.option("--no-tools", is_flag=True, help="No tools, whatever `tools.use` says."),
    click.option(
        "--allow", metavar="RULE", multiple=True, help="Allow this without a question, e.g. 'run: git status'."
    ),
    click.option("--max-rounds", metavar="N", type=click.IntRange(1), help="The most model calls for one answer."),
    click.option(
        "--approve-all",
        is_flag=True,
        help="Answer every question with yes; needs the full sandbox and no network for commands.",
    ),
)  # fmt: skip


def tool_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command. It gets them in its keyword arguments, for `take_tools`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def take_tools(
    app: App,
    options: dict[str, Any],
    *,
    words: str | None,
    private: bool,
    show: Callable[[Event], None],
) -> dict[str, Any]:
    """Take the tool options out of `options`; returns those of `Missy.ask` that they mean, none without tools.

    `words` is what the user typed, if the prompt holds other text too; `private`: it holds text from a pipe. `show` shows
    an event before a question. Raises UsageError.
    """
    given = {name: options.pop(name) for name in _NAMES}
    if given["no_tools"]:
        for name in ("tools", "mcp"):
            if given[name]:
                raise UsageError(f"--{name} and --no-tools exclude each other", hint="leave one of them out")
        return {}
    named = given["tools"]
    if named is None and not given["mcp"] and not app.config().tools.use:
        for name in ("allow", "max_rounds", "approve_all"):
            if given[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} says something about tools, and there are none",
                    hint="name them: --tools read,list,search",
                )
        return {}
    return _toolbox(app, given, words=words, private=private) | {"approve": find_person(show)}


def _toolbox(app: App, given: dict[str, Any], *, words: str | None, private: bool) -> dict[str, Any]:
    from missy.toolbox.box import Toolbox

    tools = app.config().tools
    changes: dict[str, Any] = {"words": words, "private_prompt": private, "approve_all": given["approve_all"]}
    if given["tools"] is not None:
        changes["use"] = tuple(name.strip() for name in given["tools"].split(",") if name.strip())
        if not changes["use"]:
            raise UsageError("--tools names no tool", hint="--tools read,list,search, or --no-tools")
    if given["mcp"]:
        changes["mcp"] = tuple(
            name.strip() for text in given["mcp"] for name in text.split(",") if name.strip()
        )
    if given["allow"]:
        changes["allow"] = (*tools.allow, *given["allow"])
    if given["max_rounds"]:
        changes["limits"] = tools.limits._replace(rounds=given["max_rounds"])
    return {"toolbox": Toolbox.of(tools, **changes)}


def find_person(show: Callable[[Event], None]) -> Any:
    """Return who answers questions: the person at the terminal, or None if there is none."""
    if os.environ.get("CI"):
        return None
    from missy.cli.approval import TerminalApproval

    return TerminalApproval.open(show)


def exit_code(answer: Answer | None) -> int:
    """Return 3 if a call was not approved because there was nobody to ask, else 0. The answer was shown all the same."""
    results = answer.tool_results if answer is not None else []
    return 3 if any(result.outcome == "unapproved" for result in results) else 0
