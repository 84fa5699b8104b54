"""Parsing a Responses response: the events of its stream, or the complete object, to events of ours. Pure.

The format is OpenAI's (API reference, "Responses"). The text of an answer is sent up to five times; it is output once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError
from missy.events import Done, Notice, Reasoning
from missy.providers.asides import Asides
from missy.providers.counts import Length, other_model, responses_usage
from missy.providers.finish_reasons import WHOLE, explain_status, shown, status_of
from missy.providers.output_items import (
    Item,
    OutputItems,
    arguments_of,
    place_of,
    resent,
    text_of,
    thoughts_of,
)
from missy.providers.responses_faults import complains, response_fault
from missy.providers.spoken import Speech
from missy.providers.surrogates import Halves, joined
from missy.providers.toolcalls import whole_call

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from missy.errors import MissyError
    from missy.events import Event, ToolCall, Usage

_SHOWN = ("message", "reasoning", "function_call")


class ResponsesReply:
    """Parses one response. See missy.providers.reply.EventParser. A bad end counts, even if a good one follows."""

    tolerant = True  # data that is not JSON is ignored, as in the protocol's own client: an item's end repeats everything

    def __init__(
        self,
        *,
        host: str,
        model: str | None,
        request_id: str | None = None,
        offered: Collection[str] = (),
        in_loop: bool = False,
    ) -> None:
        self.on_limits: Callable[[dict[str, Any]], None] | None = None  # receives the rate limits
        self.fault: Callable[..., MissyError] = response_fault  # maps an error of the stream
        self._limits: dict[str, Any] = {}
        self._host = host
        self._asked = model
        self._request_id = request_id
        self._offered, self._in_loop = offered, in_loop
        self._model: str | None = None
        self._status: str | None = None
        self._reason: str | None = None
        self._unfinished = ""  # the status of an incomplete item
        self._usage: Usage | None = None
        self._length = Length()
        self._items = OutputItems()
        self._speech = Speech(self._length)
        self._thought_halves = Halves()
        self._summaries = 0
        self._refused = False
        self._asides = Asides()
        self.failure: MissyError | None = None

    @property
    def text_seen(self) -> bool:
        """Tell whether any visible part of the answer has come."""
        return self._speech.seen

    @property
    def finished(self) -> bool:
        """Tell whether the response has ended, successfully or not."""
        return self._status is not None

    @property
    def settled(self) -> bool:
        """The end of a response is its last event."""
        return self.finished or self.failure is not None

    stands_cut = settled

    @property
    def progress(self) -> int:
        """Return the amount of the answer received: text, thinking, calls. Hidden content does not count as progress."""
        return self._length.total

    def done(self) -> None:
        """Ignore `[DONE]`: here `response.completed` marks the end."""

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Parse one event. Raises the error in it, if any."""
        kind = data.get("type") if isinstance(data.get("type"), str) else name
        match str(kind).removeprefix("response."):
            case "output_text.delta" | "refusal.delta" | "audio.transcript.delta":
                return self._say(data, data.get("delta"), refusal=kind == "response.refusal.delta")
            case "output_text.done":
                return self._say(data, data.get("text"), whole=True)
            case "refusal.done":
                return self._say(data, data.get("refusal"), refusal=True, whole=True)
            case "content_part.done":
                return self._part(data, data.get("part"))
            case "reasoning_summary_text.delta" | "reasoning_text.delta":
                return self._think(data, data.get("delta"))
            case "reasoning_summary_text.done" | "reasoning_text.done":
                return self._think(data, data.get("text"), whole=True)
            case "reasoning_summary_part.added":
                self._summaries += 1
                return [Reasoning("\n\n")] if self._summaries > 1 else []
            case "function_call_arguments.delta" | "function_call_arguments.done":
                return self._argue(data)
            case "output_item.added" | "output_item.done":
                return self._item(data, is_done=str(kind).endswith("done"))
            case "created" | "in_progress" | "queued":
                return self._note_model(data.get("response"))
            case "completed" | "done" | "incomplete" | "cancelled" | "canceled" as end:
                return self._finish(data.get("response"), "completed" if end == "done" else end)
            case "failed" | "error":
                raise self._classified(data)
            case "codex.rate_limits":
                self._limits = data
                if self.on_limits is not None:
                    self.on_limits(data)
        if (kind in ("", None) or data.get("error")) and complains(
            data
        ):  # for example the message of a proxy
            raise self._classified(data)
        return self._asides.event(str(kind).removeprefix("response."), data)

    def parse_complete(self, data: dict[str, Any]) -> list[Event]:
        """Parse a complete response object."""
        if not isinstance(data.get("output"), list):
            if complains(data):
                raise self._classified(data)
            raise BadReply("the reply has no output: not a response", hint="is base_url right?")
        return self._note_model(data) + self._finish(data, "completed")

    def _say(
        self, data: dict[str, Any], text: object, *, refusal: bool = False, whole: bool = False
    ) -> list[Event]:
        if not isinstance(text, str) or not text:
            return []
        self._refused = self._refused or refusal
        take = self._speech.complete if whole else self._speech.say
        return take(self._items.of(data), place_of(data, "content_index"), text)

    def _part(self, data: dict[str, Any], part: object) -> list[Event]:
        if not isinstance(part, dict):
            return []
        if part.get("type") == "refusal":
            return self._say(data, part.get("refusal"), refusal=True, whole=True)
        if part.get("type") in ("reasoning_text", "summary_text"):
            return self._think(data, part.get("text"), whole=True)
        return self._say(data, part.get("text"), whole=True)

    def _think(self, data: dict[str, Any], text: object, *, whole: bool = False) -> list[Event]:
        """Output a piece of thinking; the whole text of a part counts only if none of its pieces came."""
        if not isinstance(text, str) or not text:
            return []
        name = "summary_index" if "summary_index" in data else "content_index"
        part, item = (name, place_of(data, name)), self._items.of(data)
        if whole and part in item.thoughts:
            return []
        item.thoughts.add(part)
        self._length.add(text)
        text = self._thought_halves.feed(text)
        return [Reasoning(text)] if text else []

    def _argue(self, data: dict[str, Any]) -> list[Event]:
        item, piece = self._items.of(data), data.get("delta")
        text = piece if isinstance(piece, str) else data.get("arguments")
        if isinstance(text, str):
            self._length.add(text)
            item.arguments = ((item.arguments or "") if text is piece else "") + text
        return []

    def _item(self, data: dict[str, Any], *, is_done: bool) -> list[Event]:
        fields = data.get("item")
        return self._keep(self._items.of(data), fields, is_done=is_done) if isinstance(fields, dict) else []

    def _keep(self, item: Item, fields: dict[str, Any], *, is_done: bool) -> list[Event]:
        self._items.keep(item, fields)
        asides = self._asides.item(fields, is_done=is_done)
        if not is_done:
            return asides
        item.done = True
        status = fields.get("status")
        if item.type in ("message", "function_call") and status is not None and status not in WHOLE:
            self._unfinished = self._unfinished or shown(str(status))
        match item.type:
            case "message":
                text, refused = text_of(fields)
                self._refused = self._refused or refused
                return asides + self._speech.complete(item, None, text)
            case "reasoning" if not item.thoughts and (text := thoughts_of(fields)):
                item.thoughts.add(("item", 0))
                self._length.add(text)
                return [Reasoning(joined(text))]
        return asides

    def _note_model(self, response: object) -> list[Event]:
        model = response.get("model") if isinstance(response, dict) else None
        if self._model is not None or not isinstance(model, str):
            return []
        self._model = joined(model)
        notice = other_model(self._asked, self._model)
        return [Notice(notice)] if notice else []

    def _finish(self, response: object, end: str) -> list[Event]:
        response = response if isinstance(response, dict) else {}
        events = self._note_model(response)
        output = given if isinstance(given := response.get("output"), list) else []
        for place, fields in enumerate(output):
            item = self._items.in_last_event(output, place) if isinstance(fields, dict) else None
            if item is not None:
                events += self._keep(item, fields, is_done=True)
        text = response.get("output_text")
        if isinstance(text, str) and (untold := self._items.untold()):
            events += self._speech.complete(untold, None, text)
        if isinstance(response.get("usage"), dict):
            self._usage = responses_usage(response["usage"])
        status, reason = status_of(response, end)
        if self._status in (None, *WHOLE):
            self._status, self._reason = status, reason
        if response.get("error") or status == "failed":
            self.failure = self._classified({"response": response} if response.get("error") else response)
            if not events:
                raise self.failure
        return events

    def _classified(self, data: dict[str, Any]) -> MissyError:
        limits = self._limits.get("rate_limits")
        return self.fault(
            data, host=self._host, request_id=self._request_id, model=self._asked, limits=limits
        )

    def flush(self) -> list[Event]:
        """Output kept surrogates, the sources and the usage."""
        thought = self._thought_halves.flush()
        events = [*([Reasoning(thought)] if thought else []), *self._speech.flush()]
        events += self._asides.citations.events()
        return [*events, self._usage] if self._usage is not None else events

    def end(self) -> list[Event]:
        """Finish the answer: the tool calls, then Done. Raises an error if it is not complete."""
        self._check()
        items = self._items.in_order()
        calls = [
            self._call(item, number) for number, item in enumerate(items) if item.type == "function_call"
        ]
        if not calls and not self._speech.final_seen:
            raise self.incomplete(*self._empty(items))
        replay = tuple(resent(item.fields) for item in items if item.type in _SHOWN)
        reason = "tool_calls" if calls else "stop"
        return [*calls, Done(reason, self._model, self._request_id, replay, self._refused)]

    def _check(self) -> None:
        """Raise the error of an answer that did not end successfully."""
        if self.failure is not None:
            raise self.failure
        if not self.finished:
            raise self.incomplete("is cut off: the stream ended early", "ask again")
        bad = explain_status(self._status or "", self._reason or "")
        if bad is not None:
            raise self.incomplete(*bad)
        if self._unfinished:
            raise self.incomplete(f"holds a part that is {self._unfinished}", "ask again", self._unfinished)
        if self._speech.contradicted:
            raise self.incomplete("differs from its pieces: some of them were lost", "ask again")

    def _call(self, item: Item, number: int) -> ToolCall:
        id_ = str(item.fields.get("call_id") or item.fields.get("id") or f"call_{number}")
        name, arguments = item.fields.get("name"), arguments_of(item)
        return whole_call(id_, name, arguments, offered=self._offered, in_loop=self._in_loop)

    def _empty(self, items: list[Item]) -> tuple[str, str]:
        if self._speech.seen:
            return "is only commentary: its last part is missing", "ask again"
        other = next((item.type for item in items if item.type and item.type not in _SHOWN), "")
        if other:
            return f"is of type {shown(other)}, which Missy cannot show", "ask for text"
        return "is empty", "ask again, or ask another model"

    def incomplete(self, what: str, hint: str, reason: str | None = None) -> IncompleteError:
        """Return the error for an incomplete answer, with its finish reason, model and id."""
        return IncompleteError(
            f"the answer {what}",
            hint=hint,
            finish_reason=reason,
            request_id=self._request_id,
            model=self._model,
        )
