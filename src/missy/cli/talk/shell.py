"""What slash commands get: the conversation, and a way to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.talk.state import Talk
    from missy.conversation.session import SessionAnswer


class Shell(Protocol):
    """The running conversation, as far as slash commands use it."""

    talk: Talk

    def ask(self, ask: Callable[[], SessionAnswer]) -> bool:
        """Show an answer; tell whether any text of it came."""

    def recent(self) -> None:
        """Look for turns that other processes added, and say so."""

    def forget_history(self) -> None:
        """Store no typed line from now on."""


class Leave(Exception):
    """Ends the conversation."""
