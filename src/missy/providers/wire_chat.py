"""Parsing a Chat Completions response: its JSON to events. Pure.

The format is OpenAI's (API reference, "Chat Completions"); many endpoints deviate from it, and their variants are accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError
from missy.events import Done, Notice, Reasoning, Text
from missy.providers import faults
from missy.providers.citations import Citations
from missy.providers.closing import ClosingMessage
from missy.providers.content import read_content
from missy.providers.counts import Length, chat_usage, other_model, place_number
from missy.providers.finish_reasons import explain, is_good, reason_of
from missy.providers.returned import Returned
from missy.providers.surrogates import Halves, joined
from missy.providers.thinking import ThinkSplitter
from missy.providers.toolcalls import ToolCallCollector

if TYPE_CHECKING:
    from collections.abc import Collection

    from missy.errors import MissyError
    from missy.events import Event, Usage


class ChatReply:
    """Parses one response, streamed or not. See missy.providers.reply.EventParser.

    A finish reason ends the answer unless text, thinking or a call follows it: some servers send one in every chunk.
    A bad one counts, whatever comes after it.
    """

    tolerant = False

    def __init__(
        self,
        *,
        host: str,
        model: str | None,
        request_id: str | None = None,
        offered: Collection[str] = (),
        in_loop: bool = False,
    ) -> None:
        self._host = host
        self._asked = model
        self._request_id = request_id
        self._model: str | None = None
        self._finish: str | None = None
        self._bad_finish: str | None = None
        self._ended = False  # a reason has come, and no part of the answer after it
        self._went_on = False  # a part of the answer has come after a reason
        self._alone = False  # the last reason came in a chunk without text
        self._marked = False
        self._first: int | None = None  # the index of the answer that is read
        self._thinking = ThinkSplitter()
        self._text_halves, self._thought_halves = Halves(), Halves()
        self._closing = ClosingMessage()
        self._calls = ToolCallCollector(offered, in_loop=in_loop)
        self._returned = Returned()
        self._usage: Usage | None = None
        self._length = Length()
        self._others: dict[str, None] = {}
        self._refused = False
        self._citations = Citations()
        self.text_seen: bool = False
        self.failure: MissyError | None = None

    @property
    def finished(self) -> bool:
        """Tell whether the end marker has come, or a finish reason with nothing after it."""
        return self._marked or self._ended

    @property
    def settled(self) -> bool:
        """Tell whether the answer is complete: only usage and the end marker may follow."""
        something = self.text_seen or self._calls.begun
        return self._marked or self.failure is not None or (self._ended and self._alone and something)

    @property
    def stands_cut(self) -> bool:
        """Tell whether the answer is complete even if the connection broke now: its finish reasons are reliable."""
        return self.failure is not None or self._marked or (self._ended and not self._went_on)

    @property
    def progress(self) -> int:
        """Return the amount of the answer received: text, thinking, calls."""
        return self._length.total + self._calls.length

    def done(self) -> None:
        """Take `[DONE]`."""
        self._marked = True

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one chunk. Raises the error that it holds, if it holds nothing of the answer beside it."""
        told = not data.get("usage") or data.get("object") == "error" or data.get("message")
        if told and not data.get("choices"):
            self._refuse_complaint(data)
        return self._take(data, "delta", data if name == "error" else None)

    def parse_complete(self, data: dict[str, Any]) -> list[Event]:
        """Parse a complete response; some servers send one although a stream was requested."""
        if not data.get("choices"):
            self._refuse_complaint(data)
        if not isinstance(data.get("choices"), list):
            raise BadReply(
                "the reply has no choices: not a chat completion", hint="is base_url right? most end in /v1"
            )
        self._marked = True
        return self._take(data, "message", None)

    def _classified(self, source: object) -> MissyError:
        return faults.from_answer(source, host=self._host, request_id=self._request_id, model=self._asked)

    def _refuse_complaint(self, data: dict[str, Any]) -> None:
        """Raise an error that was sent instead of a part of the answer."""
        from missy.net.error_body import complains

        if complains(data):
            raise self._classified(data)

    def _take(self, data: dict[str, Any], part: str, complaint: object) -> list[Event]:
        events: list[Event] = []
        if self._model is None and isinstance(data.get("model"), str) and data["model"]:
            self._model = joined(data["model"])
            notice = other_model(self._asked, self._model)
            events += [Notice(notice)] if notice else []
        choices = data.get("choices")
        choices = choices if isinstance(choices, list) else []
        for choice in choices:
            # Only the first of several answers: two at once cannot be told apart in a stream of text.
            if isinstance(choice, dict) and self._is_first(choice, choices):
                events += self._choice(choice, part)
                complaint = complaint or _complaint_in(choice)
        if "citations" in data or "search_results" in data:
            self._citations.take_lists(data)
        usage = data.get("usage")
        if isinstance(usage, dict) and usage:
            self._usage = chat_usage(usage)
        complaint = (data if data.get("error") else None) or complaint or _vendor_complaint(data)
        if complaint is not None and self.failure is None:
            self.failure = self._classified(complaint)
            if not events:
                raise self.failure
        return events

    def _is_first(self, choice: dict[str, Any], choices: list[Any]) -> bool:
        """Tell whether a choice is of the first answer: most servers count from 0, some from 1, some in texts."""
        index = choice.get("index")
        if not index and not self._first:
            self._first = 0
            return True
        if self._first is None:
            others = [other for other in choices if isinstance(other, dict)]
            self._first = min(place_number(other.get("index")) or 0 for other in others)
        return (place_number(index) or 0) == self._first

    def _choice(self, choice: dict[str, Any], part: str) -> list[Event]:
        delta = choice.get(part)
        if not isinstance(delta, dict) and part == "message":
            delta = choice.get("delta")  # a piece, although a complete message was expected
        content = delta.get("content") if isinstance(delta, dict) else None
        if (
            self.text_seen
            and self._thinking.is_over
            and len(delta or ()) == 1
            and isinstance(content, str)
            and not self._ended
            and choice.get("finish_reason", self) is None
            and "message" not in choice
        ):  # nearly every chunk
            self._length.add(content)
            self._closing.say(content)
            content = self._text_halves.feed(content)
            return [Text(content)] if content else []
        message = choice.get("message") if part == "delta" else None
        events, something = self._message(delta) if isinstance(delta, dict) else ([], False)
        if isinstance(message, dict):
            more, also = self._message(self._closing.rest(message), closing=True)
            events, something = events + more, something or also
        reason = reason_of(choice)
        if something:
            self._went_on = self._went_on or self._finish is not None
            self._ended = False
        if reason is not None:
            self._finish, self._ended, self._alone = reason, True, not something
            if not is_good(reason, calls=True) and self._bad_finish is None:
                self._bad_finish = reason
        return events

    def _message(self, message: dict[str, Any], *, closing: bool = False) -> tuple[list[Event], bool]:
        """Parse a piece; return its events, and whether it contained any part of the answer."""
        events: list[Event] = []
        said = read_content(message)
        self._returned.take(message, said)
        if message.get("annotations"):
            self._citations.take_annotations(message["annotations"])
        if said.thinking:
            self._length.add(said.thinking)
            thought = self._thought_halves.feed(said.thinking)
            events += [Reasoning(thought)] if thought else []
        text = said.text + said.refusal
        self._refused = self._refused or bool(said.refusal)
        if text:
            self._length.add(text)
            events += self._thinking.feed(piece) if (piece := self._text_halves.feed(text)) else []
        for other in said.others:
            if other not in self._others:
                self._others[other] = None
                events.append(Notice(f"the answer holds {other}, which Missy cannot show: left out"))
        calls = message.get("tool_calls")
        self._calls.feed(calls)
        legacy = message.get("function_call")
        if isinstance(legacy, dict) and legacy and not calls:
            self._calls.feed([{"index": 0, "function": legacy}])
        if not closing:
            self._closing.came(text, said.thinking, bool(calls or legacy))
        self.text_seen = self.text_seen or _is_visible(events)
        return events, bool(text or said.thinking or calls or legacy)

    def flush(self) -> list[Event]:
        """Output what was kept: surrogates, text that might have been a tag, the sources, and the usage."""
        events: list[Event] = []
        if thought := self._thought_halves.flush():
            events.append(Reasoning(thought))
        if half := self._text_halves.flush():
            events += self._thinking.feed(half)
        events += self._thinking.flush()
        self.text_seen = self.text_seen or _is_visible(events)
        events += self._citations.events()
        if self._usage is not None:
            events.append(self._usage)
        return events

    def end(self) -> list[Event]:
        """Finish the answer: the tool calls, then Done. Raises an error if it is not complete."""
        if self.failure is not None:
            raise self.failure
        bad = self._bad_finish
        if bad is None and not self.finished:
            raise self.incomplete("is cut off: the stream ended early", "ask again")
        if bad is None and not is_good(self._finish, calls=self._calls.begun):
            bad = self._finish
        if bad is not None:
            self._finish = bad
            raise self.incomplete(*explain(bad))
        calls = self._calls.calls()
        if not calls and not self.text_seen:
            raise self.incomplete(*self._empty())
        replay = self._returned.replay(with_calls=bool(calls))
        return [*calls, Done(self._finish, self._model, self._request_id, replay, self._refused)]

    def _empty(self) -> tuple[str, str]:
        if self._calls.custom:
            return (
                f"is a call of the custom tool {self._calls.custom[0][:64]!r}, which was not offered",
                "ask again",
            )
        if self._others:
            return f"contains only {' and '.join(self._others)}, which Missy cannot show", "ask for text"
        return "is empty", "ask again, or ask another model"

    def incomplete(self, what: str, hint: str) -> IncompleteError:
        """Return the error for an incomplete answer, with its finish reason, model and id."""
        return IncompleteError(
            f"the answer {what}",
            hint=hint,
            finish_reason=self._finish,
            request_id=self._request_id,
            model=self._model,
        )


def _complaint_in(choice: dict[str, Any]) -> object:
    """Return the error in a choice or its message, with or without text."""
    for holder in (choice, choice.get("delta"), choice.get("message")):
        if isinstance(holder, dict) and holder.get("error"):
            return holder
    return None


def _vendor_complaint(data: dict[str, Any]) -> object:
    """Return the error in a vendor's own field, such as `x_groq`."""
    for name, field in data.items():
        if type(field) is dict and name != "usage" and field.get("error"):  # JSON has no other kind of object
            return field
    return None


def _is_visible(events: list[Event]) -> bool:
    """Tell whether there is visible text: an answer of only white space counts as empty."""
    return any(isinstance(event, Text) and not event.text.isspace() for event in events)
