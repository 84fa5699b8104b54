"""Slash commands about the turns of this session: ask again, change, put aside, fork, copy, save."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy.cli.app import notice
from missy.cli.talk.line import Line
from missy.errors import UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.cli.talk.shell import Shell
    from missy.sessions.records import Turn

_MAX_UNDO = 100_000


def retry(shell: Shell, model: str) -> None:
    """Ask the last question again, perhaps another model. The old turn is put aside."""
    talk = shell.talk
    last_turn(shell)
    shell.recent()
    if model:
        talk.options.model = model
    shell.ask(lambda: talk.session.retry(**talk.turn_options()))


def edit(shell: Shell, _argument: str) -> None:
    """Put the last question into the input line; the message that is sent replaces it."""
    last = last_turn(shell)
    shell.talk.draft = Line(last.prompt)
    shell.talk.edits = True
    notice("Enter asks the changed question; Ctrl+C leaves it as it was")


def undo(shell: Shell, count: str) -> None:
    """Put the last turns aside."""
    number = int(count or "1") if (count or "1").isdecimal() and len(count) < 7 else 0
    if not 0 < number <= _MAX_UNDO:
        raise UsageError(f"'{count}' is no number of turns", hint="/undo 2")
    last_turn(shell)
    left = shell.talk.session.undo(number)
    notice(f"{counted(number, 'turn')} put aside, {left} left")


def fork(shell: Shell, name: str) -> None:
    """Go on in a new session that has the same turns."""
    last_turn(shell)
    talk = shell.talk
    options, entry, files = talk.options, talk.entry, talk.attachments
    talk.use(talk.session.fork(name=name or None))
    talk.options, talk.entry, talk.attachments = options, entry, files
    notice(f"this is now the session {talk.session.id}" + (f" ({name})" if name else ""))


def copy(shell: Shell, what: str) -> None:
    """Copy to the terminal's clipboard. Raises UsageError."""
    from missy.cli.talk.clipboard import code_blocks
    from missy.cli.talk.clipboard import copy as copy_text

    if not shell.talk.clipboard:
        raise UsageError(
            "the clipboard is off", hint="run.clipboard in the configuration, and TERM; use /save FILE"
        )
    answer = shell.talk.last_answer()
    if what == "all":
        answer = shell.talk.session.export()
    elif what:
        blocks = code_blocks(answer)
        if not what.isdecimal() or not 1 <= int(what[:6]) <= len(blocks):
            raise UsageError(
                f"the last answer has no code block {what}", hint=f"it has {len(blocks)}; or: /copy all"
            )
        answer = blocks[int(what) - 1]
    notice(copy_text(answer))


def save(shell: Shell, path: str) -> None:
    """Write the conversation to a new file with mode 0600. Raises MissyError."""
    from missy.cli.new_file import write_new

    last_turn(shell)
    format_ = "json" if path.endswith(".json") else "md"
    text = shell.talk.session.export(format_)
    try:
        write_new(path, [text.encode(), b"\n" if format_ == "json" else b""], force=False)
    except UsageError as error:
        raise UsageError(error.message, hint="name another file: nothing is written over") from None
    notice(f"written: {os.path.expanduser(path)}")


def last_turn(shell: Shell) -> Turn:
    """Return the last turn. Raises UsageError if there is none."""
    found = shell.talk.session.turns if shell.talk.has_session else []
    if not found:
        raise UsageError("there is no turn yet", hint="ask something first")
    return found[-1]
