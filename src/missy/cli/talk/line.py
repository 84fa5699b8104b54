"""What a line reader gives to the conversation: a text, and whether it is a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Line(NamedTuple):
    """A text that was sent with Enter. `typed_slash`: it begins with a slash that was typed, not pasted.

    `notes` says what was changed in pasted text, so that all of it could be shown.
    """

    text: str
    typed_slash: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_command(self) -> bool:
        """Whether it is a slash command. `//x` is a message that begins with a slash."""
        return self.typed_slash and not self.text.startswith("//")

    @property
    def message(self) -> str:
        """The message to send."""
        return self.text[1:] if self.typed_slash and self.text.startswith("//") else self.text

    @property
    def as_typed(self) -> str:
        """The text as it can be typed: a message that begins with a slash gets a second one."""
        return f"/{self.text}" if self.text.startswith("/") and not self.typed_slash else self.text


class LineCleared(Exception):
    """Ctrl-C while there was text: the text is dropped."""


class LineReader(Protocol):
    """Reads one message or command at a time from the terminal.

    Raises KeyboardInterrupt for Ctrl-C on an empty line, LineCleared for Ctrl-C after text, EOFError for Ctrl-D on an
    empty line.
    """

    def read(self, prompt: str, *, draft: Line | None = None, status: str = "") -> Line:
        """Read a text of one or more lines; it begins with `draft`."""

    def confirm(self, question: str) -> bool:
        """Ask a question. Only a typed `yes` is a yes."""

    def remember(self, lines: Sequence[str]) -> None:
        """Set what the Up key recalls, oldest first."""

    def typed_ahead(self) -> bool:
        """Whether any text was typed while nothing was read. Enter alone is none: it sends what the input begins with."""

    def interrupt(self) -> None:
        """Handle SIGINT while a text is read."""

    def redraw(self) -> None:
        """Draw the input again after the process was stopped and continued."""
