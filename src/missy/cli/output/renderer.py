"""The interface of all renderers: a summary, and the methods that show an answer.

Only the answer goes to stdout; reasoning, notices and errors go to stderr. Text is written and flushed as it arrives.
Text from outside must not control a terminal: a terminal gets sanitized text; a pipe or a file gets the text without
control characters, since a pipe may end at a terminal; JSON is ASCII. Renderers do not handle BrokenPipeError: the
caller does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.errors import MissyError
    from missy.events import Event


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known about an answer besides its events: times in milliseconds, and the value that it gives for a schema."""

    provider: str | None = None
    fallback_from: str | None = None
    model: str | None = None
    session: str | None = None
    turn: int | None = None
    ttft_ms: int | None = None
    duration_ms: int | None = None
    cost_usd: float | None = None
    cost_estimated: bool = False
    value: Any = None
    attachments: Sequence[dict[str, Any]] = ()


class Renderer(Protocol):
    """Shows one answer: each `event`, and `finish` or `fail` at the end. `start` begins another one."""

    def start(self) -> None:
        """Begin an answer. A renderer may show several, one after the other."""

    def event(self, event: Event) -> None:
        """Show one event. Raises BrokenPipeError when the reader of the pipe has gone."""

    def finish(self, summary: Summary | None = None) -> None:
        """End a complete answer."""

    def fail(self, error: MissyError, text_so_far: str = "", summary: Summary | None = None) -> None:
        """End an answer that failed. The caller prints the error itself."""


def write_notice(err: TextIO, text: str) -> None:
    """Write a notice on one line, secrets masked."""
    from missy.cli.output.sanitize import sanitize
    from missy.secrets.redact import redact

    err.write(sanitize(redact(f"missy: {text}"), newlines=False) + "\n")
    err.flush()
