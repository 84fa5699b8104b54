"""What becomes of an answer's events: plain text, one JSON object, a JSON event a line, or Markdown on a
terminal.

stdout gets the answer alone; what the model thinks, notices and errors go to stderr. Text is written and
flushed as it arrives. Nothing that comes from outside may steer a terminal: to one goes `safe` text; into a
pipe or a file goes the text as it is, but without control characters, since a pipe may end at a terminal;
JSON is ASCII. A reader that has gone is the caller's business: BrokenPipeError passes through.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from missy.cli.safe import disarm, safe
from missy.events import Done, Event, Notice, Reasoning, Text, ToolCall, Usage
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.errors import MissyError


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of an answer besides its events; times in milliseconds."""

    provider: str | None = None
    model: str | None = None
    session: str | None = None
    ttft_ms: int | None = None
    duration_ms: int | None = None


class Renderer(Protocol):
    """One answer: `start`, then `prepare` once the request is sent, each `event`, and `finish` or `fail` to
    end it.
    """

    def start(self) -> None:
        """Begin an answer; a renderer may show several, one after the other."""

    def prepare(self) -> None:
        """Load what showing takes, while the endpoint is at work."""

    def event(self, event: Event) -> None:
        """Show one event. Raises BrokenPipeError when nobody reads any more."""

    def finish(self, summary: Summary | None = None) -> None:
        """End a whole answer."""

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:
        """End an answer that failed. The error itself is for the caller to print, on a line of its own."""


def make_renderer(
    stdout: TextIO,
    *,
    json: bool = False,
    events: bool = False,
    no_stream: bool = False,
    environ: Mapping[str, str],
    stderr: TextIO | None = None,
) -> Renderer:
    """Return the renderer for `stdout` and these options; `stderr` is the process's own unless given."""
    err = sys.stderr if stderr is None else stderr
    if events:
        return EventLines(stdout)
    if json:
        return Json(stdout, err)
    if (reconfigure := getattr(stdout, "reconfigure", None)) is not None:
        reconfigure(errors="replace")  # a character that the terminal's encoding lacks is no reason to stop
    if not stdout.isatty():
        return Plain(stdout, err, stream=not no_stream)
    if environ.get("TERM", "dumb") == "dumb":
        return Plain(stdout, err, stream=not no_stream, show=safe)
    from missy.cli.terminal import Terminal

    return Terminal(stdout, err, stream=not no_stream, environ=environ)


class Plain:
    """Text as it comes, ended by exactly one newline. An answer of tool calls alone is a JSON object a
    line.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, stream: bool = True, show: Callable[[str], str] = disarm
    ) -> None:
        self._out = out
        self._err = err
        self._stream = stream
        self._show = show
        self.start()

    def start(self) -> None:
        """Begin an answer."""
        self._held: list[str] = []
        self._calls: list[ToolCall] = []
        self._came = False
        self._shown = False
        self._newlines = 0

    def prepare(self) -> None:
        """Plain text needs nothing."""

    def event(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Text(text=text) if text:
                self._came = True
                if self._stream:
                    self.write(text)
                else:
                    self._held.append(text)
            case Reasoning(text=text) if text:
                self.think(text)
            case ToolCall():
                self._calls.append(event)
            case Notice(text=text):
                self.note(text)
            case _:
                pass

    def finish(self, summary: Summary | None = None) -> None:  # noqa: ARG002  the text is all there is to show
        """End the text, and show the tool calls: as the answer, if there is no other."""
        self._release()
        for call in self._calls:
            line = dumps({"name": call.name, "arguments": call.arguments})
            if self._came:
                self.note(f"tool call: {line}")
            else:
                self._out.write(line + "\n")
        self._out.flush()

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:  # noqa: ARG002
        """End the line that the text stopped in, so that the error has its own."""
        if text_so_far and not self._came:
            self._held.append(text_so_far)
        self._release()

    def _release(self) -> None:
        if self._held:
            self.write("".join(self._held))
            self._held.clear()
        self.end()

    def write(self, text: str) -> None:
        """Write a piece of the answer; newlines at its end wait for what follows them."""
        shown = self._show(text)
        body = shown.rstrip("\n")
        if body:
            self._out.write("\n" * self._newlines + body)
            self._out.flush()
            self._shown, self._newlines = True, 0
        self._newlines += len(shown) - len(body)

    def think(self, text: str) -> None:
        """Show what the model thinks: not in plain text."""

    def note(self, text: str) -> None:
        """Say on stderr what is not the answer."""
        self._err.write(safe(redact(f"missy: {text}"), newlines=False) + "\n")
        self._err.flush()

    def end(self) -> None:
        """End the last line."""
        if self._shown:
            self._out.write("\n")
            self._out.flush()
            self._shown = False
        self._newlines = 0


class Json:
    """The one object of `ask --json`, on success and on failure."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self.start()

    def start(self) -> None:
        """Begin an answer."""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._usage: dict[str, int | None] | None = None
        self._done: Done | None = None

    def prepare(self) -> None:
        """JSON needs nothing."""

    def event(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Text(text=text):
                self._text.append(text)
            case Reasoning(text=text):
                self._reasoning.append(text)
            case ToolCall():
                self._calls.append(event.as_dict())
            case Usage():
                self._usage = event.as_dict()
            case Done():
                self._done = event
            case Notice(text=text):
                self._err.write(safe(redact(f"missy: {text}"), newlines=False) + "\n")

    def finish(self, summary: Summary | None = None) -> None:
        """Print the object."""
        self._print(summary or Summary(), None)

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:
        """Print the object, with the error in it and the text as far as it came."""
        if not self._text:
            self._text.append(text_so_far)
        self._print(summary or Summary(), error)

    def _print(self, summary: Summary, error: MissyError | None) -> None:
        done = self._done
        answer = {
            "text": "".join(self._text),
            "provider": summary.provider,
            "model": _masked((done and done.model) or getattr(error, "model", None) or summary.model),
            "finish_reason": done.finish_reason if done else getattr(error, "finish_reason", None),
            "complete": done is not None and error is None,
            "usage": self._usage,
            "reasoning": "".join(self._reasoning),
            "tool_calls": self._calls,
            "session": summary.session,
            "request_id": _masked((done and done.request_id) or getattr(error, "request_id", None)),
            "ttft_ms": summary.ttft_ms,
            "duration_ms": summary.duration_ms,
            "error": _describe(error) if error else None,
        }
        self._out.write(dumps(answer) + "\n")
        self._out.flush()


class EventLines:
    """`ask --events`: one JSON object a line, as it arrives; the last one is of type `done` or `error`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def start(self) -> None:
        """Begin: every line stands for itself."""

    def prepare(self) -> None:
        """JSON needs nothing."""

    def event(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Done():
                fields: dict[str, Any] = {
                    "finish_reason": event.finish_reason,
                    "model": _masked(event.model),
                    "request_id": _masked(event.request_id),
                }
            case Notice(text=text):
                fields = {"text": redact(text)}
            case _:
                fields = event.as_dict()
        self._print(_EVENT_NAMES[type(event)], fields)

    def finish(self, summary: Summary | None = None) -> None:
        """End: the `done` event was the last line."""

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
    Usage: "usage",
    Notice: "notice",
    Done: "done",
}


def _masked(text: str | None) -> str | None:
    """Mask a key that an endpoint gives back as a name; an answer is left as it is."""
    return redact(text) if text else text


def _describe(error: MissyError) -> dict[str, Any]:
    message, hint = redact(error.message), redact(error.hint)
    return {"type": error.type, "message": message, "hint": hint, "status": error.status}
