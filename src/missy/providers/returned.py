"""What an endpoint wants back with the next turn, in the form that it gave it: Done.replay of Chat Completions. Pure.

Thinking goes back only under the name that it came by: there are endpoints that refuse it under any other.
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
_GROWING = ("text", "summary", "data", "signature")  # fields of a detail that come in pieces
_FIELDS = ("reasoning_details", *THINKING)


class Returned:
    """Collects the fields of a message that mean nothing to us."""

    __slots__ = ("_details", "_kept", "_name", "_thinking")

    def __init__(self) -> None:
        self._details: list[Any] = []
        self._name = ""
        self._thinking = io.StringIO()
        self._kept = 0

    def take(self, message: dict[str, Any], said: Content) -> None:
        """Take a piece of the message. Raises BadReply over the limit."""
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
        """Return what goes back. Thinking as plain text belongs to calls alone: elsewhere nobody wants it."""
        fields: dict[str, Any] = {"reasoning_details": self._details} if self._details else {}
        if with_calls and self._name and not self._details:
            fields[self._name] = self._thinking.getvalue()
        return (fields,) if fields else ()


def _is_same(last: Any, detail: Any) -> bool:
    """Tell whether a detail goes on with the last one: the same place, the same type."""
    if not (isinstance(last, dict) and isinstance(detail, dict)) or not isinstance(detail.get("index"), int):
        return False
    return (last.get("index"), last.get("type")) == (detail["index"], detail.get("type"))


def fields_of(message: Message) -> dict[str, Any]:
    """Return what goes back with a message of the assistant: no more than Chat Completions gave us for it."""
    if message.replay:
        given = [part for part in message.replay if "type" not in part]  # those with a type are of Responses
        return {name: part[name] for part in given for name in _FIELDS if name in part}
    if message.reasoning and message.tool_calls:
        return {"reasoning_content": message.reasoning}
    return {}
