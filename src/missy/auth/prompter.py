"""The interface between a sign-in and its user interface. Only for type checkers: not imported at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Prompter(Protocol):
    """Shows a sign-in to the user and passes on the input. Every text is one line, ready to show."""

    def show_address(self, url: str, *, shortcut: str = "") -> None:
        """Show the address to open. It contains no token; the program may open a browser.

        `shortcut` is an address of this machine that leads to the same page once, with the account chosen already: a
        browser that is opened here is given that one, where there is one. It is not to be shown.
        """

    def show_code(self, page: str, code: str, minutes: int) -> None:
        """Show a device code: the user types it at `page`, within so many minutes."""

    def notice(self, text: str) -> None:
        """Show a message, or a question that is answered through `listen`."""

    def listen(self, on_line: Callable[[str | None], None]) -> Callable[[], None]:
        """Start to pass on the user's input: each line, and None at its end. Returns a function that stops it.

        `on_line` may be called from another thread. A program without an input returns a function that does nothing.
        """
