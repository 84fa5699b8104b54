"""The docs' command reference, made from the commands: python -m missy.cli.commands.reference > docs/commands.md."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Commands

Made by `python -m missy.cli.commands.reference > docs/commands.md` from the commands' own help: do not edit.
What the exit codes mean: 0 done, 1 a fault of Missy's own, 2 wrong use or configuration, 3 refused by the policy,
4 no credential, 5 the provider failed, 6 an incomplete answer, 7 a limit, 130 Ctrl-C.
"""


def reference() -> str:
    """Return the reference as Markdown: each command's help, 80 columns wide."""
    return _HEAD + "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text, _ in walk())


def walk() -> Iterator[tuple[str, str, click.Command]]:
    """Yield each command with its name and help text, a group before what is in it."""
    from missy.cli.root import root

    yield from _walk(
        root, click.Context(root, info_name="missy", terminal_width=80, help_option_names=["-h", "--help"])
    )


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, click.Command]]:
    text = "\n".join(line.rstrip() for line in command.get_help(context).rstrip().split("\n"))
    yield context.command_path, text, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _walk(
                    found, click.Context(found, parent=context, info_name=name, terminal_width=80)
                )


if __name__ == "__main__":
    sys.stdout.write(reference())
