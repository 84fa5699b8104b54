"""The modes of the terminal during a conversation, and how they are restored: at the end, on a signal, while stopped.

While an answer is shown, the terminal does not echo what is typed: it waits in the kernel for the next prompt. Ctrl-C and
Ctrl-Z are signals then. Bracketed paste stays on, so that a paste during an answer is one, too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_READ_AHEAD = 1 << 16
PASTE_ON, PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
_RESET = "\x1b[?25h\x1b[?7h\x1b[0m"  # the cursor hidden, no wrapping, colours


class TerminalModes:
    """Sets the modes of the terminal on stdin for a conversation. A context manager: it restores them, whatever happens.

    `marks`: whether pastes can be marked; `draws`: whether a line editor draws, so that more must be reset.
    `typed_before` is what was typed before they were set. `on_continue` is called when the stopped
    process continues.
    """

    def __init__(self, *, marks: bool, draws: bool) -> None:
        self._fd = sys.stdin.fileno()
        self._out = sys.stdout.fileno()
        self._begin = PASTE_ON if marks else ""
        self._end = (PASTE_OFF if marks else "") + (_RESET if draws else "")
        self.on_continue: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        self._handler = signal.signal(signal.SIGTSTP, self._suspend)
        self._set(_quiet(self._before, os.fpathconf(self._fd, "PC_VDISABLE")))
        self.typed_before = self._read_ahead()
        self._write(self._begin)
        return self

    def __exit__(self, *_exc: object) -> None:
        signal.signal(signal.SIGTSTP, self._handler)
        self._write(self._end)
        self._set(self._before)

    def _read_ahead(self) -> str:
        """Return what was typed while Missy started: in the modes of before, in which Enter is a line feed."""
        if not select.select([self._fd], [], [], 0)[0]:
            return ""
        text = os.read(self._fd, _MAX_READ_AHEAD).decode(errors="replace")
        return text.replace("\n", "\r") if self._before[0] & termios.ICRNL else text

    def lend(self, run: Callable[[], int]) -> int:
        """Run a program that uses the terminal itself, in the modes of before."""
        modes = termios.tcgetattr(self._fd)
        self._write(self._end)
        self._set(self._before)
        try:
            return run()
        finally:
            self._set(modes)
            self._write(self._begin)

    def _suspend(self, _signum: int, _frame: Any) -> None:
        """Stop as the user wants, with the modes of before; go on with those of now when continued."""

        def stop() -> int:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._suspend)
            return 0

        self.lend(stop)
        self.on_continue()

    def _set(self, modes: list[Any]) -> None:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._fd, termios.TCSANOW, modes)

    def _write(self, text: str) -> None:
        if text:
            with suppress(OSError):
                os.write(self._out, text.encode())


def _quiet(modes: list[Any], no_key: int) -> list[Any]:
    """Return modes without echo and line editing, in which each key arrives unchanged, but Ctrl-C and Ctrl-Z are signals.

    Signals do not flush what was typed ahead, and Ctrl-\\ does not end the process in these modes.
    """
    quiet = [*modes[:6], list(modes[6])]
    quiet[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
    quiet[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    quiet[3] |= termios.ISIG | termios.NOFLSH
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    quiet[6][termios.VQUIT] = bytes([no_key])
    return quiet
