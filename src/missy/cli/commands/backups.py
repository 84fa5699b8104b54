"""`missy config backups|diff|rollback`: the configuration before commands changed it. No key is shown."""

from __future__ import annotations

import click

from missy import paths
from missy.cli.app import App, emit, emit_json, notice

_number = click.argument("number", metavar="[N]", type=click.IntRange(min=1), default=1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--prune", is_flag=True, help="Delete them all: an old key may stand in one.")
@click.pass_obj
def backups(app: App, as_json: bool, prune: bool) -> None:
    """List the earlier configurations, the newest first: the last ten that a command replaced.

    \b
    Example:
      missy config backups
      missy config backups --prune
    """
    from missy.config.backups import delete_all, find

    path = paths.config_file(app.config_path)
    if prune:
        notice(f"deleted {delete_all(path)} backups; there is no rollback to them any more")
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
    """Show what has changed since backup N (1, the newest, if none is named), keys masked.

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
    """Put backup N (1, the newest, if none is named) in place; what is there now becomes the newest backup.

    \b
    Example:
      missy config rollback
      missy config rollback 3
    """
    from missy.config.backups import rollback
    from missy.kinds import KINDS

    path = paths.config_file(app.config_path)
    if rollback(path, number, kinds=KINDS):
        notice(f"put backup {number} in place of {path}; to undo: missy config rollback")
    else:
        notice(f"{path} is already the same as backup {number}")


def _time(timestamp: str) -> str:
    """Return YYYYMMDD-HHMMSS as ISO 8601; backups are dated in UTC."""
    return f"{timestamp[:4]}-{timestamp[4:6]}-{timestamp[6:8]}T{timestamp[9:11]}:{timestamp[11:13]}:{timestamp[13:]}Z"
