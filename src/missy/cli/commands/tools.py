"""`missy tools`: what the model may do, and by which rule."""

from __future__ import annotations

from typing import Any

import click

from missy.approval import Action, InvalidRule, decide, parse_rule
from missy.approval.action import TOOLS
from missy.cli.app import App, emit, emit_json, notice
from missy.errors import UsageError

_DEFAULTS = {"allow": "allowed", "ask": "asked", "deny": "denied"}


@click.group("tools")
def command() -> None:
    """What the model may do, and by which rule.

    \b
    Example:
      missy tools list
      missy tools explain 'run: git push'
      missy ask --tools read,list,search "What does this project do?"
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_tools(app: App, as_json: bool) -> None:
    """List the tools: whether they are used without --tools, what happens without a rule, and the rules about each.

    \b
    Example:
      missy tools list
    """
    tools = app.config().tools
    box = _toolbox(app)
    approvals = box.approvals()
    rows: list[dict[str, Any]] = []
    for name in TOOLS:
        example = Action(name, path="file", argv=("program",) if name == "run" else (), host="host")
        rows.append(
            {
                "tool": name,
                "used": name in tools.use,
                "without_a_rule": decide(approvals._replace(allow=(), deny=()), example).verdict,
                "allow": [rule.text for rule in approvals.allow if rule.tool == name],
                "deny": [rule.text for rule in approvals.deny if rule.tool == name],
            }
        )
    if as_json:
        emit_json({"workspace": tools.workspace, "approve": tools.approve, "tools": rows})
        return
    from missy.cli.output.table import show_table

    show_table(
        ("TOOL", "USED", "WITHOUT A RULE", "ALLOWED", "DENIED"),
        [
            (
                row["tool"],
                "yes" if row["used"] else "with --tools",
                _DEFAULTS[row["without_a_rule"]],
                "; ".join(row["allow"]),
                "; ".join(row["deny"]),
            )
            for row in rows
        ],
    )


@command.command("explain")
@click.argument("call")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def explain(app: App, call: str, as_json: bool) -> int:
    """Show which rule decides on CALL, such as 'run: git push' or 'write: notes.txt'. Exits with 3 if it is denied.

    It is the decision at the beginning of an answer: once text from others was read, more is asked.

    \b
    Example:
      missy tools explain 'run: git push'
      missy tools explain 'read: src/main.py' --json
    """
    action = _read_call(call)
    found = decide(_toolbox(app).approvals(), action)
    if as_json:
        emit_json(
            {"call": action.words, "verdict": found.verdict, "rule": found.rule, "reason": found.reason}
        )
    else:
        emit(f"{_DEFAULTS[found.verdict]}: {action.words} ({found.rule})")
        emit(f"  {found.reason}")
    return 3 if found.verdict == "deny" else 0


@command.command("forget")
@click.argument("rule")
@click.pass_obj
def forget(app: App, rule: str) -> None:
    """Remove RULE from `tools.allow`, where a question or you saved it.

    \b
    Example:
      missy tools forget 'run: git status'
    """
    from missy.config.edit import edit, section

    config = app.config()

    def change(data: dict[str, Any]) -> None:
        tools = section(data, "tools")
        allow = list(tools.get("allow") or [])
        if rule not in allow:
            hint = f"the rules are: {'; '.join(map(str, allow))}" if allow else "there is none"
            raise UsageError(f"tools.allow has no rule {rule!r}", hint=hint)
        tools["allow"] = [one for one in allow if one != rule]

    edit(config.path, change, config.kinds)
    notice(f"removed from {config.path}: tools.allow: {rule}")


@command.command("undo")
@click.option("--force", is_flag=True, help="Also if the file was changed since.")
@click.option(
    "--list", "only_list", is_flag=True, help="List the changes that can be taken back, and change nothing."
)
def undo(force: bool, only_list: bool) -> None:
    """Take back the last change that the tools write and edit made. Call it again for the one before.

    \b
    Example:
      missy tools undo --list
      missy tools undo
    """
    from missy.toolbox.undo import Backups

    backups = Backups()
    if only_list:
        for change in backups.changes():
            emit(f"{change.workspace}/{change.path}")
        return
    change = backups.undo(force=force)
    what = "removed again" if change.backup is None else "as it was before"
    notice(f"{change.workspace}/{change.path} is {what}")


def _toolbox(app: App) -> Any:
    from missy.toolbox.box import Toolbox

    return Toolbox.of(app.config().tools)


def _read_call(text: str) -> Action:
    """Read a call in the grammar of rules. Raises UsageError."""
    try:
        rule = parse_rule(text, allows=False)
    except InvalidRule as error:
        raise UsageError(f"{text!r} is no call: {error}", hint=error.hint) from None
    if rule.tool == "run":
        if not rule.words:
            raise UsageError("no command is named", hint="missy tools explain 'run: git push'")
        return Action("run", argv=rule.words, in_workspace="/" in rule.words[0])
    if rule.tool == "fetch":
        return Action("fetch", host=rule.pattern, url=f"https://{rule.pattern}/")
    return Action(rule.tool, path=rule.pattern or ("." if rule.tool in ("list", "search") else ""))
