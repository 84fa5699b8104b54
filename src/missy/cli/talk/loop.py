"""The conversation: reads a message or a command, carries it out, and goes on until it is ended."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from missy.cli.app import notice
from missy.cli.garbage import collect_from_now_on
from missy.cli.output.sanitize import sanitize
from missy.cli.talk import slash
from missy.cli.talk.line import Line, LineCleared
from missy.cli.talk.shell import Leave
from missy.cli.talk.status import status_line
from missy.errors import MissyError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.talk.line import LineReader
    from missy.cli.talk.signals import Signals
    from missy.cli.talk.state import Talk
    from missy.conversation.session import SessionAnswer
    from missy.sessions.input_history import InputHistory

_LEAVE_HINT = "Ctrl+D or /exit ends the conversation"


class Loop:
    """Runs one conversation; see Shell for what slash commands use of it. `history` is None if no line is stored."""

    def __init__(
        self,
        talk: Talk,
        reader: LineReader,
        signals: Signals,
        history: InputHistory | None,
        *,
        status: bool,
    ) -> None:
        self.talk = talk
        self._reader = reader
        self._signals = signals
        self._history = history
        self._status = status
        self._lines = history.lines() if history else []
        reader.remember(self._lines)

    def run(self) -> None:
        """Read and carry out until Ctrl-D or /exit."""
        collect_from_now_on()
        while True:
            try:
                line = self._read()
            except EOFError:
                return
            except KeyboardInterrupt:
                notice(_LEAVE_HINT)
                continue
            except LineCleared:
                self._forget_draft()
                continue
            try:
                self._carry_out(line)
            except Leave:
                return

    def ask(self, ask: Callable[[], SessionAnswer]) -> bool:
        """Show an answer; tell whether any text of it came."""
        from missy.cli.talk.answering import answer

        return answer(self.talk, self._signals, ask)

    def recent(self) -> None:
        """Say how many turns other processes added."""
        if self.talk.has_session and (added := self.talk.session.refresh()):
            notice(f"{counted(added, 'turn')} {'was' if added == 1 else 'were'} added elsewhere")

    def forget_history(self) -> None:
        """Store no typed line from now on."""
        self._history = None

    def _read(self) -> Line:
        """Read a line, and write it to the terminal as it is sent."""
        draft, self.talk.draft = self.talk.draft, None
        if draft is not None and self._reader.typed_ahead():
            notice("the message that was not answered is kept: the Up key brings it back")
            draft, self.talk.edits = None, False
        with self._signals.reading(self._reader.interrupt):
            line = self._reader.read(self._prompt(), draft=draft, status=self._status_text())
        if not self.talk.plain:  # there it stands already
            sys.stdout.write(f"{self._prompt()}{sanitize(line.text)}\n")
            sys.stdout.flush()
        for note in line.notes:
            notice(note)
        return line

    def _prompt(self) -> str:
        return "temp> " if self.talk.temporary else "> "

    def _status_text(self) -> str:
        if not self._status:
            return ""
        try:
            return status_line(self.talk)
        except MissyError:  # of the database: the next message will tell
            return self.talk.entry

    def _forget_draft(self) -> None:
        if self.talk.edits:
            self.talk.edits = False
            notice("the last turn stays as it was")

    def _carry_out(self, line: Line) -> None:
        """Run a command, or send a message. Errors are printed; the text is kept where it was not sent."""
        from missy.cli.main import show_error

        try:
            if line.is_command:
                self._remember(line)
                with self._signals.stoppable():
                    slash.run(self, line.text)
            else:
                self._send(line)
        except MissyError as error:
            show_error(error)
        except KeyboardInterrupt:
            notice("stopped")

    def _send(self, line: Line) -> None:
        talk = self.talk
        edits = talk.edits
        sent = False
        try:
            if self._may_send(line.message):
                sent = self._ask(line.message, edits=edits)
        finally:
            self._remember(line)
            if not sent:
                talk.draft, talk.edits = line._replace(notes=()), edits

    def _ask(self, message: str, *, edits: bool) -> bool:
        """Send a message; tell whether an answer, or a part of one, came."""
        talk = self.talk
        self.recent()
        talk.configured()
        talk.edits = False
        options = talk.turn_options()
        sys.stdout.write("\n")
        if edits:
            return self.ask(lambda: talk.session.edit(message, **options))
        came = self.ask(lambda: talk.session.ask(message, attachments=talk.attachments, **options))
        if came:
            talk.attachments = []
        return came

    def _may_send(self, message: str) -> bool:
        """Ask before a message is sent that the user may not want to send. Raises UsageError."""
        from missy.secrets.known import find_key

        config = self.talk.config
        owner = find_key(message, config.providers.values(), os.environ)
        if owner and not self._confirmed(f"this message holds the key of entry {owner}"):
            return False
        return self._same_endpoint()

    def _same_endpoint(self) -> bool:
        """Tell whether the conversation goes on at the endpoint where it was; ask if the configuration moved it."""
        talk = self.talk
        before, now = talk.endpoint, talk.configured().endpoint
        if before is not None and now != before:
            text = f"entry {talk.entry} was changed: all of this conversation would go to {now}, not {before}"
            if not self._confirmed(text):
                return False
        talk.endpoint = now
        return True

    def _confirmed(self, warning: str) -> bool:
        notice(warning)
        try:
            with self._signals.reading(self._reader.interrupt):
                if self._reader.confirm("send it? yes or no:"):
                    return True
        except (KeyboardInterrupt, LineCleared, EOFError):
            pass
        notice("not sent")
        return False

    def _remember(self, line: Line) -> None:
        """Add a line to the history of the Up key, and to its file if there is one."""
        text = line.as_typed
        if text.startswith(" "):
            return
        if not self._lines or self._lines[-1] != text:
            self._lines.append(text)
            self._reader.remember(self._lines)
        if self._history is not None and not line.text.startswith("/temp"):
            try:
                self._history.append(text)
            except MissyError as error:
                notice(f"the history is not stored: {error.message}")
                self._history = None
