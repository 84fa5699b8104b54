"""`missy models`: the endpoint's own list, asked for now."""

from __future__ import annotations

import click

from missy.cli.app import App, emit, emit_json
from missy.cli.model_lists import keep
from missy.cli.param_types import SECONDS


@click.command("models")
@click.option("--provider", "-p", metavar="ENTRY", help="The entry to ask; else the default one.")
@click.option("--timeout", metavar="S", type=SECONDS, help="Seconds of silence allowed.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def command(app: App, provider: str | None, timeout: float | None, as_json: bool) -> None:
    """The endpoint's live list of models.

    \b
    Example:
      missy models --provider groq
    """
    app.warn(provider)
    with app.assistant() as missy:
        names = missy.models(provider, timeout=timeout)
    keep(app.config().entry(provider), names)
    if as_json:
        emit_json(names)
        return
    for name in names:
        emit(name)
