"""The command line: a file a command, imported when it is called. It prints; nothing below it does."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """Run the `missy` command and exit with the code that the contract gives to what happened."""
    import sys

    words = sys.argv[1:]
    if words in (["--version"], ["--help"], ["-h"]) and sys.stdout is not None:
        _answer_at_once(words[0])
    end_at_ctrl_c(on_terminal="setup" in words)
    import gc

    # Nothing is rubbish yet while modules load; `ask` turns the collector on again once its request is out.
    gc.disable()
    try:
        from missy.cli.main import run

        code = run()
    except KeyboardInterrupt:  # Ctrl-C while the modules load
        code = 130
    _leave(code)


def end_at_ctrl_c(*, on_terminal: bool = False) -> None:
    """Let Ctrl-C end the process at once while modules load: an exception may be swallowed there, in a callback say.

    `on_terminal`: also where whoever started us had it ignored, if stdin is a terminal. The wizard reads its keys there.
    """
    import signal
    import sys

    handler = signal.getsignal(signal.SIGINT)
    ignored = handler is signal.SIG_IGN and on_terminal and sys.stdin is not None and sys.stdin.isatty()
    if handler is signal.default_int_handler or ignored:
        signal.signal(signal.SIGINT, _end)


def raise_at_ctrl_c() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: from here on there is something to put in order."""
    import signal

    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_signum: int, _frame: object) -> NoReturn:
    import os

    os._exit(130)


def _leave(code: int) -> NoReturn:
    """End the process without taking it apart: what was open is closed by now, and 600 modules need no funeral."""
    import atexit
    import os
    import sys

    atexit._run_exitfuncs()  # noqa: SLF001 a renewed login that the disk refused is tried once more
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        code = code or 1  # run() has said what is wrong with stdout; what stderr lost changes nothing
    os._exit(code)


def _answer_at_once(word: str) -> None:
    """Show the version or the first page, for which nothing else need be loaded."""
    import sys

    from missy import __version__
    from missy.cli.command_table import first_page

    try:
        sys.stdout.write(f"missy {__version__}\n" if word == "--version" else first_page())
        sys.stdout.flush()
    except (OSError, ValueError):
        return  # a full disk or a closed pipe: the long way round knows what to say
    raise SystemExit(0)
