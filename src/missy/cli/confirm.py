"""Asks before something is deleted for good."""

from __future__ import annotations

import sys

import click

from missy.errors import UsageError


def require_yes(question: str, *, yes: bool) -> None:
    """Ask `question` on the terminal, unless `yes` was given. Raises UsageError without a terminal, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"there is no terminal to ask on, and nothing was deleted: {question}", hint="add --yes"
        )
    click.confirm(question, abort=True, err=True)
