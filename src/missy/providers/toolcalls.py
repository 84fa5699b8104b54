"""Tool calls assembled from pieces, in all the ways that servers split them. Pure.

A tool is never run with guessed arguments: broken ones are an error or, in a tool loop, a call with a `problem`, of which
the model is told. Without any arguments at all, the tool is called with `{}`.
"""

from __future__ import annotations

import io
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply
from missy.events import ToolCall
from missy.net.limits import read_json
from missy.providers.counts import place_number
from missy.providers.surrogates import joined
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_CALLS = 128  # calls of one answer
MAX_CALLS_CHARS = 1 << 20  # characters of all calls of one answer: arguments, names and ids
# opaque fields of a call that the endpoint requires back unchanged
_OPAQUE = ("extra_content", "provider_specific_fields", "thought_signature")
MAX_DEPTH = 100  # levels of lists and objects in arguments; deeper ones could overflow the stack of code that prints them


class _Call:
    __slots__ = ("arguments", "extra", "id", "index", "names")

    def __init__(self, index: int | None, id: str) -> None:  # noqa: A002
        self.index = index
        self.id = id
        self.names: list[str] = []
        self.arguments = io.StringIO()
        self.extra: dict[str, Any] = {}


class ToolCallCollector:
    """Collects the `tool_calls` of each chunk or message; `calls()` returns the complete calls.

    `offered` are the names of the tools that the model may call; if none were offered, any name is accepted.
    `in_loop`: what cannot be run is no error, but a call that says so.
    """

    def __init__(self, offered: Collection[str] = (), *, in_loop: bool = False) -> None:
        self._offered = offered
        self._in_loop = in_loop
        self._calls: list[_Call] = []
        self.length: int = 0  # characters of all pieces so far
        self.custom: list[str] = []  # the names of custom tool calls, which are never offered

    @property
    def begun(self) -> bool:
        """Whether any part of a call has come."""
        return bool(self._calls or self.custom)

    def feed(self, pieces: Any) -> None:
        """Add a list of pieces, or None. Raises BadReply over the limits."""
        if not isinstance(pieces, list):
            return
        for piece in pieces:
            if isinstance(piece, dict):
                self._take(piece)

    def _take(self, piece: dict[str, Any]) -> None:
        custom = piece.get("custom")
        if isinstance(custom, dict) and "function" not in piece:
            if isinstance(custom.get("name"), str) and len(self.custom) < MAX_CALLS:
                self.custom.append(self._kept(custom["name"]))
            return
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        call = self._find(piece, name)
        if name and len(call.names) < MAX_CALLS:
            call.names.append(self._kept(name))
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):  # some servers send parsed arguments
            arguments = self._dumped(arguments)
        if isinstance(arguments, str):
            call.arguments.write(self._kept(arguments))
        for field in _OPAQUE:
            if piece.get(field):
                self._kept(self._dumped(piece[field]))
                call.extra[field] = piece[field]

    @staticmethod
    def _dumped(value: Any) -> str:
        try:
            return json.dumps(value)
        except RecursionError:
            raise BadReply("the arguments of a tool call are nested too deep") from None

    def _kept(self, text: str) -> str:
        """Count the characters of all calls together. Raises BadReply over the limit."""
        self.length += len(text)
        if self.length > MAX_CALLS_CHARS:
            raise BadReply("the tool calls of the answer are too long")
        return text

    def _find(self, piece: dict[str, Any], name: str) -> _Call:
        """Return the call that a piece belongs to, or start a new one.

        A known id selects its call; a new id starts a call, at any index; without an id the index selects it, or the last
        call if there is no index, unless a name comes after complete arguments.
        """
        index = place_number(piece.get("index"))
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
        if not same or (name and same[-1].names and _is_whole(same[-1].arguments.getvalue())):
            return self._begin(index, "")
        return same[-1]

    def _begin(self, index: int | None, id_: str) -> _Call:
        if len(self._calls) >= MAX_CALLS:
            raise BadReply("the answer asks for too many tool calls")
        self._calls.append(_Call(index, self._kept(id_)))
        return self._calls[-1]

    def calls(self) -> list[ToolCall]:
        """Return the calls, in the order of their index where each has one.

        Raises BadReply where a name is missing or was not offered, or the arguments are not one JSON object.
        """
        ordered = list(enumerate(self._calls))
        if all(call.index is not None for call in self._calls):
            ordered.sort(key=lambda pair: pair[1].index or 0)
        return [
            whole_call(
                call.id or f"call_{number}",
                _one_name(call.names, self._offered),
                call.arguments.getvalue(),
                offered=self._offered,
                extra=call.extra,
                in_loop=self._in_loop,
            )
            for number, call in ordered
        ]


def _one_name(pieces: list[str], offered: Collection[str]) -> str:
    """Join the name from its pieces: parts of it, the whole name each time, or a longer part each time."""
    together = ""
    for piece in pieces:
        together += piece if piece != together else ""
    readings = [together, "".join(pieces)]
    if all(later.startswith(piece) for piece, later in pairwise(pieces)):
        readings.append(pieces[-1] if pieces else "")
    return next((name for name in readings if name in offered), together)


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(read_json(arguments), dict)
    except (ValueError, RecursionError):
        return False


def whole_call(
    id_: str,
    name: object,
    text: str,
    *,
    offered: Collection[str] = (),
    extra: dict[str, Any] | None = None,
    in_loop: bool = False,
) -> ToolCall:
    """Return a tool call. No arguments at all mean none: `{}`, and so does null in a tool loop.

    Raises BadReply where it has no name or, outside of a tool loop, one that was not offered or broken arguments.
    """
    if not isinstance(name, str) or not name:
        raise BadReply("the model called a tool without a name", hint="ask again, or another model")
    name = joined(name)
    if offered and name not in offered and not in_loop:
        raise BadReply(
            f"the model called a tool that was not offered: {redact(name)[:64]}; it was not run",
            hint="ask again, or another model",
        )
    try:
        arguments = read_json(joined(text)) if text.strip() else {}
        arguments = {} if arguments is None and in_loop else arguments
        json.dumps(arguments, allow_nan=False)  # NaN and 1e999 are accepted by Python, but are not valid JSON
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict) or _depth(arguments) > MAX_DEPTH:
        if in_loop:
            return ToolCall(id_, name, {}, extra or None, problem="its arguments are not a JSON object")
        raise BadReply(
            f"the arguments of the tool call {redact(name)[:64]} are not a JSON object; it was not run",
            hint="ask again, or another model",
        )
    return ToolCall(id_, name, arguments, extra or None)


def _depth(value: Any) -> int:
    """Return the number of levels of a JSON value, counted without recursion."""
    depth, level = 0, [value]
    while level:
        holders = [item for item in level if isinstance(item, (dict, list))]
        level = [child for item in holders for child in (item.values() if isinstance(item, dict) else item)]
        depth += bool(holders)
    return depth
