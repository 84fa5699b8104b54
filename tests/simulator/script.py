"""What the backend's model answers, event by event, and how the bytes of it go out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.server import Cut


@dataclass(frozen=True)
class Say:
    """A message, in pieces; `phase` is commentary, final_answer or nothing."""

    pieces: tuple[str, ...]
    phase: str | None = None


@dataclass(frozen=True)
class Think:
    """Reasoning: a summary in pieces, and the encrypted content that comes back with the next turn."""

    pieces: tuple[str, ...]
    encrypted: str = "gAAAAA-encrypted-by-the-simulator"


@dataclass(frozen=True)
class Call:
    """A function call, its arguments in pieces; no pieces: they come only with the finished item."""

    name: str
    arguments: str
    call_id: str = "call_1"
    pieces: int = 2


Item = Say | Think | Call


@dataclass
class Script:
    """One answer. `end` is how it ends: completed, done, incomplete, failed, error, or None for no end at all."""

    items: tuple[Item, ...] = (Say(("Hello ", "from ", "the ", "simulator.")),)
    end: str | None = "completed"
    reason: str = "max_output_tokens"
    error: dict[str, Any] = field(default_factory=lambda: {"code": "server_error", "message": "It broke."})
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {
            "input_tokens": 120,
            "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 14,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 134,
        }
    )
    interleave: bool = False  # the pieces of all items in turn, not one item after the other
    strays: bool = False  # unknown events, rate limits and data that is no JSON in between
    newline: str = "\n"
    space: bool = True  # after "data:"
    comments: bool = False
    event_names: bool = True
    chunk: int = 0  # bytes a chunk; 0: an event a chunk
    cut: int | None = None  # bytes after which the connection breaks
    stop: int | None = None  # bytes after which the stream ends as if it were whole
    before: Callable[[int], None] = field(default=lambda _index: None)  # called with each event's number

    def events(self, model: str, response_id: str = "resp_sim_1") -> list[dict[str, Any]]:
        """The events in order, numbered."""
        shell = {"id": response_id, "object": "response", "created_at": 1_795_346_798, "model": model, "output": [],
                 "error": None, "incomplete_details": None, "usage": None, "store": False}  # fmt: skip
        begun = {**shell, "status": "in_progress"}
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
        ]
        parts = [_item_events(index, item) for index, item in enumerate(self.items)]
        events += _in_turn(parts) if self.interleave else [event for part in parts for event in part]
        if self.strays:
            events[2:2] = [{"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": {}},
                           {"type": "response.something.new", "value": [1, 2]},
                           {"type": "response.metadata", "headers": {}}]  # fmt: skip
        events += self._last(shell)
        return [{**event, "sequence_number": number} for number, event in enumerate(events)]

    def _last(self, shell: dict[str, Any]) -> list[dict[str, Any]]:
        if self.end in ("completed", "done"):
            # as the true backend: what was said is not said again here
            return [
                {
                    "type": f"response.{self.end}",
                    "response": {**shell, "status": "completed", "usage": self.usage},
                }
            ]
        if self.end == "incomplete":
            details = {
                "status": "incomplete",
                "incomplete_details": {"reason": self.reason},
                "usage": self.usage,
            }
            return [{"type": "response.incomplete", "response": {**shell, **details}}]
        if self.end == "failed":
            return [
                {"type": "response.failed", "response": {**shell, "status": "failed", "error": self.error}}
            ]
        return [{"type": "error", **self.error}] if self.end == "error" else []

    def raw(self, model: str) -> list[bytes]:
        """The bytes of each event."""
        return [self._encode(event) for event in self.events(model)]

    def stream(self, model: str) -> Iterator[bytes]:
        """The body as it goes out: in pieces, cut, delayed, as this script says."""
        sent = 0
        for number, data in enumerate(self.raw(model)):
            self.before(number)
            size = self.chunk or len(data)
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                for limit in (self.cut, self.stop):
                    if limit is not None and sent + len(piece) >= limit:
                        yield piece[: limit - sent]
                        if limit == self.cut:
                            raise Cut
                        return
                sent += len(piece)
                yield piece

    def _encode(self, event: dict[str, Any]) -> bytes:
        lines = [": a comment", ""] if self.comments else []
        if self.event_names:
            lines.append(f"event:{' ' if self.space else ''}{event['type']}")
        lines.append(f"data:{' ' if self.space else ''}{json.dumps(event, ensure_ascii=False)}")
        if self.strays:
            lines += ["", "data: this is no JSON"]
        return self.newline.join([*lines, "", ""]).encode()


def _item_events(index: int, item: Item) -> list[dict[str, Any]]:
    makers = {Say: _say, Think: _think, Call: _call}
    begun, events, done = makers[type(item)](index, item)
    added = {"type": "response.output_item.added", "output_index": index, "item": begun}
    return [added, *events, {"type": "response.output_item.done", "output_index": index, "item": done}]


def _say(index: int, item: Say) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    base = {"type": "message", "id": f"msg_{index}", "role": "assistant"}
    base |= {"phase": item.phase} if item.phase else {}
    at = {"item_id": base["id"], "output_index": index, "content_index": 0}
    text = "".join(item.pieces)
    part = {"type": "output_text", "text": text, "annotations": []}
    events = [{"type": "response.content_part.added", **at, "part": {**part, "text": ""}}]
    events += [{"type": "response.output_text.delta", **at, "delta": piece} for piece in item.pieces]
    events += [{"type": "response.output_text.done", **at, "text": text},
               {"type": "response.content_part.done", **at, "part": part}]  # fmt: skip
    done = {**base, "status": "completed", "content": [part]}
    return {**base, "status": "in_progress", "content": []}, events, done


def _think(index: int, item: Think) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    base = {"type": "reasoning", "id": f"rs_{index}"}
    at = {"item_id": base["id"], "output_index": index, "summary_index": 0}
    text = "".join(item.pieces)
    events = [
        {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}}
    ]
    events += [
        {"type": "response.reasoning_summary_text.delta", **at, "delta": piece} for piece in item.pieces
    ]
    events.append({"type": "response.reasoning_summary_text.done", **at, "text": text})
    summary = [{"type": "summary_text", "text": text}]
    done = {**base, "summary": summary, "encrypted_content": item.encrypted, "content": None}
    return {**base, "summary": []}, events, done


def _call(index: int, item: Call) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    base = {"type": "function_call", "id": f"fc_{index}", "call_id": item.call_id, "name": item.name}
    at = {"item_id": base["id"], "output_index": index}
    size = max(1, -(-len(item.arguments) // item.pieces)) if item.pieces else 0
    pieces = [item.arguments[n : n + size] for n in range(0, len(item.arguments), size)] if size else []
    events = [{"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in pieces]
    if item.pieces:
        events.append({"type": "response.function_call_arguments.done", **at, "arguments": item.arguments})
    done = {**base, "arguments": item.arguments, "status": "completed"}
    return {**base, "arguments": "", "status": "in_progress"}, events, done


def _in_turn(parts: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    longest = max((len(part) for part in parts), default=0)
    return [part[n] for n in range(longest) for part in parts if n < len(part)]
