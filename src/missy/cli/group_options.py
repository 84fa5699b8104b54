"""Options of a group that lists something if no sub-command is named."""

from __future__ import annotations

import click
from click.core import ParameterSource

from missy.errors import UsageError


def refuse_before_subcommand(ctx: click.Context) -> None:
    """Raise UsageError for options between the group's name and a sub-command, which does not get them."""
    given = [
        param.opts[0]
        for param in ctx.command.params
        if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        chosen = f"{ctx.info_name} {ctx.invoked_subcommand}"
        raise UsageError(
            f"{', '.join(given)} before {ctx.invoked_subcommand} is not passed on to it",
            hint=f"options come last; see: missy {chosen} --help",
        )
