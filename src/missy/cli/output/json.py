"""An answer as JSON: one object, or one event per line."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any, TextIO

from missy.cli.output.renderer import Summary, write_notice
from missy.errors import BudgetError
from missy.events import Citation, Done, Event, Notice, Reasoning, Text, ToolCall, ToolResult, Usage
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from missy.errors import MissyError


class JsonObject:
    """`ask --json`: one object, on success and on failure."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self.start()

    def start(self) -> None:
        """Begin an answer."""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._commentary: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._citations: list[dict[str, Any]] = []
        self._usage: dict[str, int | None] | None = None
        self._done: Done | None = None

    def event(self, event: Event) -> None:
        """Collect one event."""
        match event:
            case Text(text=text, commentary=True):
                self._commentary.append(text)
            case Text(text=text):
                self._text.append(text)
            case Reasoning(text=text):
                self._reasoning.append(text)
            case ToolCall():
                self._calls.append(_fields(event))
            case Citation():
                self._citations.append(_fields(event))
            case ToolResult(id=id_):
                for call in self._calls:
                    if call["id"] == id_:
                        call.setdefault("outcome", event.outcome)
            case Usage():
                self._usage = _fields(event)
            case Done():
                self._done = event
            case Notice(text=text):
                write_notice(self._err, text)

    def finish(self, summary: Summary | None = None) -> None:
        """Print the object."""
        self._print(summary or Summary(), None)

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:
        """Print the object with the error and the text that arrived before it."""
        if not self._text:
            self._text.append(text_so_far)
        self._print(summary or Summary(), error)

    def _print(self, summary: Summary, error: MissyError | None) -> None:
        done = self._done
        answer = {
            "text": "".join(self._text),
            "provider": summary.provider,
            "fallback_from": summary.fallback_from,
            "model": _masked((done and done.model) or getattr(error, "model", None) or summary.model),
            "finish_reason": done.finish_reason if done else getattr(error, "finish_reason", None),
            "complete": done is not None and error is None,
            "usage": self._usage,
            "cost_usd": summary.cost_usd,
            "reasoning": "".join(self._reasoning),
            "tool_calls": self._calls,
            "citations": self._citations,
            "value": summary.value,
            "attachments": list(summary.attachments),
            "session": summary.session,
            "turn": summary.turn,
            "request_id": _masked((done and done.request_id) or getattr(error, "request_id", None)),
            "ttft_ms": summary.ttft_ms,
            "duration_ms": summary.duration_ms,
            "error": _describe(error) if error else None,
        }
        if summary.cost_estimated:
            answer["cost_estimated"] = True
        if self._commentary:
            answer["commentary"] = "".join(self._commentary)
        if done is not None and done.refusal:
            answer["refusal"] = True
        self._out.write(dumps(answer) + "\n")
        self._out.flush()


class EventLines:
    """`ask --events`: one JSON object per line, as it arrives. The last one has the type `done` or `error`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def start(self) -> None:
        """Do nothing: no state is kept between lines."""

    def event(self, event: Event) -> None:
        """Collect one event."""
        match event:
            case Done():
                fields: dict[str, Any] = {
                    "finish_reason": event.finish_reason,
                    "model": _masked(event.model),
                    "request_id": _masked(event.request_id),
                    **({"refusal": True} if event.refusal else {}),
                }
            case Notice(text=text):
                fields = {"text": redact(text)}
            case _:
                fields = _fields(event)
        self._print(_EVENT_NAMES[type(event)], fields)

    def finish(self, summary: Summary | None = None) -> None:
        """Do nothing: the `done` event was the last line."""

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:  # noqa: ARG002
        """Print the error as the last line."""
        self._print("error", {"error": _describe(error)})

    def _print(self, name: str, fields: dict[str, Any]) -> None:
        self._out.write(dumps({"type": name, **fields}) + "\n")
        self._out.flush()


_EVENT_NAMES: dict[type, str] = {
    Text: "text",
    Reasoning: "reasoning",
    ToolCall: "tool_call",
    Citation: "citation",
    ToolResult: "tool_result",
    Usage: "usage",
    Notice: "notice",
    Done: "done",
}


def _fields(event: Event) -> dict[str, Any]:
    """Return the fields of an event to show: without `extra`, which is opaque, and those that are rarely set.

    The cost that an endpoint tells is shown with the answer's, as `cost_usd`.
    """
    return {
        name: value
        for name, value in event.as_dict().items()
        if name not in ("extra", "cost")
        and (name not in ("commentary", "cache_write_tokens", "problem") or value)
    }


def _masked(text: str | None) -> str | None:
    """Mask a key that an endpoint returned in place of a name."""
    return redact(text) if text else text


def _describe(error: MissyError) -> dict[str, Any]:
    message, hint = redact(error.message), redact(error.hint)
    described: dict[str, Any] = {"type": error.type, "message": message, "hint": hint, "status": error.status}
    if isinstance(error, BudgetError):
        described |= {"spent_usd": error.spent, "limit_usd": error.limit, "resets_at": error.resets_at}
    if faults := getattr(error, "faults", ()):
        described["faults"] = [{"pointer": redact(at), "message": redact(said)} for at, said in faults]
    return described
