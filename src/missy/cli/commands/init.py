"""`missy init`: makes the folders and a commented config.yaml. It must never change what exists."""

from __future__ import annotations

import os

import click

from missy import files, folders, paths
from missy.cli.app import App, emit
from missy.config.template import template
from missy.kinds import KINDS


@click.command()
@click.pass_obj
def command(app: App) -> None:
    """Write a commented config.yaml and make the folders of MISSY_HOME. Existing files are not changed.

    \b
    Example:
      missy init
      missy --config ~/work/missy.yaml init
    """
    home = folders.ensure_dir(paths.home())
    for folder in ("secrets", "models"):
        folders.ensure_dir(home / folder)
    file = paths.config_file(app.config_path)
    if os.path.lexists(file):
        emit(f"left as it is: {file}")
    else:
        if not file.parent.exists():
            folders.ensure_dir(file.parent)
        files.write_private(file, template(KINDS).encode())
        emit(f"wrote {file}")
    emit("next, with a key from OpenAI: export OPENAI_API_KEY=... && missy ask 'hello'")
    emit("or let it ask you:            missy setup")
    emit("or, on this machine alone:    missy local install && missy ask --provider local 'hello'")
    emit("to check it all:              missy doctor")
