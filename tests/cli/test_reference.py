"""The commands' help, and the reference that is made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from missy.cli.commands.reference import walk

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"
PAGES = {name: (text, command) for name, text, command in walk()}


@pytest.mark.locked
def test_the_reference_is_what_the_commands_say():
    """Stale? python -m missy.cli.commands.reference > docs/commands.md"""
    made = subprocess.run(
        [sys.executable, "-m", "missy.cli.commands.reference"], capture_output=True, check=True
    )
    assert DOCS.read_bytes() == made.stdout


def test_the_tree_is_walked_whole():
    """Groups and what is in them."""
    assert {"missy", "missy ask", "missy config rollback", "missy setup", "missy vault set"} <= PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_every_help_says_what_it_does_and_shows_an_example(name):
    """An example that begins with the command, or pipes into it, and every option explained."""
    text, command = PAGES[name]
    _, found, example = text.partition("Example:")
    assert found
    lines = [line for line in example.split("\n\n")[0].splitlines() if line.strip()]
    assert any("missy" in line for line in lines)
    assert command is not None
    if name != "missy":
        assert command.help
        for param in command.params:
            assert not isinstance(param, click.Option) or param.help, param.name
