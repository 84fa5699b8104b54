"""What Ctrl-C does: it ends the process while modules load, and raises once there is something to clean up."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Seconds that one system call waits for input: a signal that comes just before it does not end it.
MAX_WAIT_SECONDS = 0.5


def exit_on_ctrl_c(*, on_terminal: bool = False) -> None:
    """Make Ctrl-C end the process at once. For the time while modules load: an exception might be swallowed there.

    `on_terminal`: also if the parent process had SIGINT ignored and stdin is a terminal. The wizard needs it.
    """
    handler = signal.getsignal(signal.SIGINT)
    ignored = handler is signal.SIG_IGN and on_terminal and sys.stdin is not None and sys.stdin.isatty()
    if handler is signal.default_int_handler or ignored:
        signal.signal(signal.SIGINT, _exit_130)


def raise_on_ctrl_c() -> None:
    """Make Ctrl-C raise KeyboardInterrupt again: from here on there is something to clean up."""
    if signal.getsignal(signal.SIGINT) is _exit_130:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit_130(_signum: int, _frame: object) -> NoReturn:
    os._exit(130)
