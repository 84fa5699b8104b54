"""Asks before something is deleted for good."""

from __future__ import annotations

import sys

import click

from missy.errors import MissyError, UsageError


def require_yes(question: str, *, yes: bool) -> None:
    """Ask `question` on the terminal, unless `yes` was given.

    Raises UsageError without a terminal, MissyError (exit code 1) for a no, Abort for Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"there is no terminal to ask on, and nothing was deleted: {question}", hint="add --yes"
        )
    if not click.confirm(question, err=True):
        raise MissyError("nothing was deleted", hint="the answer was no; --yes deletes without a question")
