"""A conversation for sync code: `s = m.session("holiday"); s.ask("...").text()`."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from missy.answer import Answer
from missy.conversation.base import SessionBase, again
from missy.conversation.recorder import Unasked, untold, waiting
from missy.errors import MissyError
from missy.events import Done, Notice
from missy.sessions import locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from missy.conversation.base import Plan
    from missy.conversation.recorder import Recorder
    from missy.events import Event
    from missy.providers.base import Preview
    from missy.sessions.listing import Totals
    from missy.sessions.records import Turn


class SessionAnswer(Answer):
    """An answer within a session: `session` is its id, `turn` the number of the turn once it has begun."""

    session: str | None = None
    turn: int | None = None


class Session(SessionBase):
    """One conversation. Made by `Missy.session`."""

    def ask(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> SessionAnswer:
        """Ask within the conversation; see Missy.ask for the options. What was received is stored, however it ends.

        The entry, the model and the system text are those of the last turn unless they are given.
        """
        return self._answer(self._plan(prompt, attachments, options))

    def retry(self, *, attachments: Sequence[Any] | None = None, **options: Any) -> SessionAnswer:
        """Ask the last question again, with the same options unless others are given. The old turn becomes inactive."""
        last = self._last(data=True)
        return self._answer(self._plan_edit(last, last.prompt, attachments, again(last, options)))

    def edit(self, prompt: str, attachments: Sequence[Any] | None = None, **options: Any) -> SessionAnswer:
        """Replace the last question, with the same files unless others are given. The old turn becomes inactive."""
        return self._answer(self._plan_edit(self._last(data=True), prompt, attachments, options))

    def preview(self, prompt: str, attachments: Sequence[Any] = (), **options: Any) -> Preview:
        """Return the exact request that `ask` would send, secrets masked; writes and sends nothing."""
        plan = self._plan(prompt, attachments, options)
        provider, request_options = self._request_options(plan)
        missy: Any = self._missy
        preview: Preview = missy.preview(self._messages(plan), provider=provider, **request_options)
        return preview

    @property
    def turns(self) -> list[Turn]:
        """The active turns, first to last."""
        return self._turns()

    @property
    def all_turns(self) -> list[Turn]:
        """All turns; `active` says which are on the path to the last one."""
        return self._turns(aside=True)

    def refresh(self) -> int:
        """Load what other processes have changed in it; return how many turns they added. Raises UsageError."""
        return self._look()

    def totals(self) -> Totals:
        """Return the number of its turns, their tokens and their cost, as far as they are known."""
        return self._totals()

    def undo(self, count: int = 1) -> int:
        """Make the last turns inactive; return how many active ones are left. Raises UsageError."""
        return self._undo(count)

    def fork(self, turn: int | Turn | None = None, *, name: str | None = None) -> Session:
        """Return a new session that continues from a turn of this one, given as its number or a Turn."""
        return Session(self._missy, self._store, self._fork(turn, name))

    def rename(self, name: str) -> None:
        """Rename the session. Raises UsageError if the name is invalid or taken."""
        self._rename(name)

    def export(self, format: str = "md", *, reasoning: bool = False, aside: bool = False) -> str:  # noqa: A002
        """Return the conversation as a document: `md` or `json`."""
        return self._export(format, reasoning=reasoning, aside=aside)

    def _answer(self, plan: Plan) -> SessionAnswer:
        entry = self._missy.entry(self._request_options(plan)[0])
        answer = SessionAnswer(iter(()), asked=Unasked(entry.entry))
        answer.session = self.id
        answer._events = self._events(plan, answer)  # noqa: SLF001 our own
        return answer

    def _events(self, plan: Plan, shown: SessionAnswer) -> Iterator[Event]:
        self._refresh()
        shown.session = self.id
        lock = locks.Lock(self._store, self.id, threading.get_ident())
        try:
            if not lock.take():
                yield Notice(waiting(lock.holder()))
                while not lock.take():
                    time.sleep(locks.PAUSE)
            recorder = self._start(plan)
            self._show(shown, recorder)
            yield from self._recorded(recorder)
        finally:
            lock.release()

    def _recorded(self, recorder: Recorder) -> Iterator[Event]:
        answer = recorder.answer
        try:
            for event in answer:
                recorder.note(event)
                if isinstance(event, Done):
                    yield from _stored(recorder, event)
                    continue
                if recorder.is_due:
                    recorder.keep()
                yield event
        except BaseException as error:
            answer.close()
            try:
                recorder.ended(error)
            except MissyError as fault:
                self._tell(untold(answer, fault))
            raise


def _stored(recorder: Recorder, done: Done) -> Iterator[Event]:
    """Store a complete answer before its Done event; if that fails, the answer is complete all the same."""
    fault: MissyError | None = None
    try:
        recorder.whole(done)
    except MissyError as error:
        fault = error
    yield done
    if fault is not None:
        raise fault
