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
    import gc

    # Nothing is rubbish yet while modules load; `ask` turns the collector on again once its request is out.
    gc.disable()
    try:
        from missy.cli.main import run

        code = run()
    except KeyboardInterrupt:  # Ctrl-C while the modules load
        code = 130
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process without taking it apart: what was open is closed by now, and 600 modules need no funeral."""
    import atexit
    import os
    import sys

    atexit._run_exitfuncs()  # noqa: SLF001 a renewed login that the disk refused is tried once more
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 1  # run() has said what is wrong with stdout
    os._exit(code)


def _answer_at_once(word: str) -> None:
    """Show the version or the first page, for which nothing else need be loaded."""
    import sys

    from missy import __version__
    from missy.cli.command_table import first_page

    try:
        sys.stdout.write(f"missy {__version__}\n" if word == "--version" else first_page())
        sys.stdout.flush()
    except OSError:
        return  # a full disk or a closed pipe: the long way round knows what to say
    raise SystemExit(0)
