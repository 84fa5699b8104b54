"""Whether a stream that passes came to its end: a look at its bytes, for replies that are read by somebody else. Pure.

It must never hold back a byte, and never refuse what it cannot read: it only knows an end when it sees one.
"""

from __future__ import annotations

import re

OVERLAP_BYTES = 128  # bytes looked at again with the next ones, so that no mark is lost between two reads

# Inside a text of the model every quote is escaped, so none of these can be said by it.
_CHAT = re.compile(rb'"finish_reason"\s*:\s*"[^"]|(?:^|[\r\n])data:\s?\[DONE\]')
_RESPONSES = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|done|incomplete|failed|cancelled)|error)"'
    rb"|(?:^|[\r\n])event:\s?(?:response\.(?:completed|done|incomplete|failed|cancelled)|error)[\r\n]"
    rb"|(?:^|[\r\n])data:\s?\[DONE\]"
)
_MARKS = {"/chat/completions": _CHAT, "/completions": _CHAT, "/responses": _RESPONSES}


class StreamEnding:
    """Looks for the end that a format promises; `whole` once it has come."""

    __slots__ = ("_mark", "_tail", "whole")

    def __init__(self, mark: re.Pattern[bytes]) -> None:
        self._mark = mark
        self._tail = b"\n"
        self.whole = False

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""
        if self.whole:
            return
        seen = self._tail + data
        self.whole = self._mark.search(seen) is not None
        self._tail = seen[-OVERLAP_BYTES:]


def ending_of(path: str, content_type: str) -> StreamEnding | None:
    """Return what looks for the end of a reply; None where it is no stream, or none whose end is known."""
    if content_type.partition(";")[0].strip().lower() != "text/event-stream":
        return None
    for tail, mark in _MARKS.items():
        if path.rstrip("/").endswith(tail):
            return StreamEnding(mark)
    return None
