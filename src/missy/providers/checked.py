"""An answer that must fit a schema: its text is given out once it was checked; where it does not fit, it is asked for again.

`CheckedAnswer` does no I/O; `checked_stream` and `checked_astream` call the provider for it.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError, MissyError, SchemaMismatch
from missy.events import Done, Message, Notice, Text, ToolCall, Usage
from missy.providers.counts import add_usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.events import Event
    from missy.providers.base import Answering, Request
    from missy.structured.schema import Schema


class HeldText:
    """The text that has come and is not given out before it was checked: it stays here if the answer ends early."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


class CheckedAnswer:
    """The state over one or two calls: `request` is the next one to send, None at the end."""

    def __init__(self, request: Request, schema: Schema, held: HeldText) -> None:
        self.request: Request | None = request
        self._schema = schema
        self._held = held
        self._may_repair = request.repair
        self._usage: Usage | None = None
        self._begin()

    def _begin(self) -> None:
        self._text: list[str] = []
        self._length = 0
        self._calls = 0
        self._done: Done | None = None

    def take(self, event: Event) -> Iterator[Event]:
        """Keep what is to be checked or counted first, and give out the rest."""
        match event:
            case Text(commentary=False):
                self._text.append(event.text)
                self._held.pieces = self._text
                self._length += len(event.text)
                self._check_length()
            case Usage():
                self._usage = event if self._usage is None else add_usage(self._usage, event)
            case Done():
                self._done = event
            case _:
                self._calls += isinstance(event, ToolCall)
                yield event

    def _check_length(self) -> None:
        from missy.structured.schema import MAX_ANSWER_CHARS

        if self._length > MAX_ANSWER_CHARS:
            raise BadReply(f"the answer is longer than {MAX_ANSWER_CHARS >> 20} million characters of JSON")

    def note_text(self, error: MissyError) -> None:
        """Tell a caller what had come of an answer that is not whole."""
        if isinstance(error, IncompleteError):
            error.text = "".join(self._text)

    def usage(self) -> Iterator[Event]:
        """Give out what all calls up to now have used."""
        if self._usage is not None:
            yield self._usage

    def finish(self) -> Iterator[Event]:
        """Check a whole answer, and give it out or prepare the second call. Raises SchemaMismatch."""
        request, done, text = self.request, self._done, "".join(self._text)
        assert request is not None
        assert done is not None
        self.request = None
        try:
            if self._calls and request.in_loop:  # what the model says before it calls tools is no answer yet
                yield from [Text(text, commentary=True)] if text else []
                text = ""
            elif text or not self._calls:  # tool calls alone are no answer yet
                text = self._checked(text, done)
        except SchemaMismatch as error:
            if not self._may_repair or done.refusal:
                error.finish_reason, error.model = done.finish_reason, done.model
                error.request_id, error.refusal = done.request_id, done.refusal
                yield from self.usage()
                raise
            yield Notice(f"{error.message}; asking once more")
            self._may_repair = False
            self.request = _repaired(request, text, error, done)
            self._begin()
            return
        if text:
            yield Text(text)
        yield from self.usage()
        yield done

    def _checked(self, text: str, done: Done) -> str:
        from missy.structured.schema import unfenced

        if done.refusal:
            raise SchemaMismatch(
                "the model refused, and gave no JSON", hint="put the question in another way", text=text
            )
        self._schema.read(text)
        return unfenced(text)


def _repaired(request: Request, text: str, error: SchemaMismatch, done: Done) -> Request:
    from missy.structured.schema import repair_prompt

    sendable = text.encode("utf-8", "replace").decode()
    asked = (
        Message("assistant", sendable, replay=done.replay),
        Message("user", repair_prompt(error.faults).encode("utf-8", "replace").decode()),
    )
    return request._replace(messages=(*request.messages, *asked))


def checked_stream(provider: Answering, request: Request, held: HeldText | None = None) -> Iterator[Event]:
    """Return the answer's events; with a schema, its text comes once it was checked, until then it is in `held`.

    They raise MissyError.
    """
    if request.schema is None:
        return provider.stream(request)
    return _stream(provider, CheckedAnswer(request, request.schema, held or HeldText()))


def checked_astream(
    provider: Answering, request: Request, held: HeldText | None = None
) -> AsyncIterator[Event]:
    """Like `checked_stream`, for async code."""
    if request.schema is None:
        return provider.astream(request)
    return _astream(provider, CheckedAnswer(request, request.schema, held or HeldText()))


def _stream(provider: Answering, checked: CheckedAnswer) -> Iterator[Event]:
    while checked.request is not None:
        events: Any = provider.stream(checked.request)
        try:
            with closing(events):
                for event in events:
                    for shown in checked.take(event):
                        yield shown
        except MissyError as error:
            checked.note_text(error)
            for spent in checked.usage():  # noqa: UP028
                yield spent
            raise
        for shown in checked.finish():
            yield shown


async def _astream(provider: Answering, checked: CheckedAnswer) -> AsyncIterator[Event]:
    while checked.request is not None:
        events: Any = provider.astream(checked.request)
        try:
            async with aclosing(events):
                async for event in events:
                    for shown in checked.take(event):
                        yield shown
        except MissyError as error:
            checked.note_text(error)
            for spent in checked.usage():
                yield spent
            raise
        for shown in checked.finish():
            yield shown
