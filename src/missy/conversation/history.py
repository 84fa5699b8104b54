"""From stored turns to the messages of the next request, and from an answer to what is stored. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from missy.errors import IncompleteError, MissyError
from missy.events import Done, Image, Message, Reasoning, Replay, Usage
from missy.sessions.records import Attached, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from missy.answer import _Tally
    from missy.events import Event
    from missy.sessions.records import Turn


def messages(turns: Iterable[Turn]) -> list[Message]:
    """Return what was said: the question and its answer, whole or as far as it came, as they were.

    A turn to which nothing was answered is left out: two questions in a row are refused by many models' templates.
    """
    said: list[Message] = []
    for turn in turns:
        if turn.answer:
            said.append(question(turn.prompt, turn.attachments))
            said.append(Message("assistant", turn.answer, replay=_replay(turn)))
    return said


def question(prompt: str, files: Sequence[Attached]) -> Message:
    """Return a question as it is sent."""
    return Message("user", prompt, tuple(Image(file.data or b"", file.media_type) for file in files))


def attached(files: Iterable[Any]) -> tuple[Attached, ...]:
    """Return files as they are stored: anything with `data` and `media_type`, and perhaps a `name`."""
    return tuple(
        Attached(getattr(file, "name", "") or "", file.media_type, len(file.data), bytes(file.data))
        for file in files
    )


def cache_key(session: str) -> str:
    """Return what names a conversation to an endpoint's cache: always the same, and not its id."""
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
    """What an answer comes to: the texts are the answer's own, the thinking is kept here."""

    def __init__(self) -> None:
        self._thoughts: list[str] = []

    def note(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Reasoning):
            self._thoughts.append(event.text)

    @property
    def reasoning(self) -> str:
        """All the thinking up to now."""
        return "".join(self._thoughts)

    def whole(self, answer: _Tally, done: Done) -> Outcome:
        """Return the outcome of an answer that ended well."""
        replay = done.replay if isinstance(done.replay, Replay) else None
        return self._outcome(
            "whole",
            answer,
            model=done.model,
            finish_reason=done.finish_reason,
            request_id=done.request_id,
            account=replay.account if replay else None,
            replay=replay.as_dict() if replay else None,
        )

    def ended(self, answer: _Tally, error: BaseException) -> Outcome:
        """Return the outcome of one that did not: stopped by somebody, cut off, or failed before its first word."""
        if not isinstance(error, Exception):
            return self._outcome("stopped", answer)
        state = "cut" if answer.so_far or isinstance(error, IncompleteError) else "failed"
        known: dict[str, Any] = {}
        if isinstance(error, MissyError):
            known["request_id"] = error.request_id
        if isinstance(error, IncompleteError):
            known |= {"finish_reason": error.finish_reason, "model": error.model}
        return self._outcome(state, answer, **known)

    def _outcome(self, state: str, answer: _Tally, **known: Any) -> Outcome:
        usage = answer.usage or Usage()
        return Outcome(
            state,
            answer.so_far,
            self.reasoning,
            in_tok=usage.input_tokens,
            out_tok=usage.output_tokens,
            cached_tok=usage.cached_tokens,
            reasoning_tok=usage.reasoning_tokens,
            **known,
        )
