"""`missy providers`: the entries, and which of them are ready. It opens no connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, emit, emit_json, notice

if TYPE_CHECKING:
    from missy.config.schema import Config, Entry


@click.group("providers", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the entries: kind, model, endpoint, where the key comes from, ready or why not. No network.

    \b
    Example:
      missy providers
      missy providers switch groq
    """
    if ctx.invoked_subcommand is not None:
        from missy.cli.group_options import refuse_before_subcommand

        return refuse_before_subcommand(ctx)
    return _list(ctx.obj, as_json=as_json)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_entries(app: App, as_json: bool) -> None:
    """List the entries.

    \b
    Example:
      missy providers list --json
    """
    _list(app, as_json=as_json)


@command.command("switch")
@click.argument("name")
@click.pass_obj
def switch(app: App, name: str) -> None:
    """Make NAME the default entry. Comments and order of the file do not change.

    \b
    Example:
      missy providers switch groq
    """
    from missy.config.edit import set_default

    config = app.config()
    entry = config.entry(name)
    app.warn(entry.entry)
    set_default(config.path, entry.entry, config.kinds)
    emit(f"default_provider: {entry.entry}")


def _list(app: App, *, as_json: bool) -> None:
    config = app.config()
    app.warn_about_all()
    rows = [_row(config, entry) for entry in config.providers.values()]
    if as_json:
        emit_json(rows)
        return
    if not rows:
        notice("there are no entries yet; run: missy setup")
        return
    from missy.cli.output.table import show_table

    show_table(
        ("", "ENTRY", "KIND", "MODEL", "ENDPOINT", "CREDENTIAL", "STATE"),
        [
            (
                "*" if row["default"] else "",
                row["entry"],
                row["name"],
                row["model"],
                row["base_url"],
                row["credential"],
                "ready" if row["ready"] else row["reason"],
            )
            for row in rows
        ],
    )


def _row(config: Config, entry: Entry) -> dict[str, Any]:
    from missy.readiness import readiness

    state = readiness(config, entry, os.environ)
    return {
        "entry": entry.entry,
        "name": entry.kind,
        "model": entry.model,
        "base_url": entry.endpoint,
        "enabled": entry.enabled,
        "default": entry.entry == config.default,
        "ready": state.ready,
        "reason": state.reason or None,
        "credential": state.credential,
        "allowed_hosts": state.allowed_hosts,
    }
