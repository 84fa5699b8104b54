"""Running one command: the one place where an error becomes an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli import raise_at_ctrl_c
from missy.cli.app import notice
from missy.cli.root import root
from missy.cli.streams import standard_streams
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# What a write to a full or broken stdout fails with; any other OSError should have been told where it happened.
_STDOUT_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


_LONGEST = 300  # characters that are shown of what was not understood


class Terminated(SystemExit):  # which an event loop lets through at once, as it does Ctrl-C
    """SIGTERM or SIGHUP: unwinds like Ctrl-C, so that sockets, children and files are left in order."""


def _terminate(signum: int, _frame: Any) -> None:
    raise Terminated(128 + signum)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are shown here and nowhere else."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, _terminate)
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["help"]:  # as `git help` and `gh help`
        args = [*args[1:], "--help"]
    debug = "--debug" in args
    with standard_streams():
        code = _guard(lambda: _invoke(args), debug=debug)
        # What was printed may still wait in the buffer, whether the command went well or not
        return _guard(lambda: _flush(code), debug=debug)


def _invoke(args: list[str]) -> int:
    """Run the command of a command line."""
    if sys.stdout is None:
        raise MissyError("stdout is closed: an answer would have nowhere to go", hint="nothing was sent")
    if "_MISSY_COMPLETE" in os.environ:
        from missy.cli.commands.completion import complete

        return complete(root, os.environ["_MISSY_COMPLETE"])
    raise_at_ctrl_c()
    try:
        with root.make_context("missy", list(args)) as ctx:
            code = root.invoke(ctx)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return 2
    except click.ClickException as error:
        return _say_misuse(args, error)
    return code if isinstance(code, int) else 0


def _say_misuse(args: list[str], error: click.ClickException) -> int:
    """Say what was not understood in a command line, and what may have been meant."""
    said = " ".join(error.format_message().split())
    said = said if len(said) <= _LONGEST else said[:_LONGEST] + "..."
    from missy.cli.advice import advise

    hint = advise(args, error)
    if "--json" in args and "--events" not in args and "ask" in args:
        _refuse_as_json(said, hint)
    show_error(UsageError(said, hint=hint))
    return 2


def _flush(code: int) -> int:
    """Write out what waits for stdout; a command that failed already keeps its own code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        if code:
            return _quiet(code)
        raise
    return code


def _guard(step: Callable[[], int], *, debug: bool) -> int:
    """Return the exit code of a step, whatever comes out of it."""
    try:
        return step()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _quiet(130)
    except Terminated as stop:
        return _quiet(int(stop.args[0]))
    except BrokenPipeError:
        return _quiet(141)
    except MissyError as error:
        if debug:
            _traceback()
        show_error(error)
        return error.exit_code
    except OSError as error:
        if error.errno not in _STDOUT_FAULTS or error.filename is not None:
            return _own_fault(error, debug=debug)
        if debug:
            _traceback()
        show_error(MissyError(f"the output cannot be written: {error.strerror}", hint="is the disk full?"))
        return _quiet(1)
    except Exception as error:  # the last wall: whatever is wrong, it is said in one line
        return _own_fault(error, debug=debug)


def _refuse_as_json(said: str, hint: str) -> None:
    """Print the one object of `ask --json` for a command line that was not understood."""
    from missy.cli.output.json import Json
    from missy.cli.output.renderer import Summary

    Json(sys.stdout, sys.stderr).fail(UsageError(said, hint=hint), "", Summary())


def _own_fault(error: Exception, *, debug: bool) -> int:
    """Say a fault of our own in one line; the traceback only with --debug."""
    if debug:
        _traceback()
    from missy.secrets.redact import redact

    notice(redact(f"internal error: {type(error).__name__}: {error}"))
    sys.stderr.write("  run it again with --debug and report what it prints; it holds no secret\n")
    return 1


def show_error(error: MissyError) -> None:
    """Print what happened, what to do about it, and the request id, a line each."""
    from missy.cli.output.sanitize import safe
    from missy.secrets.redact import redact

    notice(redact(error.message.replace("\n", " ")))
    if error.hint:
        sys.stderr.write(safe("  " + redact(error.hint.replace("\n", " "))) + "\n")
    if error.request_id:
        sys.stderr.write(safe(f"  request id: {error.request_id}") + "\n")


def _traceback() -> None:
    """Print the traceback without locals, masked by every secret that this process has held."""
    import traceback

    from missy.cli.output.sanitize import safe
    from missy.secrets.redact import redact

    sys.stderr.write(safe(redact(traceback.format_exc())))


def _quiet(code: int) -> int:
    """End without a word: nothing more is written to a terminal or pipe that may be gone."""
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    return code
