"""The loop as a state machine: which request comes next, which calls are to be run, when it ends. Pure but for the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from missy.errors import BadReply, IncompleteError
from missy.events import Done, Message, Reasoning, Text, ToolCall, Usage
from missy.providers.counts import add_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from missy.config.section_schema import ToolLimits
    from missy.events import Event, Image, ToolResult
    from missy.providers.base import Request

MAX_BROKEN = 3  # calls in a row whose arguments cannot be read
MAX_SAME = 3  # times that the same call may give the same result; the model is told of it once


class Turns:
    """The state of one answer. `request` is the next model call, None at the end; `calls` are to be run before it."""

    def __init__(self, request: Request, limits: ToolLimits, clock: Callable[[], float]) -> None:
        self.request: Request | None = request
        self.calls: tuple[ToolCall, ...] = ()
        self.round: int = 0
        self.thought: float = 0.0  # seconds that a person was asked for
        self._limits = limits
        self._clock = clock
        self._begun = clock()
        self._made = 0
        self._broken = 0
        self._usage: Usage | None = None
        self._has_text = False
        self._same: dict[str, tuple[str, int]] = {}
        self._begin()

    def _begin(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._done: Done | None = None
        self._is_first_text = True

    @property
    def seconds_left(self) -> float:
        """The seconds that are left for the whole answer."""
        return self._limits.seconds - (self._clock() - self._begun - self.thought)

    def take(self, event: Event) -> Iterator[Event]:
        """Keep what the next request or the end needs, and give out the rest."""
        match event:
            case Usage():
                self._usage = event if self._usage is None else add_usage(self._usage, event)
                return
            case Done():
                self._done = event
                return
            case ToolCall():
                self._calls.append(event)
            case Reasoning():
                self._reasoning.append(event.text)
            case Text(commentary=False) if event.text:
                self._text.append(event.text)
                if self._is_first_text and self._has_text:
                    yield Text("\n\n")
                self._is_first_text, self._has_text = False, True
            case _:
                pass
        yield event

    def usage(self) -> Iterator[Event]:
        """Give out what all model calls up to now have used."""
        if self._usage is not None:
            yield self._usage

    def finish(self) -> Iterator[Event]:
        """End a round: give out the end of the answer, or set `calls`. Raises IncompleteError, BadReply."""
        request, done = self.request, self._done
        assert request is not None
        assert done is not None
        self.round += 1
        if not self._calls:
            self.request = None
            yield from self.usage()
            yield done
            return
        if done.finish_reason is None:
            raise IncompleteError(
                "the answer has tool calls and no finish reason, so more may be missing; none was run",
                hint="ask again, or another model",
                model=done.model,
            )
        self._made += len(self._calls)
        if self._made > self._limits.calls:
            raise self._over("calls", f"{self._limits.calls} tool calls")
        self.calls = tuple(self._calls)
        said = Message(
            "assistant",
            "".join(self._text),
            tool_calls=self.calls,
            reasoning="".join(self._reasoning),
            replay=done.replay,
        )
        choice = None if request.tool_choice not in (None, "auto", "none") else request.tool_choice
        self.request = request._replace(messages=(*request.messages, said), tool_choice=choice)

    def answered(self, results: Sequence[ToolResult], images: Sequence[Image] = ()) -> None:
        """Take the results of `calls`, in their order, into the next request. Raises BadReply, IncompleteError."""
        request = self.request
        assert request is not None
        told = []
        for call, result in zip(self.calls, results, strict=True):
            self._broken = self._broken + 1 if call.problem else 0
            told.append(Message("tool", self._judged(call, result), tool_call_id=call.id))
        if self._broken >= MAX_BROKEN:
            raise BadReply(
                f"the arguments of {MAX_BROKEN} tool calls in a row are not JSON objects; none of them was run",
                hint="ask another model",
            )
        if images:
            told.append(Message("user", "The images of the results above.", tuple(images)))
        self.calls = ()
        self.request = request._replace(messages=(*request.messages, *told))
        self._begin()
        self._check_limits()

    def _judged(self, call: ToolCall, result: ToolResult) -> str:
        """Return the text for the model. The same call with the same result is told once, then it ends the answer."""
        key = f"{call.name} {json.dumps(call.arguments, sort_keys=True)}"
        before, count = self._same.get(key, ("", 0))
        count = count + 1 if before == result.text else 1
        self._same[key] = (result.text, count)
        if count > MAX_SAME:
            raise self._over("repeated", f"the same call {MAX_SAME} times with the same result")
        if count == MAX_SAME:
            return f"{result.text}\n[this call gave the same result {MAX_SAME} times: do something else]"
        return result.text

    def _check_limits(self) -> None:
        if self.round >= self._limits.rounds:
            raise self._over("rounds", f"{self._limits.rounds} model calls")
        if self.seconds_left <= 0:
            raise self._over("seconds", f"{self._limits.seconds:g} seconds")
        used = self._usage.total_tokens if self._usage else None
        if self._limits.tokens is not None and used is not None and used >= self._limits.tokens:
            raise self._over("tokens", f"{self._limits.tokens} tokens")

    def _over(self, name: str, what: str) -> IncompleteError:
        hint = "ask for less" if name == "repeated" else f"raise tools.limits.{name}, or ask for less"
        return IncompleteError(
            f"the answer was stopped after {what}", hint=hint, finish_reason=f"limit: {name}"
        )
