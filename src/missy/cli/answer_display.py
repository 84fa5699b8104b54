"""Shows one answer, complete or not. The renderer is imported when the first event arrives."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from missy.cli.garbage import collect_from_now_on
from missy.errors import IncompleteError
from missy.events import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.answer import Answer
    from missy.cli.output.renderer import Renderer, Summary
    from missy.errors import MissyError
    from missy.events import Attachment, Event


class AnswerDisplay:
    """Shows one answer. `attachments` are the files that go along with its question."""

    def __init__(self, provider: str | None, output_options: dict[str, Any]) -> None:
        self._provider = provider
        self._output_options = output_options
        self._loaded_renderer: Renderer | None = None
        self._answer: Answer | None = None
        self.attachments: Sequence[Attachment] = ()
        self._is_shown_as_value = output_options["structured"] and not (
            output_options["json"] or output_options["events"]
        )

    def _renderer(self) -> Renderer:
        if self._loaded_renderer is None:
            from missy.cli.output.select import make_renderer

            self._loaded_renderer = make_renderer(sys.stdout, environ=os.environ, **self._output_options)
        return self._loaded_renderer

    def show(self, answer: Answer) -> None:
        """Show the events as they arrive, and the end. Raises the answer's MissyError."""
        self._answer = answer
        try:
            for event in answer:
                collect_from_now_on()
                self.event(event)
        finally:
            answer.close()  # a session keeps what came of an answer that was stopped
        value = answer.value() if self._output_options["structured"] and not answer.tool_calls else None
        self._renderer().finish(self._summary(value))

    def event(self, event: Event) -> None:
        """Show one event."""
        self._renderer().event(self._formatted(event) if self._is_shown_as_value else event)

    @staticmethod
    def _formatted(event: Event) -> Event:
        """Return a piece of text as its value is shown; other events as they are."""
        if not isinstance(event, Text) or event.commentary:
            return event
        from missy.cli.output.value import format_value

        return Text(format_value(event.text, indented=sys.stdout.isatty()))

    def fail(self, error: MissyError) -> None:
        """Show that there is no answer, or only a part of one."""
        text = error.text if isinstance(error, IncompleteError) and self._output_options["json"] else ""
        self._renderer().fail(error, text, self._summary())

    def _summary(self, value: Any = None) -> Summary:
        from missy.cli.output.renderer import Summary

        answer = self._answer
        attachments = [
            {"name": file.name, "media_type": file.media_type, "bytes": len(file.data)}
            for file in self.attachments
        ]
        if answer is None:
            return Summary(provider=self._provider, attachments=attachments)
        return Summary(
            provider=answer.provider,
            fallback_from=answer.fallback_from,
            model=answer.model,
            session=getattr(answer, "session", None),
            turn=getattr(answer, "turn", None),
            ttft_ms=answer.ttft_ms,
            duration_ms=answer.duration_ms,
            cost_usd=None if answer.cost is None else float(answer.cost),
            cost_estimated=answer.cost_estimated,
            value=value,
            attachments=attachments,
        )
