"""`missy models`: the endpoint's current list of models."""

from __future__ import annotations

import click

from missy.cli.app import App, emit, emit_json
from missy.cli.model_lists import save_models
from missy.cli.param_types import SECONDS


@click.command("models")
@click.option("--provider", "-p", metavar="ENTRY", help="The entry to ask. Default: the default entry.")
@click.option("--timeout", metavar="S", type=SECONDS, help="The idle timeout, in seconds.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def command(app: App, provider: str | None, timeout: float | None, as_json: bool) -> None:
    """Print the endpoint's current list of models.

    \b
    Example:
      missy models --provider groq
    """
    app.warn(provider, asks=True)
    with app.assistant() as missy:
        names = missy.models(provider, timeout=timeout)
    save_models(app.config().entry(provider), names)
    if as_json:
        emit_json(names)
        return
    for name in names:
        emit(name)
