"""A sign-in on a terminal: only the address goes to stdout, everything else to stderr; input comes from stdin."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from missy.cli.app import emit, notice
from missy.cli.login.stdin_lines import StdinLineReader
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable


class TerminalPrompter:
    """Implements missy.auth.prompter.Prompter. `open_browser`: open a browser if there is one.

    `elsewhere` is what a person on another machine can do besides, in words.
    """

    def __init__(self, *, open_browser: bool, elsewhere: str = "use --device") -> None:
        self._open_browser = open_browser
        self._elsewhere = elsewhere

    def show_address(self, url: str, *, shortcut: str = "") -> None:
        """Print the address on its own line, never wrapped, so that it can be clicked and copied."""
        from missy.auth import browser

        emit(url, masked=False)
        sys.stdout.flush()
        if self._open_browser and not browser.is_headless() and browser.open_page(shortcut or url):
            notice("a browser was opened on the address above")
        else:
            notice("open the address above in a browser")
        if os.environ.get("SSH_CONNECTION"):
            port = _port_of(url)
            tunnel = f"ssh -L {port}:127.0.0.1:{port} ..."
            notice(f"over SSH: connect with `{tunnel}`, or paste, or {self._elsewhere}")

    def show_code(self, page: str, code: str, minutes: int) -> None:
        """Print the address of the page on its own line, then the code."""
        emit(page, masked=False)
        sys.stdout.flush()
        notice(f"open that address and enter the code {code} (good for {counted(minutes, 'minute')})")

    def notice(self, text: str) -> None:
        """Print one line to stderr."""
        notice(text)

    def listen(self, on_line: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `on_line` for each line of stdin, from a thread. Returns the function that stops it."""
        return StdinLineReader(on_line).close


def _port_of(url: str) -> int | None:
    """Return the port of this machine to which the sign-in page redirects the browser."""
    from urllib.parse import parse_qs, urlsplit

    return urlsplit(parse_qs(urlsplit(url).query).get("redirect_uri", [""])[0]).port
