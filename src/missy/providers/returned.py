"""Fields that an endpoint requires unchanged in the next turn: Done.replay of Chat Completions. Pure.

Thinking is sent back only under the field name in which it was received: some endpoints refuse any other.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply
from missy.providers.content import THINKING
from missy.providers.counts import size_of

if TYPE_CHECKING:
    from missy.events import Message
    from missy.providers.content import Content

MAX_DETAILS_CHARS = 8 << 20  # characters of all details of one answer
_GROWING = ("text", "summary", "data", "signature")  # fields of a detail that are streamed in pieces
_FIELDS = ("reasoning_details", *THINKING)


class Returned:
    """Collects the opaque fields of a message."""

    __slots__ = ("_details", "_kept", "_name", "_thinking")

    def __init__(self) -> None:
        self._details: list[Any] = []
        self._name = ""
        self._thinking = io.StringIO()
        self._kept = 0

    def take(self, message: dict[str, Any], said: Content) -> None:
        """Add a piece of the message. Raises BadReply over the limit."""
        if said.came_by and (not self._name or said.came_by == self._name):
            self._name = said.came_by
            self._thinking.write(said.thinking)
        details = message.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            self._add(detail)

    def _add(self, detail: Any) -> None:
        self._kept += size_of(detail)
        if self._kept > MAX_DETAILS_CHARS:
            raise BadReply(
                f"the details of the thinking are longer than {MAX_DETAILS_CHARS >> 20} million characters"
            )
        last: Any = self._details[-1] if self._details else None
        if not _is_same(last, detail):
            self._details.append(dict(detail) if isinstance(detail, dict) else detail)
            return
        for name, value in detail.items():
            before = last.get(name)
            if name in _GROWING and isinstance(before, str) and isinstance(value, str):
                last[name] = before + value
            elif value is not None:
                last[name] = value

    def replay(self, *, with_calls: bool) -> tuple[dict[str, Any], ...]:
        """Return the fields to send back. Thinking in plain text is sent back only with tool calls."""
        fields: dict[str, Any] = {"reasoning_details": self._details} if self._details else {}
        if with_calls and self._name and not self._details:
            fields[self._name] = self._thinking.getvalue()
        return (fields,) if fields else ()


def _is_same(last: Any, detail: Any) -> bool:
    """Tell whether a detail continues the last one: same index, same type."""
    if not (isinstance(last, dict) and isinstance(detail, dict)) or not isinstance(detail.get("index"), int):
        return False
    return (last.get("index"), last.get("type")) == (detail["index"], detail.get("type"))


def fields_of(message: Message) -> dict[str, Any]:
    """Return the fields to send back with an assistant message: only those that came from Chat Completions."""
    if message.replay:
        given = [
            part for part in message.replay if "type" not in part
        ]  # items with a type come from Responses
        return {name: part[name] for part in given for name in _FIELDS if name in part}
    if message.reasoning and message.tool_calls:
        return {"reasoning_content": message.reasoning}
    return {}
