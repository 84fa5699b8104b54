"""`missy config backups|diff|rollback`: the earlier versions of the configuration file. No key is printed."""

from __future__ import annotations

import click

from missy import paths
from missy.cli.app import App, emit, emit_json, notice
from missy.plural import counted

_number = click.argument("number", metavar="[N]", type=click.IntRange(min=1), default=1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--prune", is_flag=True, help="Delete them all: one may contain an old key.")
@click.pass_obj
def backups(app: App, as_json: bool, prune: bool) -> None:
    """List the backups of the configuration, newest first: the last ten files that a command replaced.

    \b
    Example:
      missy config backups
      missy config backups --prune
    """
    from missy.config.backups import delete_all, find

    path = paths.config_file(app.config_path)
    if prune:
        gone = delete_all(path)
        notice(
            f"deleted {counted(gone, 'backup')}: no rollback is possible" if gone else "there are no backups"
        )
    found = find(path)
    if as_json:
        return emit_json(
            [{"n": one.number, "time": _time(one.timestamp), "path": str(one.path)} for one in found]
        )
    for one in found:
        emit(f"{one.number:>2}  {_time(one.timestamp)}  {one.path}")
    if not found and not prune:
        notice("no command has changed the configuration yet")
    return None


@click.command()
@_number
@click.pass_obj
def diff(app: App, number: int) -> None:
    """Show the changes since backup N (default: 1, the newest), keys masked.

    \b
    Example:
      missy config diff
      missy config diff 3
    """
    from missy.config.backups import diff

    text = diff(paths.config_file(app.config_path), number)
    if text:
        emit(text)
    else:
        notice(f"nothing has changed since backup {number}")


@click.command()
@_number
@click.pass_obj
def rollback(app: App, number: int) -> None:
    """Restore backup N (default: 1, the newest). The current file becomes the newest backup.

    \b
    Example:
      missy config rollback
      missy config rollback 3
    """
    from missy.config.backups import rollback
    from missy.kinds import KINDS

    path = paths.config_file(app.config_path)
    if rollback(path, number, kinds=KINDS):
        notice(f"restored backup {number} as {path}; to undo: missy config rollback")
    else:
        notice(f"{path} is already the same as backup {number}")


def _time(timestamp: str) -> str:
    """Return the time stamp YYYYMMDD-HHMMSS of a backup, in UTC, as ISO 8601."""
    return f"{timestamp[:4]}-{timestamp[4:6]}-{timestamp[6:8]}T{timestamp[9:11]}:{timestamp[11:13]}:{timestamp[13:]}Z"
