"""Runs one command. The only place where an error becomes an exit code."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import notice
from missy.cli.interrupts import raise_on_ctrl_c
from missy.cli.root import root
from missy.cli.streams import standard_streams
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# The errors of a write to a full or broken stdout. Any other OSError should have been handled where it happened.
_STDOUT_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


_MAX_SHOWN_CHARS = 300  # of a message about wrong usage


class Terminated(SystemExit):  # an event loop lets SystemExit through at once
    """SIGTERM or SIGHUP. Unwinds the stack like Ctrl-C, so that sockets, child processes and files are cleaned up."""


def _terminate(signum: int, _frame: Any) -> None:
    raise Terminated(128 + signum)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are printed only here."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # keep the effect of nohup
            signal.signal(number, _terminate)
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["help"]:  # as `git help` and `gh help`
        args = [*args[1:], "--help"]
    debug = "--debug" in args
    with standard_streams():
        code = _guard(lambda: _invoke(args), debug=debug)
        # Output may still be in the buffer, after an error too
        return _guard(lambda: _flush(code), debug=debug)


def _invoke(args: list[str]) -> int:
    """Parse a command line and run its command."""
    if sys.stdout is None:
        raise MissyError("stdout is closed: an answer would have nowhere to go", hint="nothing was sent")
    if "_MISSY_COMPLETE" in os.environ:
        from missy.cli.commands.completion import complete

        return complete(root, os.environ["_MISSY_COMPLETE"])
    raise_on_ctrl_c()
    try:
        with root.make_context("missy", list(args)) as ctx:
            code = root.invoke(ctx)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return 2
    except click.ClickException as error:
        return _report_usage_error(args, error)
    return code if isinstance(code, int) else 0


def _report_usage_error(args: list[str], error: click.ClickException) -> int:
    """Print what was not understood in a command line, and what was probably meant."""
    message = " ".join(error.format_message().split())
    message = message if len(message) <= _MAX_SHOWN_CHARS else message[:_MAX_SHOWN_CHARS] + "..."
    from missy.cli.advice import advise

    hint = advise(args, error)
    if hint.startswith("did you mean: "):  # one guess is enough, and click's knows the spelling alone
        message = re.split(r" \(?Did you mean ", message, maxsplit=1)[0]
    wrong = UsageError(message, hint=hint)
    if "ask" in args and ("--json" in args or "--events" in args):
        _print_as_json(wrong, events="--events" in args)
    show_error(wrong)
    return 2


def _flush(code: int) -> int:
    """Flush stdout. A command that a signal ended keeps its exit code, whatever becomes of its output."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        if code >= 128:
            return _exit_silently(code)
        raise
    return code


def _guard(step: Callable[[], int], *, debug: bool) -> int:
    """Run a step and return its exit code, whatever it raises."""
    try:
        return step()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _exit_silently(130)
    except Terminated as stop:
        return _exit_silently(int(stop.args[0]))
    except BrokenPipeError:
        return _exit_silently(141)
    except MissyError as error:
        if debug:
            _print_traceback()
        show_error(error)
        return error.exit_code
    except OSError as error:
        if error.errno not in _STDOUT_ERRNOS or error.filename is not None:
            return _report_internal_error(error, debug=debug)
        if debug:
            _print_traceback()
        show_error(MissyError(f"the output cannot be written: {error.strerror}", hint="is the disk full?"))
        return _exit_silently(1)
    except Exception as error:  # whatever else is wrong is reported in one line
        return _report_internal_error(error, debug=debug)


def _print_as_json(error: UsageError, *, events: bool) -> None:
    """Print the JSON object of `ask --json`, or the event of `ask --events`, for a wrong command line."""
    from missy.cli.output.json import EventLines, JsonObject

    (EventLines(sys.stdout) if events else JsonObject(sys.stdout, sys.stderr)).fail(error)


def _report_internal_error(error: Exception, *, debug: bool) -> int:
    """Report a bug of Missy in one line; the traceback only with --debug."""
    if debug:
        _print_traceback()
    notice(f"internal error: {type(error).__name__}: {error}")
    sys.stderr.write("  run it again with --debug and report what it prints; it holds no secret\n")
    return 1


def show_error(error: MissyError) -> None:
    """Print what happened, what to do about it, and the request id, one line each."""
    from missy.cli.output.sanitize import sanitize
    from missy.secrets.redact import redact

    notice(error.message.replace("\n", " "))
    if error.hint:
        sys.stderr.write(sanitize("  " + redact(error.hint.replace("\n", " "))) + "\n")
    if error.request_id:
        sys.stderr.write(sanitize(f"  request id: {error.request_id}") + "\n")


def _print_traceback() -> None:
    """Print the traceback without locals, masked by every secret that this process has held."""
    import traceback

    from missy.cli.output.sanitize import sanitize
    from missy.secrets.redact import redact

    sys.stderr.write(sanitize(redact(traceback.format_exc())))


def _exit_silently(code: int) -> int:
    """Return `code` and write nothing more to stdout, whose terminal or pipe may be gone."""
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # stdout may be closed
        pass
    return code
