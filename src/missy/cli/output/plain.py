"""An answer as plain text: for pipes, files and simple terminals."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, TextIO

from missy.cli.output.renderer import write_notice
from missy.cli.output.sanitize import escape_controls, sanitize
from missy.events import Citation, Done, Event, Notice, Reasoning, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.output.renderer import Summary
    from missy.errors import MissyError


MAX_SUBJECT_CHARS = 80  # of what a tool was used on


class Plain:
    """Text as it arrives, ended by exactly one newline. If an answer has tool calls only, each is printed as a JSON
    object on its own line.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, stream: bool = True, show: Callable[[str], str] = escape_controls
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
        self._citations: list[Citation] = []
        self._comments: list[str] = []
        self._has_text = False
        self._refused = False
        self._line_is_open = False
        self._newlines = 0

    def event(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Text(text=text, commentary=True):
                self.comment(text)
            case Text(text=text) if text:
                self._show_comments()
                self._has_text = True
                if self._stream:
                    self.write(text)
                else:
                    self._held.append(text)
            case Reasoning(text=text) if text:
                self.think(text)
            case ToolCall():
                self._calls.append(event)
            case Citation():
                self._citations.append(event)
            case ToolResult():  # it was run or refused: the caller has nothing to do for it
                self._show_result(event)
            case Notice(text=text):
                self.note(text)
            case Done(refusal=True):
                self._refused = True
            case _:
                pass

    def _show_result(self, result: ToolResult) -> None:
        """Show in one line which tool was used on what, and what came of it."""
        for call in [call for call in self._calls if call.id == result.id][:1]:
            self._calls.remove(call)
            subject = next((value for value in call.arguments.values() if isinstance(value, (str, list))), "")
            text = " ".join(map(str, subject)) if isinstance(subject, list) else subject
            self.note(f"tool: {f'{call.name} {text[:MAX_SUBJECT_CHARS]}'.strip()}: {result.outcome}")

    def finish(self, summary: Summary | None = None) -> None:  # noqa: ARG002  plain text shows no summary
        """End the text, and show the tool calls: on stdout if there is no text, else as notices."""
        self._show_comments()
        self._write_held()
        for call in self._calls:
            line = dumps({"name": call.name, "arguments": call.arguments})
            if self._has_text:
                self.note(f"tool call: {line}")
            else:
                self._out.write(line + "\n")
        self._out.flush()
        if self._refused:
            self.note("the model refused to answer")
        if self._citations:
            self.note("sources:")
        for number, source in enumerate(self._citations, 1):
            self._err.write(f"  [{number}] {_line(source.url)} {_line(source.title)}".rstrip() + "\n")
        self._err.flush()

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:  # noqa: ARG002
        """End the last line of the text, so that the error gets its own line."""
        if text_so_far and not self._has_text:
            self._held.append(text_so_far)
        self._show_comments()
        self._write_held()

    def _write_held(self) -> None:
        if self._held:
            self.write("".join(self._held))
            self._held.clear()
        self.end()

    def write(self, text: str) -> None:
        """Write a piece of the answer. Newlines at its end are held back until more text follows."""
        shown = self._show(text)
        body = shown.rstrip("\n")
        if body:
            self._out.write("\n" * self._newlines + body)
            self._out.flush()
            self._line_is_open, self._newlines = True, 0
        self._newlines += len(shown) - len(body)

    def think(self, text: str) -> None:
        """Do nothing: plain text does not show reasoning."""

    def comment(self, text: str) -> None:
        """Take a piece of the model's comment on its work, which is no part of the answer."""
        self._comments.append(text)

    def _show_comments(self) -> None:
        """Show the comments up to now on stderr: they are about what comes before the answer."""
        said = "".join(self._comments).strip()
        self._comments.clear()
        if said:
            self.note(f"the model comments: {said}")

    def note(self, text: str) -> None:
        """Show a notice on stderr."""
        write_notice(self._err, text)

    def end(self) -> None:
        """End the last line."""
        if self._line_is_open:
            self._out.write("\n")
            self._out.flush()
            self._line_is_open = False
        self._newlines = 0


def _line(text: str) -> str:
    """Return a text from outside as it is shown on one line."""
    from missy.secrets.redact import redact

    return sanitize(redact(text), newlines=False)
