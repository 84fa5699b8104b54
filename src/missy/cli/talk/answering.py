"""One answer: asked, shown as it arrives, and stopped by Ctrl-C. What came is kept by the session."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from missy.cli.app import notice
from missy.cli.output.sanitize import sanitize
from missy.errors import IncompleteError, MissyError
from missy.events import Notice, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.output.renderer import Renderer
    from missy.cli.talk.signals import Signals
    from missy.cli.talk.state import Talk
    from missy.conversation.session import SessionAnswer
    from missy.events import Event

_TOO_LONG = (
    "the conversation no longer fits into the model's context: /undo N takes turns away, /fork keeps a copy of it, \
/model M chooses a model with more room"
)


def answer(talk: Talk, signals: Signals, ask: Callable[[], SessionAnswer]) -> bool:
    """Show the answer that `ask` returns; tell whether it, or a part of it, came.

    Errors are printed here, not raised: the conversation goes on after them.
    """
    view = _View(talk)
    try:
        with signals.stoppable():
            view.show(ask())
    except KeyboardInterrupt:
        view.stop()
    except MissyError as error:
        view.fail(error)
    return view.has_text


class _View:
    """Shows one answer. The renderer is imported when the first event arrives."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        talk.show = self._event
        self._renderer: Renderer | None = None
        self._answer: SessionAnswer | None = None
        self._is_introduced = False

    @property
    def has_text(self) -> bool:
        """Whether any text came, shown or held back to be checked."""
        return self._answer is not None and bool(self._answer.received)

    def show(self, answer: SessionAnswer) -> None:
        self._answer = answer
        try:
            for event in answer:
                self._event(event)
        finally:
            answer.close()  # the session keeps what came of an answer that was stopped
        self._loaded().finish()
        self._end()

    def stop(self) -> None:
        """Say that the answer was stopped."""
        if self._renderer is not None:
            self._renderer.fail(MissyError("stopped"))
        notice("stopped; what came is kept" if self.has_text else "stopped before any text came")
        self._end()

    def fail(self, error: MissyError) -> None:
        """Say what went wrong, and what can be done about it here."""
        from missy.cli.main import show_error
        from missy.providers.error_mapping import is_too_long

        text = error.text if isinstance(error, IncompleteError) else ""
        if self._renderer is not None or text:
            self._loaded().fail(error, text)
        show_error(error)
        if is_too_long(error):
            notice(_TOO_LONG)
        elif self.has_text:
            notice("what came is kept; /retry asks again")
        self._end()

    def _event(self, event: Event) -> None:
        if isinstance(event, Notice) and self._talk.is_told(event.text):
            return
        if isinstance(event, Text) and self._talk.options.schema is not None:
            event = _formatted(event)
        if isinstance(event, Text) and event.text and not self._is_introduced:
            self._introduce()
        self._loaded().event(event)

    def _introduce(self) -> None:
        """Say who answers, where nothing else separates the answer from the question."""
        self._is_introduced = True
        if self._talk.plain and self._answer is not None:
            sys.stdout.write(sanitize(self._answer.model or self._answer.provider, newlines=False) + ":\n")

    def _loaded(self) -> Renderer:
        if self._renderer is None:
            self._renderer = make_renderer(self._talk)
            self._renderer.start()
        return self._renderer

    @staticmethod
    def _end() -> None:
        """Write the empty line before the next input."""
        sys.stdout.write("\n")
        sys.stdout.flush()


def make_renderer(talk: Talk) -> Renderer:
    """Return the renderer of this conversation's answers."""
    if talk.plain:
        from missy.cli.output.plain import Plain

        return Plain(sys.stdout, sys.stderr, show=sanitize)
    from missy.cli.output import select

    structured = talk.options.schema is not None
    return select.make_renderer(sys.stdout, structured=structured, environ=os.environ)


def _formatted(event: Text) -> Text:
    """Return the text of a checked answer as its value is shown."""
    from missy.cli.output.value import format_value

    return event if event.commentary else Text(format_value(event.text, indented=True))


def show_turn(talk: Talk, turn: Any) -> None:
    """Show a stored turn: its question and its answer."""
    sys.stdout.write(f"> {sanitize(turn.prompt)}\n\n")
    if turn.answer:
        renderer = make_renderer(talk)
        renderer.start()
        if talk.plain:
            sys.stdout.write(sanitize(turn.model or turn.entry or "answer", newlines=False) + ":\n")
        renderer.event(Text(turn.answer))
        renderer.finish()
    if turn.state != "whole":
        notice(f"this answer is {turn.state}")
    sys.stdout.write("\n")
    sys.stdout.flush()
