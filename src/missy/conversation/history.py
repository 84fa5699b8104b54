"""Stored turns to the messages of the next request, and an answer to the stored outcome. No I/O."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from missy.cost.price import to_micro
from missy.errors import IncompleteError, MissyError
from missy.events import Attachment, Done, Message, Reasoning, Replay, Usage
from missy.sessions.records import Outcome, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from missy.answer import _Tally
    from missy.events import Event
    from missy.sessions.records import Turn


def messages(turns: Iterable[Turn]) -> list[Message]:
    """Return the messages of the turns: each question and its answer, complete or not, unchanged.

    A turn without an answer is omitted: many models' chat templates refuse two user messages in a row.
    """
    said: list[Message] = []
    for turn in turns:
        if turn.answer:
            said.append(question(turn.prompt, turn.attachments))
            said.append(Message("assistant", turn.answer, replay=_replay(turn)))
    return said


def question(prompt: str, files: Sequence[StoredFile]) -> Message:
    """Return a question as the user message."""
    return Message(
        "user",
        prompt,
        attachments=tuple(Attachment(file.data or b"", file.media_type, file.name) for file in files),
    )


def attached(files: Iterable[Any]) -> tuple[StoredFile, ...]:
    """Return attachments as they are stored. Raises UsageError for what cannot be attached."""
    from missy.attachments.content import attachment

    given = [attachment(file) for file in files]
    return tuple(StoredFile(file.name, file.media_type, len(file.data), bytes(file.data)) for file in given)


def cache_key(session: str) -> str:
    """Return the prompt cache key of a session: always the same, and not its id."""
    import uuid

    return str(uuid.UUID(bytes=hashlib.sha256(b"missy session " + session.encode()).digest()[:16], version=4))


def _replay(turn: Turn) -> Replay | None:
    stored = turn.replay
    if turn.state != "whole" or stored is None or not isinstance(stored.get("items"), list):
        return None
    items = tuple(item for item in stored["items"] if isinstance(item, dict))
    if any(item.get("type") == "function_call" for item in items):
        return None  # a call without its result is refused
    names = ("kind", "host", "account", "model")
    return Replay(items, *(stored.get(name) for name in names)) if items else None  # type: ignore[arg-type]


class Tally:
    """Builds the outcome of an answer: its text is the answer's own; the reasoning is collected here."""

    def __init__(self) -> None:
        self._thoughts: list[str] = []

    def note(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Reasoning):
            self._thoughts.append(event.text)

    @property
    def reasoning(self) -> str:
        """The reasoning received so far."""
        return "".join(self._thoughts)

    def whole(self, answer: _Tally, done: Done) -> Outcome:
        """Return the outcome of a complete answer."""
        replay = done.replay if isinstance(done.replay, Replay) else None
        return self._outcome(
            "whole",
            answer,
            text=answer.so_far,
            model=done.model,
            finish_reason=done.finish_reason,
            request_id=done.request_id,
            account=replay.account if replay else None,
            replay=replay.as_dict() if replay else None,
        )

    def ended(self, answer: _Tally, error: BaseException) -> Outcome:
        """Return the outcome of an incomplete answer: stopped by the caller, cut off, or failed before its first text."""
        if not isinstance(error, Exception):
            return self._outcome("stopped", answer, text=answer.received)
        state = "cut" if answer.received or isinstance(error, IncompleteError) else "failed"
        known: dict[str, Any] = {}
        if isinstance(error, MissyError):
            known["request_id"] = error.request_id
        if isinstance(error, IncompleteError):
            known |= {"finish_reason": error.finish_reason, "model": error.model}
        return self._outcome(state, answer, text=answer.received, **known)

    def _outcome(self, state: str, answer: _Tally, *, text: str, **known: Any) -> Outcome:
        usage, cost = answer.usage or Usage(), answer.cost
        return Outcome(
            state,
            text,
            self.reasoning,
            in_tok=usage.input_tokens,
            out_tok=usage.output_tokens,
            cached_tok=usage.cached_tokens,
            reasoning_tok=usage.reasoning_tokens,
            cost_micro=None if cost is None else to_micro(cost),
            price_from=answer.price_from,
            **known,
        )
