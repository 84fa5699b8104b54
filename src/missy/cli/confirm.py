"""Asks on the terminal before something is done that cannot be undone."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from missy.cli.interrupts import MAX_WAIT_SECONDS
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def interruptible() -> Iterator[None]:
    """Handle Ctrl-C at once while a line is read from the terminal.

    A signal that comes just before the system call does not end it: Python would handle it after the next key. So
    an alarm interrupts the call now and then; Python handles what is due, and goes on reading.
    """
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def confirm(question: str) -> bool:
    """Ask `question` on the terminal, with stderr for its text. Raises Abort for Ctrl-C."""
    with interruptible():
        return click.confirm(question, err=True)


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
    if not confirm(question):
        raise MissyError("nothing was deleted", hint="the answer was no; --yes deletes without a question")
