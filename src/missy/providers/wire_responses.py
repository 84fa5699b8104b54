"""The Responses wire format, as the ChatGPT backend takes it: a Request to a body, stream events to events. Pure.

The format is OpenAI's (API reference, "Responses"). The backend keeps no state: `store` must be false, `stream` true, and
what the model thought is sent back to it in its own encrypted form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError, MissyError, ProviderError
from missy.events import Done, Message, Notice, Reasoning, Text, Usage
from missy.providers import faults
from missy.providers.toolcalls import whole_call
from missy.providers.wire_chat import MAX_TEXT, count, other_model, weigh

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.events import Event, Image, Tool
    from missy.providers.base import Request

INSTRUCTIONS = "You are a helpful assistant."  # the backend refuses a request without any
_MOST_ITEMS = 1024  # of one answer
_MOST_KEPT = 16 << 20  # characters of all items of one answer, each as often as it came
_REFUSED = "the backend will not answer this: ask in other words"
# the backend's name for an error -> what to do about it, where that is not what other endpoints mean by it
NEXT_STEPS = {
    "usage_not_included": "the plan of this account does not include this use: upgrade it, or log in to another account",
    "invalid_prompt": _REFUSED,
    "cyber_policy": _REFUSED,
    "bio_policy": _REFUSED,
    "content_policy_violation": _REFUSED,
}


def body(request: Request) -> dict[str, Any]:
    """Build the body. `temperature` and `max_tokens` are left out: the backend refuses them (see `left_out`)."""
    system = [message.text for message in request.messages if message.role == "system"]
    made: dict[str, Any] = {
        "model": request.model,
        "instructions": request.system if (request.system or "").strip() else INSTRUCTIONS,
        "input": [*map(_developer, system), *_input(request.messages)],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }
    if request.reasoning is not None:
        made["reasoning"] = {"effort": request.reasoning, "summary": "auto"}
    if request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
        made["tool_choice"] = request.tool_choice or "auto"
        made["parallel_tool_calls"] = True
    return made


def left_out(request: Request) -> list[str]:
    """Return the names of what was asked for and cannot be sent."""
    wishes = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    return [name for name, value in wishes.items() if value is not None]


def _developer(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}


def _input(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "tool":
            items.append(
                {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
            )
        elif message.role == "user":
            items.append({"type": "message", "role": "user", "content": _content(message)})
        elif message.role == "assistant":
            items += message.replay or _assistant(message)
    return items


def _content(message: Message) -> list[dict[str, Any]]:
    text = [{"type": "input_text", "text": message.text}] if message.text or not message.images else []
    return text + [_image(image) for image in message.images]


def _image(image: Image) -> dict[str, Any]:
    import base64

    data = base64.b64encode(image.data).decode()
    return {"type": "input_image", "image_url": f"data:{image.media_type};base64,{data}", "detail": "auto"}


def _assistant(message: Message) -> list[dict[str, Any]]:
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": message.text}],
    }
    calls = [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":")),
        }
        for call in message.tool_calls
    ]
    return ([said] if message.text else []) + calls


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "strict": False,
        "parameters": tool.parameters,
    }


class ResponsesReply:
    """Reads one streamed reply. See missy.providers.protocols.Wire.

    An item is what its `output_item.done` says: the backend's `response.completed` comes with an empty `output`, and calls
    may be interleaved. Pieces are tied to their item by `item_id`, or by `output_index` where there is none.
    """

    tolerant = (
        True  # unknown events and data that is no JSON are passed over, as the protocol's own client does
    )

    def __init__(self, *, host: str, model: str | None, request_id: str | None = None) -> None:
        self.on_limits: Callable[[dict[str, Any]], None] | None = (
            None  # is told what the stream says of limits
        )
        self._limits: dict[str, Any] = {}
        self._host = host
        self._asked = model
        self._request_id = request_id
        self._model: str | None = None
        self._status: str | None = None
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._items: dict[str, dict[str, Any]] = {}
        self._order: list[tuple[int, str]] = []
        self._names: dict[
            str, str
        ] = {}  # an item's id, and its place in the output -> its key in the tables here
        self._spoken: set[str] = set()
        self._arguments: dict[str, str] = {}
        self._summaries = 0
        self._length = 0
        self._kept = 0
        self.text_seen = False

    @property
    def finished(self) -> bool:
        """Tell whether the response has ended, well or not."""
        return self._status is not None

    @property
    def progress(self) -> int:
        """Return how much of an answer has come: text, thinking, calls; what is hidden shows no more than life."""
        return self._length

    def done(self) -> None:
        """Take `[DONE]`, which says nothing here: `response.completed` does."""

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one event. Raises the error that it holds, if it holds one."""
        kind = data.get("type") if isinstance(data.get("type"), str) else name
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                return self._speak(data, data.get("delta"))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._think(data.get("delta"))
            case "response.reasoning_summary_part.added":
                self._summaries += 1
                return [Reasoning("\n\n")] if self._summaries > 1 else []
            case "response.function_call_arguments.delta" | "response.function_call_arguments.done":
                return self._argue(data)
            case "response.output_item.added" | "response.output_item.done":
                return self._item(data, is_done=kind.endswith("done"))
            case "response.created" | "response.in_progress":
                return self._note_model(data.get("response"))
            case "response.completed" | "response.done" | "response.incomplete":
                return self._finish(data.get("response"), kind)
            case "response.failed" | "error":
                raise self._failure(data)
            case "codex.rate_limits":
                self._limits = data
                if self.on_limits is not None:
                    self.on_limits(data)
                return []
        if kind in ("", None) or data.get("error"):  # no event of the protocol: perhaps the words of a front
            self._refuse_complaint(data)
        return []

    def whole(self, data: dict[str, Any]) -> list[Event]:
        """Take a response object that came whole."""
        if data.get("error") or not isinstance(data.get("output"), list):
            self._refuse_complaint(data)
        if not isinstance(data.get("output"), list):
            raise BadReply("the reply has no output: not a response", hint="is base_url right?")
        incomplete = data.get("status") == "incomplete"
        return self._note_model(data) + self._finish(
            data, "response.incomplete" if incomplete else "response.completed"
        )

    def _key(self, data: dict[str, Any]) -> str:
        item = data.get("item")
        id_ = data.get("item_id") or (item.get("id") if isinstance(item, dict) else None)
        place = f"#{data.get('output_index', 0)}"
        if not id_:
            return self._names.setdefault(place, place)
        key = self._names.get(str(id_))
        if key is None:  # pieces that came without an id for this place are this item's
            key = place if self._names.get(place) == place else str(id_)
            self._names[str(id_)] = self._names[place] = key
            if len(self._names) > 2 * _MOST_ITEMS:
                raise BadReply("the answer has too many items")
        return key

    def _grow(self, text: str) -> None:
        self._length += weigh(text)
        if self._length > MAX_TEXT:
            raise BadReply(f"the answer is longer than {MAX_TEXT >> 20} million characters")

    def _speak(self, data: dict[str, Any], text: object) -> list[Event]:
        if not isinstance(text, str) or not text:
            return []
        self._grow(text)
        self._spoken.add(self._key(data))
        self.text_seen = True
        return [Text(text)]

    def _think(self, text: object) -> list[Event]:
        if not isinstance(text, str) or not text:
            return []
        self._grow(text)
        return [Reasoning(text)]

    def _argue(self, data: dict[str, Any]) -> list[Event]:
        piece, whole, key = data.get("delta"), data.get("arguments"), self._key(data)
        if isinstance(piece, str):
            self._grow(piece)
            self._arguments[key] = self._arguments.get(key, "") + piece
        elif isinstance(whole, str):
            self._grow(whole)
            self._arguments[key] = whole
        return []

    def _item(self, data: dict[str, Any], *, is_done: bool) -> list[Event]:
        item, key = data.get("item"), self._key(data)
        if not isinstance(item, dict):
            return []
        if key not in self._items:
            index = data.get("output_index")
            self._order.append((index if isinstance(index, int) else len(self._order), key))
        self._keep(key, item)
        if not is_done:
            return []
        if item.get("type") == "message" and key not in self._spoken:
            return self._speak(data, _said(item))
        return []

    def _keep(self, key: str, item: dict[str, Any]) -> None:
        """Keep an item, within bounds: it goes back with the next turn."""
        try:
            self._kept += len(json.dumps(item))
        except RecursionError:
            raise BadReply("an item of the answer is nested too deep") from None
        if self._kept > _MOST_KEPT:
            raise BadReply(f"the items of the answer are longer than {_MOST_KEPT >> 20} million characters")
        self._items[key] = item

    def _note_model(self, response: object) -> list[Event]:
        if (
            self._model is not None
            or not isinstance(response, dict)
            or not isinstance(response.get("model"), str)
        ):
            return []
        self._model = response["model"]
        notice = other_model(self._asked, self._model)
        return [Notice(notice)] if notice else []

    def _finish(self, response: object, kind: str) -> list[Event]:
        response = response if isinstance(response, dict) else {}
        events = self._note_model(response)
        places, output = {place for place, _ in self._order}, response.get("output")
        for index, item in enumerate(output if isinstance(output, list) else ()):
            if isinstance(item, dict) and index not in places and item.get("id") not in self._items:
                events += self._item({"item": item, "output_index": index}, is_done=True)
        if isinstance(response.get("usage"), dict):
            self._usage = read_usage(response["usage"])
        self._status = (
            "incomplete"
            if kind == "response.incomplete" or response.get("status") == "incomplete"
            else "completed"
        )
        details = response.get("incomplete_details")
        self._reason = str(details.get("reason") or "") if isinstance(details, dict) else None
        return events

    def _refuse_complaint(self, data: dict[str, Any]) -> None:
        """Raise the complaint that came where a part of the answer belongs, if it is one."""
        from missy.net.error_body import complains

        if complains(data, answers=("output", "response")):
            raise self._failure(data)

    def _failure(self, data: dict[str, Any]) -> MissyError:
        response = data.get("response")
        source = response if isinstance(response, dict) and response.get("error") else data
        headers = {"headers": data["headers"]} if isinstance(data.get("headers"), dict) else {}
        error = faults.from_answer(
            {**headers, **source},
            host=self._host,
            request_id=self._request_id,
            model=self._asked,
            limits=self._limits.get("rate_limits"),
        )
        if isinstance(error, ProviderError):
            error.hint = NEXT_STEPS.get(error.code or "", error.hint)
        return error

    def flush(self) -> list[Event]:
        """Give out the usage."""
        return [self._usage] if self._usage is not None else []

    def end(self) -> list[Event]:
        """End the answer: the tool calls, then Done. Raises IncompleteError where it is not whole."""
        if not self.finished:
            raise self.incomplete("is cut off: the stream ended early", "ask again")
        if self._status == "incomplete" and self._reason == "content_filter":
            raise self.incomplete("was filtered by the endpoint", "ask in other words", "content_filter")
        if self._status == "incomplete":
            hint = "ask for less, or in parts"
            raise self.incomplete(f"is incomplete ({self._reason or 'no reason given'})", hint, "length")
        items = [(key, self._items[key]) for _, key in sorted(self._order, key=lambda pair: pair[0])]
        calls = [
            whole_call(
                str(item.get("call_id") or key),
                item.get("name"),
                item.get("arguments") or self._arguments.get(key, ""),
            )
            for key, item in items
            if item.get("type") == "function_call"
        ]
        if not calls and not self.text_seen:
            raise self.incomplete("is empty", "ask again, or ask another model")
        replay = tuple(
            _resent(item)
            for _, item in items
            if item.get("type") in ("reasoning", "message", "function_call")
        )
        return [*calls, Done("tool_calls" if calls else "stop", self._model, self._request_id, replay)]

    def incomplete(self, what: str, hint: str, reason: str | None = None) -> IncompleteError:
        """Return the error for an answer that is not whole, with what is known of it."""
        return IncompleteError(
            f"the answer {what}",
            hint=hint,
            finish_reason=reason,
            request_id=self._request_id,
            model=self._model,
        )


def _said(item: dict[str, Any]) -> str:
    parts = item.get("content")
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") or part.get("refusal") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _resent(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as it is sent back: without the status and whatever else the backend added for itself."""
    kept = ("type", "id", "role", "content", "summary", "encrypted_content", "call_id", "name", "arguments")
    return {key: item[key] for key in kept if key in item}


def read_usage(usage: dict[str, Any]) -> Usage:
    """Read the counts that are there; what is absent, null or no number is None."""
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        total_tokens=count(usage.get("total_tokens")),
        cached_tokens=count(given.get("cached_tokens")) if isinstance(given, dict) else None,
        reasoning_tokens=count(made.get("reasoning_tokens")) if isinstance(made, dict) else None,
    )
