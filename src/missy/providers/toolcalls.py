"""Tool calls put together from pieces, in all the ways that servers cut them up. Pure.

Broken arguments are an error for the caller: a tool is never run with a guess at what the model meant.
"""

from __future__ import annotations

import io
import json
from typing import Any

from missy.errors import BadReply
from missy.events import ToolCall
from missy.net.limits import read_json

_MOST = 128  # calls of one answer
_LONGEST = 1 << 20  # characters of all calls of one answer: arguments, names and ids
_DEEPEST = 100  # levels of lists and objects in arguments; whoever prints them must not run out of stack


class _Call:
    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int | None, id: str) -> None:  # noqa: A002
        self.index = index
        self.id = id
        self.name = ""
        self.arguments = io.StringIO()


class ToolCallCollector:
    """Takes the `tool_calls` of each chunk or message; `calls()` gives them whole."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self.length = 0  # characters of all pieces so far

    def feed(self, pieces: Any) -> None:
        """Take a list of pieces, or nothing. Raises BadReply over the limits."""
        if not isinstance(pieces, list):
            return
        for piece in pieces:
            if isinstance(piece, dict):
                self._take(piece)

    def _take(self, piece: dict[str, Any]) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        call = self._find(piece, name)
        if name and not call.name:
            call.name = self._kept(name)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # already parsed: some servers do
            try:
                arguments = json.dumps(arguments)
            except RecursionError:
                raise BadReply("the arguments of a tool call are nested too deep") from None
        if isinstance(arguments, str):
            call.arguments.write(self._kept(arguments))

    def _kept(self, text: str) -> str:
        """Count what is kept of all calls together. Raises BadReply over the limit."""
        self.length += len(text)
        if self.length > _LONGEST:
            raise BadReply("the tool calls of the answer are too long")
        return text

    def _find(self, piece: dict[str, Any], name: str) -> _Call:
        """Find the call that a piece belongs to, or begin one.

        A known id decides; a new id begins a call, at whatever index; without an id the index decides, or the last call
        where there is no index, unless a name comes after arguments that are already whole.
        """
        index = piece.get("index") if isinstance(piece.get("index"), int) else None
        id_ = piece.get("id") if isinstance(piece.get("id"), str) else ""
        if id_:
            known = [c for c in self._calls if c.id == id_ and (index is None or c.index in (None, index))]
            unnamed = [c for c in self._calls if not c.id and c.index == index and index is not None]
            if known:
                return known[-1]
            if unnamed:
                unnamed[-1].id = self._kept(id_)
                return unnamed[-1]
            return self._begin(index, id_)
        same = [c for c in self._calls if c.index == index] if index is not None else self._calls
        if not same or (name and same[-1].name and _is_whole(same[-1].arguments.getvalue())):
            return self._begin(index, "")
        return same[-1]

    def _begin(self, index: int | None, id_: str) -> _Call:
        if len(self._calls) >= _MOST:
            raise BadReply("the answer asks for too many tool calls")
        self._calls.append(_Call(index, self._kept(id_)))
        return self._calls[-1]

    def calls(self) -> list[ToolCall]:
        """Return the calls. Raises BadReply where a name is missing or the arguments are not one JSON object."""
        return [
            whole_call(c.id or f"call_{number}", c.name, c.arguments.getvalue())
            for number, c in enumerate(self._calls)
        ]


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(read_json(arguments), dict)
    except (ValueError, RecursionError):
        return False


def whole_call(id_: str, name: object, text: str) -> ToolCall:
    """Return a tool call. Raises BadReply where it has no name, or its arguments are not one JSON object."""
    if not isinstance(name, str) or not name:
        raise BadReply("the model asked for a tool without naming it", hint="ask again, or another model")
    try:
        arguments = read_json(text)
        json.dumps(arguments, allow_nan=False)  # NaN and 1e999 are read by Python and by nobody else
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict) or _depth(arguments) > _DEEPEST:
        raise BadReply(
            f"the arguments of the tool call {name[:64]} are not a JSON object; it was not run",
            hint="ask again, or another model",
        )
    return ToolCall(id_, name, arguments)


def _depth(value: Any) -> int:
    """Return the number of levels of a JSON value, counted without recursion."""
    depth, level = 0, [value]
    while level:
        holders = [item for item in level if isinstance(item, (dict, list))]
        level = [child for item in holders for child in (item.values() if isinstance(item, dict) else item)]
        depth += bool(holders)
    return depth
