"""Detecting the end marker of a stream from its raw bytes, for responses that a lent client parses itself. Pure.

No byte is held back and nothing is refused: it only detects the end marker.
"""

from __future__ import annotations

import re

OVERLAP_BYTES = (
    128  # bytes searched again with the next ones, so that no marker split over two reads is missed
)

# Quotes inside the model's text are escaped in JSON, so the text cannot contain any of these.
_CHAT = re.compile(rb'"finish_reason"\s*:\s*"[^"]|(?:^|[\r\n])data:\s?\[DONE\]')
_RESPONSES = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|done|incomplete|failed|cancelled)|error)"'
    rb"|(?:^|[\r\n])event:\s?(?:response\.(?:completed|done|incomplete|failed|cancelled)|error)[\r\n]"
    rb"|(?:^|[\r\n])data:\s?\[DONE\]"
)
_MARKS = {"/chat/completions": _CHAT, "/completions": _CHAT, "/responses": _RESPONSES}


class StreamEnding:
    """Searches for the end marker of a format; `whole` is true once it has come."""

    __slots__ = ("_mark", "_tail", "whole")

    def __init__(self, mark: re.Pattern[bytes]) -> None:
        self._mark = mark
        self._tail = b"\n"
        self.whole: bool = False

    def feed(self, data: bytes) -> None:
        """Search the next bytes."""
        if self.whole:
            return
        seen = self._tail + data
        self.whole = self._mark.search(seen) is not None
        self._tail = seen[-OVERLAP_BYTES:]


def ending_of(path: str, content_type: str) -> StreamEnding | None:
    """Return the detector for a response; None if it is not a stream, or one of unknown format."""
    if content_type.partition(";")[0].strip().lower() != "text/event-stream":
        return None
    for tail, mark in _MARKS.items():
        if path.rstrip("/").endswith(tail):
            return StreamEnding(mark)
    return None
