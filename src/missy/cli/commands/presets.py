"""`missy presets`: the services that `setup --provider` and `network.presets` know by name."""

from __future__ import annotations

from typing import Any

import click

from missy.cli.app import emit, emit_json
from missy.config.presets import PRESETS
from missy.services import OPENAI, SERVICES


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(as_json: bool) -> None:
    """List the services that setup --provider accepts, and the hosts that network.presets allows for each name.

    Parts in capitals are set with --set. A service without a host has a different one for each user; github is only
    for network.presets.

    \b
    Example:
      missy presets
      missy setup --no-prompt --provider cloudflare --set account=ID --model openai/gpt-5-mini
    """
    rows = [_row(name) for name in dict.fromkeys(("openai", *SERVICES, *PRESETS))]
    if as_json:
        emit_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        emit(f"{row['name']:<{width}}  {' '.join(row['hosts']) or '(a host of your own)'}")
        emit(f"{'':<{width}}  {row['note']}")
        if row["parts"]:
            emit(f"{'':<{width}}  {' '.join(f'--set {part}=...' for part in row['parts'])}")


def _row(name: str) -> dict[str, Any]:
    service = OPENAI if name == "openai" else SERVICES.get(name)
    preset = PRESETS.get(name)
    return {
        "name": name,
        "hosts": list(preset.hosts) if preset else [],
        "note": preset.note if preset else f"base_url {service.shown_url}" if service else "",
        "base_url": service.shown_url if service else None,
        "variable": (service.variables or (None,))[0] if service else None,
        "parts": [part.name for part in service.parts] if service else [],
        "headers": [header for header, _ in service.headers] if service else [],
    }
