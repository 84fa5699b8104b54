"""An answer as plain text: for pipes, files and simple terminals."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, TextIO

from missy.cli.output.sanitize import disarm, safe
from missy.events import Event, Notice, Reasoning, Text, ToolCall
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.cli.output.renderer import Summary
    from missy.errors import MissyError


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
