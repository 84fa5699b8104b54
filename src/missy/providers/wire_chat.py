"""The Chat Completions wire format: a Request to a body, a reply's JSON to events. Pure.

The format is OpenAI's (API reference, "Chat Completions"); the tolerance is for the many endpoints that speak a dialect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError, MissyError
from missy.events import Done, Message, Notice, Reasoning, Text, Usage
from missy.providers import faults
from missy.providers.thinking import ThinkSplitter
from missy.providers.toolcalls import ToolCallCollector
from missy.secrets.resolve import is_openai_host

if TYPE_CHECKING:
    from collections.abc import Collection

    from missy.events import Event, Image, Tool
    from missy.providers.base import Request

_REASONING_MODEL = re.compile(r"^(o\d|gpt-[5-9])")
MAX_TEXT = 8 << 20  # characters of one answer, thinking included; one that is not ASCII counts as eight


def body(request: Request, *, host: str, without: Collection[str] = ()) -> dict[str, Any]:
    """Build the body of a request for the endpoint at `host`.

    `without` names what this endpoint has refused before: `max_tokens` means that it wants `max_completion_tokens`, and
    the other way round; any other name is left out.
    """
    made: dict[str, Any] = {"model": request.model, "messages": _messages(request, host)}
    if request.stream:
        made["stream"] = True
        made["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        made["temperature"] = request.temperature
    if request.max_tokens is not None:
        made[_limit_name(request.model or "", host, without)] = request.max_tokens
    if request.reasoning is not None:
        made["reasoning_effort"] = request.reasoning
    if request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            made["tool_choice"] = request.tool_choice
    for name in without:
        if name not in ("max_tokens", "max_completion_tokens"):
            made.pop(name, None)
            for message in made["messages"]:
                if name not in ("role", "content", "tool_calls", "tool_call_id"):
                    message.pop(name, None)
    return made


def _is_reasoning_model(model: str, host: str) -> bool:
    return is_openai_host(host) and _REASONING_MODEL.match(model) is not None


def _limit_name(model: str, host: str, without: Collection[str]) -> str:
    if "max_tokens" in without:
        return "max_completion_tokens"
    if "max_completion_tokens" in without:
        return "max_tokens"
    return "max_completion_tokens" if _is_reasoning_model(model, host) else "max_tokens"


def _messages(request: Request, host: str) -> list[dict[str, Any]]:
    # Elsewhere `developer` is ignored in silence or answered with 500.
    system_role = "developer" if _is_reasoning_model(request.model or "", host) else "system"
    first = [{"role": system_role, "content": request.system}] if request.system else []
    return first + [_message(message, system_role) for message in request.messages]


def _message(message: Message, system_role: str) -> dict[str, Any]:
    made: dict[str, Any] = {"role": system_role if message.role == "system" else message.role}
    # A string where it is only text: some templates answer 500 to a list of parts.
    if message.images:
        text = [{"type": "text", "text": message.text}] if message.text else []
        made["content"] = text + [_image(image) for image in message.images]
    else:
        made["content"] = message.text if message.text or not message.tool_calls else None
    if message.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
        if message.reasoning:
            made["reasoning_content"] = message.reasoning
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def _image(image: Image) -> dict[str, Any]:
    import base64

    data = base64.b64encode(image.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{data}"}}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _dumps(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class ChatReply:
    """Reads one reply, streamed or whole. See missy.providers.protocols.Wire."""

    tolerant = False

    def __init__(self, *, host: str, model: str | None, request_id: str | None = None) -> None:
        self._host = host
        self._asked = model
        self._request_id = request_id
        self._model: str | None = None
        self._finish: str | None = None
        self._marked = False
        self._thinking = ThinkSplitter()
        self._calls = ToolCallCollector()
        self._usage: Usage | None = None
        self._length = 0
        self.text_seen = False

    @property
    def finished(self) -> bool:
        """Tell whether a finish reason or the end marker has come."""
        return self._finish is not None or self._marked

    @property
    def progress(self) -> int:
        """Return how much of an answer has come: text, thinking, calls."""
        return self._length + self._calls.length

    def done(self) -> None:
        """Take `[DONE]`."""
        self._marked = True

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one chunk. Raises the error that it holds, if it holds one."""
        if name == "error" or data.get("error"):
            raise self._failure(data)
        if not data.get("choices") and not data.get("usage"):
            self._refuse_complaint(data)
        return self._take(data, "delta")

    def whole(self, data: dict[str, Any]) -> list[Event]:
        """Take a completion that came whole; servers may answer so although a stream was asked for."""
        if data.get("error") or not data.get("choices"):
            self._refuse_complaint(data)
        if not isinstance(data.get("choices"), list):
            raise BadReply(
                "the reply has no choices: not a chat completion", hint="is base_url right? most end in /v1"
            )
        self._marked = True
        return self._take(data, "message")

    def _refuse_complaint(self, data: dict[str, Any]) -> None:
        """Raise the complaint that came where a part of the answer belongs, if it is one."""
        from missy.net.error_body import complains

        if complains(data):
            raise self._failure(data)

    def _failure(self, data: dict[str, Any]) -> MissyError:
        return faults.from_answer(data, host=self._host, request_id=self._request_id, model=self._asked)

    def _take(self, data: dict[str, Any], part: str) -> list[Event]:
        events: list[Event] = []
        if self._model is None and isinstance(data.get("model"), str) and data["model"]:
            self._model = data["model"]
            notice = other_model(self._asked, self._model)
            events += [Notice(notice)] if notice else []
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            # Only the first of several answers: two at once cannot be told apart in a stream of text.
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                events += self._choice(choice, part)
        usage = data.get("usage")
        if isinstance(usage, dict) and usage:
            self._usage = read_usage(usage)
        return events

    def _choice(self, choice: dict[str, Any], part: str) -> list[Event]:
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish = reason
        delta = choice.get(part) or choice.get("message") or choice.get("delta")
        if not isinstance(delta, dict):
            return []
        text = delta.get("content")
        follows = self.text_seen and self._thinking.is_over
        if follows and len(delta) == 1 and isinstance(text, str) and text:  # nearly every chunk
            self._grow(text)
            return [Text(text)]
        events = self._reasoning(delta)
        text = _text(text) or _text(delta.get("refusal"))
        if text:
            self._grow(text)
            events += self._thinking.feed(text)
        self._calls.feed(delta.get("tool_calls"))
        self.text_seen = self.text_seen or _is_visible(events)
        return events

    def _grow(self, text: str) -> None:
        self._length += weigh(text)
        if self._length > MAX_TEXT:
            raise BadReply(f"the answer is longer than {MAX_TEXT >> 20} million characters")

    def _reasoning(self, delta: dict[str, Any]) -> list[Event]:
        for name in ("reasoning_content", "reasoning"):
            text = _text(delta.get(name))
            if text:
                self._grow(text)
                return [Reasoning(text)]
        details = delta.get("reasoning_details")
        if not isinstance(details, list):
            return []
        texts = [_text(item.get("text") or item.get("summary")) for item in details if isinstance(item, dict)]
        self._grow("".join(texts))
        return [Reasoning(text) for text in texts if text]

    def flush(self) -> list[Event]:
        """Give out what was held back: text that might have been a tag, and the usage."""
        events: list[Event] = list(self._thinking.flush())
        self.text_seen = self.text_seen or _is_visible(events)
        if self._usage is not None:
            events.append(self._usage)
        return events

    def end(self) -> list[Event]:
        """End the answer: the tool calls, then Done. Raises IncompleteError where it is not whole."""
        if not self.finished:
            raise self.incomplete("is cut off: the stream ended early", "ask again")
        if self._finish in ("length", "max_tokens"):
            raise self.incomplete(
                "is over its length limit",
                "raise --max-tokens, or ask for less; a model has a limit of its own",
            )
        if self._finish == "content_filter":
            raise self.incomplete("was filtered by the endpoint", "ask in other words")
        calls = self._calls.calls()
        if not calls and not self.text_seen:
            raise self.incomplete("is empty", "ask again, or ask another model")
        return [*calls, Done(self._finish, self._model, self._request_id)]

    def incomplete(self, what: str, hint: str) -> IncompleteError:
        """Return the error for an answer that is not whole, with what is known of it."""
        return IncompleteError(
            f"the answer {what}",
            hint=hint,
            finish_reason=self._finish,
            request_id=self._request_id,
            model=self._model,
        )


