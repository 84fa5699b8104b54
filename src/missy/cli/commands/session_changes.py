"""`missy sessions rename|fork|export|delete|check`: what changes stored conversations, writes one out, or checks all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from missy.cli.app import emit, emit_json, notice
from missy.cli.confirm import require_yes
from missy.cli.output.sanitize import sanitize
from missy.errors import UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.sessions.store import Store


def stored() -> Store:
    """Open the store; where none is there, an empty one that leaves no file."""
    from missy.sessions.store import Store

    return Store.open(make=False)


@click.command()
@click.argument("session", metavar="S")
@click.argument("name")
def rename(session: str, name: str) -> None:
    """Give a session a name of its own.

    \b
    Example:
      missy sessions rename 3f9a holiday
    """
    from missy.sessions import find

    with stored() as store:
        found = find.require(store, session)
        notice(f"{found.id} is now called {find.rename(store, found.id, name)}")


@click.command()
@click.argument("session", metavar="S")
@click.option("--turn", metavar="N", type=click.IntRange(1), help="Go on from this turn; default: the last.")
@click.option("--name", help="The name of the new session.")
def fork(session: str, turn: int | None, name: str | None) -> None:
    """Make a new session that goes on from a turn of this one, and print its id.

    \b
    Example:
      missy sessions fork holiday --turn 3 --name "holiday by train"
    """
    from missy.sessions import find, tree, turns

    with stored() as store:
        found = find.require(store, session)
        id_ = tree.turn_id(store, found.id, turn) if turn is not None else None
        kept = find.check_name(name) if name is not None else None
        emit(turns.fork(store, found, new_id=find.new_id(), turn=id_, name=kept).id)


@click.command("export")
@click.argument("session", metavar="S")
@click.option(
    "--format", "format_", type=click.Choice(["md", "json"]), default="md", help="Markdown, or JSON."
)
@click.option("--output", "-o", metavar="FILE", help="A new file that only you can read; default: stdout.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--reasoning", is_flag=True, help="Include the reasoning (JSON always has it).")
@click.option("--all", "aside", is_flag=True, help="Also the turns that were put aside.")
def export_(
    session: str, format_: str, output: str | None, force: bool, reasoning: bool, aside: bool
) -> None:
    """Write a conversation as a document; every text stays as it was, byte for byte.

    \b
    Example:
      missy sessions export holiday > holiday.md
      missy sessions export holiday --format json --output holiday.json
    """
    import json

    from missy.cli.new_file import write_new
    from missy.sessions import export, find, tree

    with stored() as store:
        found = find.require(store, session)
        every = tree.turns(store, found.id, aside=aside)
    if format_ == "md":
        text = export.as_markdown(every, reasoning=reasoning)
    else:
        text = json.dumps(export.as_json(found, every), indent=2) + "\n"
    if output is not None and output != "-":
        return write_new(output, (text.encode(errors="replace"),), force=force)
    if sys.stdout.isatty():
        text = sanitize(text)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="replace"))
    sys.stdout.buffer.flush()
    return None


@click.command()
@click.argument("sessions", metavar="S...", nargs=-1)
@click.option(
    "--older-than", metavar="AGE", help="Those that were last used longer ago than this: 30d, 12h, 4w."
)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(sessions: tuple[str, ...], older_than: str | None, every: bool, yes: bool) -> None:
    """Delete sessions, so that no byte of them is left in any file of Missy's.

    \b
    Example:
      missy sessions delete holiday 3f9a
      missy sessions delete --older-than 30d --yes
    """
    from missy.cli.param_types import seconds_of_age
    from missy.sessions import delete as deleting
    from missy.sessions import find

    if (len(sessions) > 0) + (older_than is not None) + every != 1:
        raise UsageError("say which sessions to delete", hint="name them, or give --older-than 30d or --all")
    age = seconds_of_age(older_than) if older_than is not None else 0
    with stored() as store:
        if sessions:
            ids = list(dict.fromkeys(find.require(store, one).id for one in sessions))
        else:
            ids = find.every_id(store) if every else find.older_than(store, age)
        if not ids:
            return notice("there is nothing to delete")
        require_yes(f"Delete {counted(len(ids), 'session')}? This cannot be undone.", yes=yes)
        gone = deleting.delete(store, ids)
    return notice(f"gone: {counted(gone, 'session')}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(as_json: bool) -> int:
    """Check that the database is whole, of a schema that this Missy knows, and private. Exit code 1 if it is not.

    \b
    Example:
      missy sessions check
    """
    from dataclasses import asdict

    from missy import paths
    from missy.sessions import files
    from missy.sessions.check import Report
    from missy.sessions.check import check as look

    path = paths.home() / files.NAME
    report = look(path) if path.is_symlink() or path.exists() else Report(str(path))
    if as_json:
        emit_json({"ok": not report.problems, **asdict(report)})
    elif report.sessions is None and not report.problems:
        emit("no session is stored")
    else:
        if report.sessions is not None and report.turns is not None:  # else it could not be read
            held = f"{counted(report.sessions, 'session')}, {counted(report.turns, 'turn')}"
            emit(f"{report.path}: schema {report.schema}, {held}")
        emit(f"{report.bytes} bytes, {report.wal_bytes} in the log")
        for problem in report.problems:
            emit(f"wrong: {problem}")
        emit("ok" if not report.problems else "not ok")
    return 1 if report.problems else 0
