"""The body of a Responses request, as an endpoint of a ChatGPT plan requires it. Pure.

The format is OpenAI's (API reference, "Responses"). The endpoint keeps no state: `store` must be false, `stream` true,
and the model's reasoning is sent back in its encrypted form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.providers.file_parts import Shapes, file_parts

if TYPE_CHECKING:
    from collections.abc import Collection

    from missy.events import Message, Tool
    from missy.providers.base import Request
    from missy.providers.responses_profile import ResponsesProfile


def body(request: Request, profile: ResponsesProfile, *, omitted: Collection[str] = ()) -> dict[str, Any]:
    """Build the body. `temperature` and `max_tokens` are omitted: a plan's endpoint refuses them (see `left_out`).

    `omitted` names what was refused before; without `text`, the schema is part of the instructions.
    """
    system = [message.text for message in request.messages if message.role == "system"]
    instructions = _instructions(request, profile, omitted)
    made: dict[str, Any] = {
        "model": request.model,
        **({"instructions": instructions} if instructions else {}),
        "input": [*_tools_item(request, profile), *map(_developer, system), *_input(request.messages)],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }
    if request.cache_key is not None:
        made["prompt_cache_key"] = request.cache_key
    if request.reasoning is not None:
        made["reasoning"] = {"effort": request.reasoning, "summary": "auto"}
    if request.tools and profile.tools_in_input:
        if request.tool_choice is not None:
            made["tool_choice"] = request.tool_choice
    elif request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
        made["tool_choice"] = request.tool_choice or "auto"
        made["parallel_tool_calls"] = True
    if request.schema is not None:
        schema = request.schema
        made["text"] = {
            "format": {
                "type": "json_schema",
                "name": schema.name,
                "schema": schema.body,
                "strict": schema.strict,
            }
        }
    allowed = profile.fields.difference(omitted)
    return {name: value for name, value in made.items() if name in allowed}


def _instructions(request: Request, profile: ResponsesProfile, omitted: Collection[str]) -> str:
    said = request.system or ""
    said = said if said.strip() else profile.instructions
    if request.schema is not None and "text" in omitted:
        return f"{said}\n\n{request.schema.instruction()}".strip()
    return said


def _tools_item(request: Request, profile: ResponsesProfile) -> list[dict[str, Any]]:
    if not request.tools or not profile.tools_in_input:
        return []
    tools = [_tool(tool) for tool in request.tools]
    return [{"type": "additional_tools", "role": "developer", "tools": tools}]


def left_out(request: Request) -> list[str]:
    """Return the names of options that were set but cannot be sent."""
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
            replay = [
                item for item in message.replay or () if "type" in item
            ]  # the other parts are those of Chat Completions
            items += replay or _assistant(message)
    return items


def _content(message: Message) -> list[dict[str, Any]]:
    files = file_parts(message, _SHAPES)
    return ([_text(message.text)] if message.text or not files else []) + files


def _text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


_SHAPES = Shapes(
    text=_text,
    image=lambda url: {"type": "input_image", "image_url": url, "detail": "auto"},
    file=lambda name, url: {"type": "input_file", "filename": name, "file_data": url},
)


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
