"""The root command: global options, the table of commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from missy import __version__
from missy.cli.app import App, notice
from missy.cli.top import COMMANDS, OPTIONS, first_page
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Sequence


# What a write to a full or broken stdout fails with; any other OSError should have been told where it happened.
_STDOUT_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class Root(click.Group):
    """A group whose commands are imported on use: a command pays for its own imports only."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List the commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{meant}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a command; none is imported for it."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in found if item.value.startswith(incomplete)] + options

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the first page, which is also shown without click."""
        return first_page().rstrip("\n")


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config", "config_path", metavar="FILE", help="Another config file than MISSY_HOME/config.yaml."
)
@click.option("--debug", is_flag=True, help=OPTIONS[1][1])
@click.version_option(__version__, message="missy %(version)s")
@click.pass_context
def root(ctx: click.Context, config_path: str | None, debug: bool) -> None:
    """The assistant that you can hand your keys to."""
    ctx.obj = App(config_path=config_path, debug=debug)


class Terminated(SystemExit):  # which an event loop lets through at once, as it does Ctrl-C
    """SIGTERM or SIGHUP: unwinds like Ctrl-C, so that sockets, children and files are left in order."""


def _terminate(signum: int, _frame: Any) -> None:
    raise Terminated(128 + signum)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are shown here and nowhere else."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, _terminate)
    _own_standard_streams()
    debug = False
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if sys.stdout is None:
            raise MissyError("stdout is closed: an answer would have nowhere to go", hint="nothing was sent")
        if "_MISSY_COMPLETE" in os.environ:
            from missy.cli.completion import complete

            return complete(root, os.environ["_MISSY_COMPLETE"])
        debug = "--debug" in args
        with root.make_context("missy", args) as ctx:
            code = root.invoke(ctx)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return 2
    except click.ClickException as error:
        said = " ".join(error.format_message().split())
        if "--json" in args and "--events" not in args and "ask" in args:
            _refuse_as_json(said)
        notice(said)
        context = getattr(error, "ctx", None)
        if context is not None:
            sys.stderr.write(f"  try: {context.command_path} --help\n")
        return 2
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


def _refuse_as_json(said: str) -> None:
    """Print the one object of `ask --json` for a command line that was not understood."""
    from missy.cli.render import Json, Summary
    from missy.errors import UsageError

    Json(sys.stdout, sys.stderr).fail(UsageError(said, hint="see: missy ask --help"), "", Summary())


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
    from missy.cli.safe import safe
    from missy.secrets.redact import redact

    notice(redact(error.message.replace("\n", " ")))
    if error.hint:
        sys.stderr.write(safe("  " + redact(error.hint.replace("\n", " "))) + "\n")
    if error.request_id:
        sys.stderr.write(safe(f"  request id: {error.request_id}") + "\n")


def _own_standard_streams() -> None:
    """Fill the places of closed standard streams, so that no file or socket of ours takes one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 it lives as long as the process


def _traceback() -> None:
    """Print the traceback without locals, masked by every secret that this process has held."""
    import traceback

    from missy.cli.safe import safe
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
