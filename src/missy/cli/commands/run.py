"""`missy run`: the interactive conversation. Only options and set-up are here; the conversation is in `cli/talk`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App
from missy.cli.param_types import SECONDS, TEMPERATURE
from missy.cli.session_choice import choose
from missy.cli.tool_options import take_tools, tool_options
from missy.errors import UsageError

if TYPE_CHECKING:
    from missy.cli.talk.line import LineReader
    from missy.cli.talk.state import Talk
    from missy.cli.talk.tty_modes import TerminalModes


@click.command("run")
@click.option("--session", metavar="S", help="Continue this session, or begin one of this name.")
@click.option("--continue", "-c", "continued", is_flag=True, help="Continue the session that was used last.")
@click.option("--temp", is_flag=True, help="Store nothing on the disk: no session, no history of lines.")
@click.option(
    "--plain", is_flag=True, help="Draw nothing over, no colour: for screen readers and simple terminals."
)
@click.option(
    "--provider", "-p", metavar="ENTRY", help="The entry to ask; another one only if its `fallback` says so."
)
@click.option("--model", "-m", metavar="M", help="The model, instead of the entry's.")
@click.option("--system", "-s", metavar="TEXT", help="Instructions that come before the conversation.")
@click.option("--role", metavar="NAME", help="A role of the configuration: instructions, entry and model.")
@click.option(
    "--reasoning", type=click.Choice(["low", "medium", "high"]), help="How long the model should reason."
)
@click.option("--temperature", metavar="T", type=TEMPERATURE, help="0 to 2.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(1), help="The longest answer, in tokens.")
@click.option("--timeout", metavar="S", type=SECONDS, help="The idle timeout, in seconds.")
@click.option(
    "--attach", "-a", metavar="FILE", multiple=True, help="A file to send along with the first message."
)
@tool_options
@click.pass_obj
def command(
    app: App,
    /,
    session: str | None,
    continued: bool,
    temp: bool,
    plain: bool,
    provider: str | None,
    role: str | None,
    attach: tuple[str, ...],
    **options: Any,
) -> int:
    """A conversation on the terminal, stored as a session. Type /help in it for its commands and keys.

    \b
    Example:
      missy run
      missy run --continue
      missy run --temp --provider local
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("a conversation needs a terminal", hint="use missy ask")
    if temp and (session is not None or continued):
        raise click.UsageError("--temp stores nothing, and --session and --continue name what is stored")
    if role is not None and options["system"] is not None:
        raise click.UsageError("--role and --system both give instructions: choose one")
    from missy.cli.talk.state import Talk, TurnOptions

    config = app.config()
    temporary = temp or (config.sessions.save == "none" and session is None and not continued)
    place = choose(app, session, continued=continued)
    pinned = config.entry(provider or (place.entry if place else None)).entry
    app.warn(pinned)
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    tools = take_tools(app, options, words=None, private=False, show=lambda event: talk.show(event))  # noqa: PLW0108 it changes
    talk = Talk(app.assistant, config, pinned, TurnOptions(**options), place=place, temporary=temporary)
    talk.tools = tools
    talk.plain = plain or dumb or config.run.screen_reader
    talk.clipboard = config.run.clipboard and not dumb
    try:
        _run(talk, provider, role, attach, marks=not dumb)
    finally:
        talk.close()
    return 0


def _run(talk: Talk, provider: str | None, role: str | None, attach: tuple[str, ...], *, marks: bool) -> None:
    """Set up the terminal, and hold the conversation."""
    from missy.cli.talk.loop import Loop
    from missy.cli.talk.signals import Signals
    from missy.cli.talk.tty_modes import TerminalModes
    from missy.sessions.input_history import InputHistory

    run = talk.config.run
    with Signals() as signals, TerminalModes(marks=marks, draws=not talk.plain) as modes:
        reader = _reader(talk, modes, marks=marks)
        modes.on_continue = reader.redraw
        history = InputHistory() if run.history and not talk.temporary else None
        loop = Loop(talk, reader, signals, history, status=run.status and not talk.plain)
        if role is not None:
            from missy.cli.talk import slash_options

            given = {name: getattr(talk.options, name) for name in ("model", "temperature")}
            slash_options.take_role(loop, role, provider=provider, **given)
        for path in attach:
            from missy.cli.talk import slash_options

            slash_options.attach(loop, path)
        if talk.has_session:
            from missy.cli.talk import slash_sessions

            slash_sessions.introduce(loop)
        loop.run()


def _reader(talk: Talk, modes: TerminalModes, *, marks: bool) -> LineReader:
    if talk.plain:
        from missy.cli.talk.plain_editor import PlainEditor

        return PlainEditor(modes.typed_before, marks=marks)
    from missy.cli.talk.editor import Editor

    def edit_outside(text: str) -> str:
        """Edit a text in the user's editor; if that fails, say so and return it as it was."""
        from missy.cli.main import show_error
        from missy.cli.talk.outside_editor import edit
        from missy.errors import MissyError

        try:
            if talk.temporary:
                raise UsageError("a temporary conversation writes no file, and an editor needs one")
            return edit(text, modes.lend)
        except MissyError as error:
            show_error(error)
            return text

    return Editor(modes.typed_before, edit_outside)
