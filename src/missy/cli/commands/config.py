"""`missy config`: shows and validates the configuration. It prints no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missy import paths
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.commands.backups import backups, diff, rollback
from missy.cli.commands.settings import set_, unset
from missy.errors import ConfigError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.config.schema import Config

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def command() -> None:
    """The configuration file: show it, check it, change it.

    \b
    Example:
      missy config set providers.groq.model llama-3.3-70b-versatile
      missy config validate
    """


for _listed in (set_, unset, backups, diff, rollback):
    command.add_command(_listed)


@command.command()
@_json
@click.pass_obj
def path(app: App, as_json: bool) -> None:
    """Print the path of the configuration file, whether it exists or not.

    \b
    Example:
      "$EDITOR" "$(missy config path)"
    """
    file = paths.config_file(app.config_path)
    if as_json:
        emit_json({"path": str(file), "exists": file.exists()})
    else:
        emit(str(file))


@command.command()
@_json
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Print the effective configuration, with defaults, keys masked.

    \b
    Example:
      missy config show
      missy config show --json | jq .network
    """
    from missy.config.show import effective, to_yaml

    config = app.config()
    if not config.exists:
        notice(f"there is no {config.path}: these are the defaults")
    data = effective(config)
    if as_json:
        emit_json(data)
    else:
        emit(to_yaml(data))


@command.command()
@_json
@click.pass_obj
def validate(app: App, as_json: bool) -> None:
    """Check the configuration file, and name the first mistake with its line. No network.

    \b
    Example:
      missy config validate
      missy --config new.yaml config validate --json
    """
    try:
        config = app.config()
    except ConfigError as error:
        if as_json:
            place = {"file": error.file, "line": error.line, "key": error.key}
            emit_json({"ok": False, "error": {"message": error.message, "hint": error.hint} | place})
        raise
    app.warn_about_all()
    summary = _summary(config)
    if as_json:
        emit_json(summary)
        return
    state = "" if config.exists else " does not exist: the defaults are used"
    providers = f"{counted(summary['providers'], 'provider')} ({summary['enabled']} enabled)"
    emit(f"ok: {config.path}{state}: {providers}, {counted(summary['rules'], 'network rule')}")


@command.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of the configuration file.

    \b
    Example:
      missy config schema > missy.schema.json
    """
    from missy.config.json_schema import json_schema
    from missy.kinds import KINDS

    emit_json(json_schema(KINDS))


def _summary(config: Config) -> dict[str, Any]:
    network = config.network
    hosts = network.provider_allowed_hosts + network.tool_allowed_hosts + network.allowed_hosts
    rules = hosts + network.allowed_domains + network.allowed_cidrs + network.presets
    enabled = [entry for entry in config.providers.values() if entry.enabled]
    return {
        "ok": True,
        "path": str(config.path),
        "exists": config.exists,
        "providers": len(config.providers),
        "enabled": len(enabled),
        "rules": len(rules),
        "warnings": list(config.warnings),
    }
