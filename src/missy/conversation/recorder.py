"""Stores one answer of a session while it is received, and its outcome."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from missy.conversation.history import Tally
from missy.errors import MissyError
from missy.plural import counted
from missy.sessions import turns

if TYPE_CHECKING:
    from missy.answer import _Tally
    from missy.config.schema import Entry
    from missy.events import Done, Event
    from missy.sessions.records import Outcome, TurnStart
    from missy.sessions.store import Store

_EVERY = 2.0  # seconds between two intermediate stores of an unfinished answer


class Unasked:
    """Who will be asked for an answer that has not begun. See `missy.answer.Asked`."""

    model = fallback_from = meter = None
    held_back = ""

    def __init__(self, provider: str = "") -> None:
        self.provider = provider


class Recorder:
    """Stores one answer while it is received, and its outcome."""

    def __init__(self, store: Store, turn: int, n: int, answer: Any, asked: TurnStart) -> None:
        self._store = store
        self._turn = turn
        self.n = n
        self.answer = answer
        self._asked = asked
        self._tally = Tally()
        self._kept, self._kept_at = 0, monotonic()
        self.over: bool = False

    def note(self, event: Event) -> None:
        """Take one event."""
        self._tally.note(event)

    @property
    def is_due(self) -> bool:
        """Whether it is time to store what has been received."""
        return monotonic() - self._kept_at > _EVERY

    def keep(self) -> None:
        """Store what has been received so far. A failure does not stop the answer: it is reported at the end."""
        self._kept_at = monotonic()
        received = self.answer.received
        if len(received) == self._kept:
            return
        self._kept = len(received)
        try:
            turns.flush(self._store, self._turn, received, self._tally.reasoning)
        except MissyError:
            self._kept_at += 60

    def whole(self, done: Done) -> None:
        """Store a complete answer. Raises NotStored."""
        try:
            self._finish(self._tally.whole(self.answer, done))
        except MissyError:
            self.over = True
            raise
        self.over = True  # not earlier: Ctrl-C in between must not lose the answer

    def ended(self, error: BaseException) -> None:
        """Store the part of an incomplete answer. Raises NotStored."""
        if not self.over:
            self.over = True
            self.answer.stop_meter(error)
            self._finish(self._tally.ended(self.answer, error))

    def _finish(self, outcome: Outcome) -> None:
        if self.answer.fallback_from is not None:
            entry: Entry = self.answer._asked.entry  # noqa: SLF001 a Route
            answered = replace(
                self._asked,
                entry=entry.entry,
                kind=entry.kind,
                host=host_of(entry),
                options={**self._asked.options, "fallback_from": self._asked.entry},
            )
            outcome = replace(outcome, answered=answered)
        turns.finish(self._store, self._turn, outcome)


def waiting(who: str) -> str:
    """Return the notice that another process is answering."""
    return f"this session is answering in {who}, waiting"


def untold(answer: _Tally, error: MissyError) -> str:
    """Return the notice that the received part was not stored, when another error is raised."""
    return f"{error.message} (received before: {counted(len(answer.received), 'character')})"


def host_of(entry: Entry) -> str | None:
    """Return the host of an entry's endpoint."""
    from missy.policy import parse

    return parse(entry.endpoint).host if entry.endpoint else None
