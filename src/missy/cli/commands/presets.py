"""`missy presets`: what `network.presets` can name."""

from __future__ import annotations

import click

from missy.cli.app import emit, emit_json
from missy.config.presets import PRESETS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(as_json: bool) -> None:
    """The presets that network.presets can name, and the hosts that each one opens.

    \b
    Example:
      missy presets
      missy presets --json
    """
    if as_json:
        emit_json([{"name": name, "hosts": list(p.hosts), "note": p.note} for name, p in PRESETS.items()])
        return
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        emit(f"{name:<{width}}  {' '.join(preset.hosts)}")
        emit(f"{'':<{width}}  {preset.note}")
