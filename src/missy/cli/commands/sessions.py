"""`missy sessions`: the conversations that are stored. No network."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import emit_json, notice
from missy.cli.commands.session_changes import check, delete, export_, fork, rename, stored
from missy.cli.output.sanitize import escape_controls, sanitize
from missy.cli.output.table import show_table
from missy.cost.money import format_usd
from missy.sessions.listing import dollars

if TYPE_CHECKING:
    from missy.sessions.listing import Listed
    from missy.sessions.records import Turn

_LIMIT = click.IntRange(1, 100_000)
_WIDEST_NAME = 40


@click.group("sessions", invoke_without_command=True)
@click.option("--limit", metavar="N", type=_LIMIT, default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_context
def command(ctx: click.Context, limit: int, as_json: bool) -> None:
    """The stored conversations: list, show, search, rename, fork, export, delete, check.

    A session S is named by its id, the beginning of one (4 characters or more), or its name.

    \b
    Example:
      missy sessions
      missy sessions show holiday
      missy sessions delete holiday --yes
    """
    if ctx.invoked_subcommand is not None:
        from missy.cli.group_options import refuse_before_subcommand

        return refuse_before_subcommand(ctx)
    return show_list(limit, as_json=as_json)


@command.command("list")
@click.option("--limit", metavar="N", type=_LIMIT, default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_(limit: int, as_json: bool) -> None:
    """List the sessions, newest use first.

    \b
    Example:
      missy sessions list --limit 10
      missy sessions list --json | jq -r '.[].id'
    """
    show_list(limit, as_json=as_json)


@command.command()
@click.argument("session", metavar="S")
@click.option("--turn", metavar="N", type=click.IntRange(1), help="Only this turn.")
@click.option("--all", "aside", is_flag=True, help="Also the turns that were put aside.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(session: str, turn: int | None, aside: bool, as_json: bool) -> None:
    """Show a conversation.

    \b
    Example:
      missy sessions show holiday
      missy sessions show 3f9a --turn 2
    """
    from missy.sessions import export, find, tree

    with stored() as store:
        found = find.require(store, session)
        if turn is not None:
            tree.turn_id(store, found.id, turn)
        every = tree.turns(store, found.id, aside=aside or turn is not None)
    if as_json:
        return emit_json(export.as_json(found, every, only=turn))
    notice(f"session {found.id}" + (f" ({found.name})" if found.name else ""))
    clean = sanitize if sys.stdout.isatty() else escape_controls
    wanted = every if turn is None else [one for one in every if one.n == turn]
    for one in wanted:
        sys.stdout.write(f"[{_about(one)}]\n\n" + clean(export.as_markdown([one])) + "\n")
    return None


@command.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", metavar="N", type=_LIMIT, default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def search(words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find the turns that hold all WORDS, in either case and any script: in prompt, answer and name.

    \b
    Example:
      missy sessions search paris hotel
    """
    show_hits(" ".join(words), limit, as_json=as_json)


def show_hits(words: str, limit: int, *, as_json: bool = False) -> None:
    """Print the turns that hold all words. Raises UsageError."""
    from missy.sessions.records import moment
    from missy.sessions.search import search as find_words

    with stored() as store:
        hits = find_words(store, words, limit)
    if as_json:
        return emit_json(
            [
                {
                    "session": hit.session,
                    "name": hit.name,
                    "turn": hit.turn,
                    "role": hit.role,
                    "snippet": hit.snippet,
                    "at": moment(hit.at_ms),
                }
                for hit in hits
            ]
        )
    if not hits:
        return notice("nothing holds all of that")
    rows = [(hit.session, _short(hit.name), hit.turn, hit.role, hit.snippet) for hit in hits]
    show_table(("SESSION", "NAME", "TURN", "ROLE", "SNIPPET"), rows)
    return None


def show_list(limit: int, *, as_json: bool = False) -> None:
    """Print the sessions, newest use first."""
    from missy.sessions.listing import listing

    with stored() as store:
        found = listing(store, limit)
    if as_json:
        return emit_json([one.as_dict() for one in found])
    if not found:
        return notice('no session is stored; begin one: missy ask --session NAME "..."')
    show_table(("ID", "NAME", "LAST USED", "TURNS", "MODEL", "COST"), [_row(one) for one in found])
    return None


def _row(one: Listed) -> tuple[Any, ...]:
    cost = format_usd(dollars(one.cost_micro), estimated=one.cost_estimated, at_least=not one.cost_complete)
    name = _short(one.session.name or one.title)
    return one.session.id, name, _local(one.session.updated_ms), one.turns, one.model, cost


def _short(name: str | None) -> str | None:
    return name if name is None or len(name) <= _WIDEST_NAME else name[: _WIDEST_NAME - 1] + "…"


def _about(turn: Turn) -> str:
    parts = [
        f"turn {turn.n}",
        _local(turn.started_ms),
        turn.entry or "",
        turn.state if turn.state != "whole" else "",
    ]
    return sanitize(
        ", ".join(part for part in [*parts, "" if turn.active else "put aside"] if part), newlines=False
    )


def _local(ms: int) -> str:
    """Say a point in time in this machine's own time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(ms // 1000))
    except (ValueError, OverflowError, OSError):
        return "?"


# the commands that change, write or delete: they join this group as they are loaded
for _one in (rename, fork, export_, delete, check):
    command.add_command(_one)
