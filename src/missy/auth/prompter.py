"""What a sign-in needs of the program that shows it. For the type checker: nothing here is loaded when Missy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Prompter(Protocol):
    """Shows a sign-in to a person, and passes on what the person types. Every text is one line, ready to show."""

    def show_address(self, url: str) -> None:
        """Show the address to open. It holds no token; opening a browser on it is up to the program."""

    def show_code(self, page: str, code: str, minutes: int) -> None:
        """Show a device code: it is typed in at `page`, within so many minutes."""

    def notice(self, text: str) -> None:
        """Say something that the person should know, or a question whose answer comes by `listen`."""

    def listen(self, on_line: Callable[[str | None], None]) -> Callable[[], None]:
        """Begin to pass on what the person types: each line, and None when no more can come. Returns what ends it.

        `on_line` may be called from another thread. A program without an input returns a function that does nothing.
        """