def weigh(text: str) -> int:
    """Return what a text counts for against MAX_TEXT: wide characters take more memory, here and escaped in JSON."""
    return len(text) if text.isascii() else 8 * len(text)


def other_model(asked: str | None, given: str) -> str:
    """Say so where another model answered than the one asked for; a dated snapshot of it is the same."""
    one, other = (asked or "").lower().rpartition("/")[2], given.lower().rpartition("/")[2]
    if not one or other.startswith(one) or one.startswith(other):
        return ""
    return f"asked for the model {asked}, {given} answered"


def read_usage(usage: dict[str, Any]) -> Usage:
    """Read the counts that are there; what is absent, null or no number is None."""
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = prompt.get("cached_tokens") if isinstance(prompt, dict) else usage.get("prompt_cache_hit_tokens")
    thought = completion.get("reasoning_tokens") if isinstance(completion, dict) else None
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        total_tokens=count(usage.get("total_tokens")),
        cached_tokens=count(cached),
        reasoning_tokens=count(thought),
    )


def count(value: object) -> int | None:
    """Return a count of tokens, or None for anything that is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_visible(events: list[Event]) -> bool:
    """Tell whether there is text to read: an answer of blanks alone is an empty one."""
    return any(isinstance(event, Text) and not event.text.isspace() for event in events)


def _text(value: object) -> str:
    """Return the text of a string, or of a list of content parts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = (part.get("text") for part in value if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))
