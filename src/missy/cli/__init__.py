"""The command line: one file per command, imported when it is called. Only this package prints."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """Run the `missy` command and exit with its exit code."""
    import sys

    words = sys.argv[1:]
    if words in (["--version"], ["--help"], ["-h"]) and sys.stdout is not None:
        _print_static_page(words[0])
    from missy.cli.interrupts import exit_on_ctrl_c

    exit_on_ctrl_c(on_terminal="setup" in words)
    import gc

    # While modules load there is no garbage to collect; `ask` enables the collector again once its request is
    # sent, and a command that runs on when it begins (`missy.cli.garbage`).
    gc.disable()
    try:
        from missy.cli.main import run

        code = run()
    except KeyboardInterrupt:  # Ctrl-C while the modules load
        code = 130
    _exit_now(code)


def _exit_now(code: int) -> NoReturn:
    """Exit without tearing down the interpreter, which would take time: all files and sockets are closed by now."""
    import atexit
    import os
    import sys

    atexit._run_exitfuncs()  # noqa: SLF001 a renewed login that could not be written is tried once more
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        code = code or 1  # run() has reported what is wrong with stdout
    os._exit(code)


def _print_static_page(word: str) -> None:
    """Print the version or the main help page without importing anything else."""
    import sys

    from missy._version import __version__
    from missy.cli.command_table import first_page

    try:
        sys.stdout.write(f"missy {__version__}\n" if word == "--version" else first_page())
        sys.stdout.flush()
    except (OSError, ValueError):
        return  # a full disk or a closed pipe: run() reports it
    raise SystemExit(0)
