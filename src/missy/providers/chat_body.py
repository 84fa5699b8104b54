"""The body of a Chat Completions request. Pure.

The format is OpenAI's (API reference, "Chat Completions"). No optional field is sent unless the caller sets it, except
`stream_options`, which requests the token counts; `stream` is omitted for an answer that is not streamed, as in the
`openai` package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.providers.file_parts import Shapes, file_parts
from missy.providers.returned import fields_of

if TYPE_CHECKING:
    from missy.events import Message, Tool
    from missy.providers.base import Request
    from missy.providers.profile import Profile

_NEEDED_FIELDS = ("role", "content", "tool_calls", "tool_call_id")  # of a message


def body(request: Request, profile: Profile) -> dict[str, Any]:
    """Build the body of a request in the way that the endpoint and the model expect."""
    system = request.system
    if request.schema is not None and "response_format" in profile.omitted:
        system = "\n\n".join(filter(None, (system, request.schema.instruction())))
    made: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request, system, profile.system_role),
    }
    if request.stream:
        made["stream"] = True
        made["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        made["temperature"] = request.temperature
    if request.max_tokens is not None:
        made[profile.limit_parameter] = request.max_tokens
    if request.reasoning is not None:
        made["reasoning_effort"] = request.reasoning
    if request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            made["tool_choice"] = request.tool_choice
    if request.schema is not None:
        schema = request.schema
        described = {"name": schema.name, "schema": schema.body, "strict": schema.strict}
        made["response_format"] = {"type": "json_schema", "json_schema": described}
    for name in profile.omitted:
        made.pop(name, None)
        for message in made["messages"]:
            if name not in _NEEDED_FIELDS:
                message.pop(name, None)
    return made


def _messages(request: Request, system: str | None, system_role: str) -> list[dict[str, Any]]:
    first = [{"role": system_role, "content": system}] if system else []
    return first + [_message(message, system_role) for message in request.messages]


def _message(message: Message, system_role: str) -> dict[str, Any]:
    made: dict[str, Any] = {"role": system_role if message.role == "system" else message.role}
    # A string if there is only text: some chat templates answer 500 to a list of parts.
    if message.images or message.attachments:
        made["content"] = _content(message)
    else:
        made["content"] = message.text if message.text or not message.tool_calls else None
    if message.tool_calls:
        made["tool_calls"] = [
            {
                **(call.extra or {}),
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.role == "assistant":
        made |= fields_of(message)
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return the content of a message with files: one string if all of them are text (see `_message`)."""
    text = [_text(message.text)] if message.text else []
    parts = text + file_parts(message, _SHAPES)
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


_SHAPES = Shapes(
    text=_text,
    image=lambda url: {"type": "image_url", "image_url": {"url": url}},
    file=lambda name, url: {"type": "file", "file": {"filename": name, "file_data": url}},
)


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _dumps(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
