"""The root command: the table of commands and the global options."""

from __future__ import annotations

import importlib
from typing import Any

import click

from missy.cli.app import App
from missy.cli.command_table import COMMANDS, OPTIONS, first_page


class Root(click.Group):
    """A group that imports a command when it is used, so that each pays only for its own imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List the commands, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a command without importing any."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in found if item.value.startswith(incomplete)] + options

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the main help page, which is also shown without click."""
        return first_page().rstrip("\n")


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from missy._version import __version__

        click.echo(f"missy {__version__}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "config_path", metavar="FILE", help=OPTIONS[0][1])
@click.option("--debug", is_flag=True, expose_value=False, help=OPTIONS[1][1])  # main looks for it
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help=OPTIONS[2][1],
)
@click.pass_context
def root(ctx: click.Context, config_path: str | None) -> None:
    """Ask language models. A key goes only to its own host, and what is sent is on record."""
    ctx.obj = App(config_path=config_path)
