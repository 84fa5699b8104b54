"""The event stream format, to the letter of the EventSource specification (HTML, section 9.2.6). Bounded and pure.

It must never buffer more than one event, and never raise for bytes that a server may send.
"""

from __future__ import annotations

import re

from missy.errors import BadReply

MAX_EVENT = 2 << 20  # bytes of one event; the longest that any server sends is a small part of it
_MOST_UNFRAMED = 64 << 10  # bytes
_LINE_END = re.compile(rb"[\r\n]")  # one pass: two finds look at a flood of one of them again and again


class Decoder:
    """Bytes in, whole events out, as pairs of event name and data."""

    __slots__ = ("_buffer", "_data", "_event", "_scanned", "_start", "_swallow_lf", "unframed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer that hold no line end
        self._start = True
        self._swallow_lf = False
        self._event = ""
        self._data = bytearray()  # each line of it ends with LF, as in the specification
        self.unframed = (
            bytearray()
        )  # lines of JSON without a field name: a server that broke down in mid-stream

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """Take the next bytes and return the events that they complete. Raises BadReply over MAX_EVENT bytes."""
        if not (self._start or self._buffer or self._data or self._event or self._swallow_lf):
            plain = _plain(chunk)
            if plain is not None:
                return plain
        buffer = self._buffer
        buffer += chunk
        if self._start:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                return []
            self._start = False
            if buffer.startswith(b"\xef\xbb\xbf"):
                del buffer[:3]
        events: list[tuple[str, str]] = []
        at = 0
        if self._swallow_lf and buffer:
            at = 1 if buffer[0] == 10 else 0
            self._swallow_lf = False
        while True:
            end = self._line_end(max(at, self._scanned))
            if end < 0:
                break
            line = buffer[at:end]
            at = end + 1
            self._scanned = at
            if buffer[end] == 13:  # CR, which may be the first half of CRLF
                if at == len(buffer):
                    self._swallow_lf = True
                elif buffer[at] == 10:
                    at += 1
            self._line(line, events)
        del buffer[:at]
        self._scanned = len(buffer)
        if len(buffer) + len(self._data) > MAX_EVENT:
            raise BadReply(f"one event of the stream is longer than {MAX_EVENT >> 20} MiB")
        return events

    def rest(self) -> bytes:
        """Return the JSON that came without a field name, the line that has not ended included."""
        tail = bytes(self._buffer[:_MOST_UNFRAMED])
        starts = tail[:1] in (b"{", b"}", b"[") or bool(self.unframed)
        return bytes(self.unframed) + (tail if starts else b"")

    def _line_end(self, start: int) -> int:
        found = _LINE_END.search(self._buffer, start)
        return found.start() if found else -1

    def _line(self, line: bytearray, events: list[tuple[str, str]]) -> None:
        if not line:
            if self._data:
                events.append((self._event, self._data[:-1].decode("utf-8", "replace")))
            self._data = bytearray()
            self._event = ""
            return
        if line.startswith((b"{", b"}", b"[")) or (self.unframed and line.startswith((b" ", b"\t", b'"'))):
            if len(self.unframed) < _MOST_UNFRAMED:
                self.unframed += line + b"\n"
            return
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            del value[:1]
        if field == b"data":
            self._data += value + b"\n"
            if len(self._data) > MAX_EVENT:
                raise BadReply(f"one event of the stream is longer than {MAX_EVENT >> 20} MiB")
        elif field == b"event":
            self._event = value[:200].decode("utf-8", "replace")
        # comments (an empty field name), id, retry and unknown fields carry no event


def _plain(chunk: bytes) -> list[tuple[str, str]] | None:
    """Take the short way with what nearly every server sends: whole events of one `data: ` line each, ended by LF LF."""
    if not chunk.endswith(b"\n\n") or b"\r" in chunk or len(chunk) > MAX_EVENT:
        return None
    events = []
    for block in chunk[:-2].split(b"\n\n"):
        if not block.startswith(b"data: ") or b"\n" in block:
            return None
        events.append(("", block[6:].decode("utf-8", "replace")))
    return events
