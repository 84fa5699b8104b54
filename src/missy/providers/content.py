"""The content of a chat message or a piece of one: text, thinking, refusal, and what Missy cannot show. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

# the field names that endpoints use for the model's thinking; the first non-empty one counts
THINKING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought")
_THINKING_PARTS = ("thinking", "reasoning", "thought", "reasoning_text", "summary_text")
_TEXT_PARTS = ("text", "output_text", "input_text")
_PICTURES = ("image", "image_url", "output_image", "input_image")
_SOUNDS = ("audio", "output_audio", "input_audio")
MAX_DEPTH = 8  # levels of lists and objects that are searched for text


class Content(NamedTuple):
    """The parts of a message. `came_by` is the field name of the thinking, `others` are parts that cannot be shown."""

    text: str
    thinking: str
    came_by: str
    refusal: str
    others: tuple[str, ...]


def read_content(message: dict[str, Any]) -> Content:
    """Parse a message, or a piece of one. Unknown content is ignored."""
    text, inner, refusal, others = _parts(message.get("content"))
    thinking, came_by = _thinking(message)
    if not thinking:
        thinking, came_by = inner, ""
    refusal += _text(message.get("refusal"))
    audio = message.get("audio")
    if isinstance(audio, dict) and audio:
        others.append("audio")
        text = text or _text(audio.get("transcript"))
    if message.get("images"):
        others.append("a picture")
    return Content(text, thinking, came_by, refusal, tuple(others))


def _thinking(message: dict[str, Any]) -> tuple[str, str]:
    for name in THINKING:
        if name in message and (text := _text(message[name])):
            return text, name
    details = message.get("reasoning_details")
    if isinstance(details, list):
        texts = [_text(item.get("text") or item.get("summary")) for item in details if isinstance(item, dict)]
        return "".join(texts), ""
    return "", ""


def _parts(content: object) -> tuple[str, str, str, list[str]]:
    """Return text, thinking, refusal and the types of other parts, from a string or a list of content parts."""
    if isinstance(content, str):
        return content, "", "", []
    text = thinking = refusal = ""
    others: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            text += part
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if kind in _THINKING_PARTS:
            thinking += _text(part.get(str(kind)) or part.get("text") or part.get("summary"))
        elif kind == "refusal":
            refusal += _text(part.get("refusal") or part.get("text"))
        elif kind in _PICTURES:
            others.append("a picture")
        elif kind in _SOUNDS:
            others.append("audio")
            text += _text(part.get("transcript"))
        elif kind is None or kind in _TEXT_PARTS or isinstance(part.get("text"), str):
            text += _text(part.get("text"))
    return text, thinking, refusal, others


def _text(value: object, depth: int = 0) -> str:
    """Return the text of a string, a list of parts, or an object that contains a text."""
    if isinstance(value, str):
        return value
    if depth < MAX_DEPTH and isinstance(value, list):
        return "".join(_text(item, depth + 1) for item in value)
    if depth < MAX_DEPTH and isinstance(value, dict):
        return _text(
            next((value[key] for key in ("text", "content", "thinking") if value.get(key)), ""), depth + 1
        )
    return ""
