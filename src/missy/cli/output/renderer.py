"""What every way of showing an answer has in common: a summary, and the calls that a renderer takes.

stdout gets the answer alone; what the model thinks, notices and errors go to stderr. Text is written and
flushed as it arrives. Nothing that comes from outside may steer a terminal: to one goes `safe` text; into a
pipe or a file goes the text as it is, but without control characters, since a pipe may end at a terminal;
JSON is ASCII. A reader that has gone is the caller's business: BrokenPipeError passes through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from missy.errors import MissyError
    from missy.events import Event


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
