"""Parser of the event stream format, exactly by the EventSource specification (HTML, section 9.2.6). Bounded and pure.

It buffers at most one event, and accepts any bytes that a server may send.
"""

from __future__ import annotations

import re

from missy.errors import BadReply
from missy.providers.payload import LONG, MAX_EVENT

MAX_UNFRAMED_BYTES = 64 << 10  # bytes
UNFRAMED = "\n"  # no event can have this name
_LINE_END = re.compile(
    rb"[\r\n]"
)  # one pattern: two `find` calls would rescan a long run without one of the two


class Decoder:
    """Bytes in, whole events out, as pairs of event name and data; data longer than LONG stays bytes.

    JSON that stands between two events without a field name comes before the second, under the name UNFRAMED.
    """

    __slots__ = ("_buffer", "_data", "_event", "_scanned", "_start", "_swallow_lf", "_told", "unframed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer without a line end
        self._start = True
        self._swallow_lf = False
        self._event = ""
        self._data = bytearray()  # each data line ends with LF, as in the specification
        self.unframed: bytearray = (
            bytearray()
        )  # lines of JSON without a field name, from a server that failed in mid-stream
        self._told = 0  # bytes of them that an event has told

    def feed(self, chunk: bytes) -> list[tuple[str, str | bytes]]:
        """Parse the next bytes and return the events that they complete. Raises BadReply over MAX_EVENT bytes."""
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
        events: list[tuple[str, str | bytes]] = []
        at = 0
        if self._swallow_lf and buffer:
            at = 1 if buffer[0] == 10 else 0
            self._swallow_lf = False
        while True:
            end = self._line_end(max(at, self._scanned))
            if end < 0:
                break
            self._line(at, end, events)
            is_cr = buffer[end] == 13  # which may be the first half of CRLF
            at = end + 1
            if at > LONG:  # free the memory, which parsing the event will need
                del buffer[:at]
                at = 0
            self._scanned = at
            if is_cr:
                if at == len(buffer):
                    self._swallow_lf = True
                elif buffer[at] == 10:
                    at += 1
        del buffer[:at]
        self._scanned = len(buffer)
        if len(buffer) + len(self._data) > MAX_EVENT:
            raise BadReply(f"one event of the stream is longer than {MAX_EVENT >> 20} MiB")
        return events

    def rest(self) -> bytes:
        """Return the JSON that came without a field name, including an unfinished line."""
        tail = bytes(self._buffer[:MAX_UNFRAMED_BYTES])
        starts = tail[:1] in (b"{", b"}", b"[") or bool(self.unframed)
        return bytes(self.unframed) + (tail if starts else b"")

    def _line_end(self, start: int) -> int:
        found = _LINE_END.search(self._buffer, start)
        return found.start() if found else -1

    def _line(self, at: int, end: int, events: list[tuple[str, str | bytes]]) -> None:
        if at == end:
            if self._data:
                if len(self.unframed) > self._told:
                    self._told = len(self.unframed)
                    events.append((UNFRAMED, bytes(self.unframed)))
                del self._data[-1:]
                is_long = len(self._data) > LONG
                data = bytes(self._data) if is_long else self._data.decode("utf-8", "replace")
                events.append((self._event, data))
            self._data = bytearray()
            self._event = ""
            return
        buffer = self._buffer
        first = bytes(buffer[at : at + 1])
        if first in (b"{", b"}", b"[") or (self.unframed and first in (b" ", b"\t", b'"')):
            if len(self.unframed) < MAX_UNFRAMED_BYTES:
                self.unframed += buffer[at : min(end, at + MAX_UNFRAMED_BYTES)] + b"\n"
            return
        colon = buffer.find(b":", at, min(end, at + 6))
        field = buffer[at : colon if colon >= 0 else min(end, at + 6)]
        start = min(colon + 1, end) if colon >= 0 else end
        if buffer[start : start + 1] == b" " and start < end:
            start += 1
        if field == b"data":
            if len(self._data) + end - start > MAX_EVENT:
                raise BadReply(f"one event of the stream is longer than {MAX_EVENT >> 20} MiB")
            self._data += buffer[start:end] if end - start < LONG else _view(buffer, start, end)
            self._data += b"\n"
        elif field == b"event":
            self._event = buffer[start : min(end, start + 200)].decode("utf-8", "replace")
        # comments (an empty field name), id, retry and unknown fields carry no event


def _view(buffer: bytearray, start: int, end: int) -> memoryview:
    """Return a part of the buffer without copying it. It must be released before the buffer changes."""
    return memoryview(buffer)[start:end]


def _plain(chunk: bytes) -> list[tuple[str, str | bytes]] | None:
    """Fast path for what nearly every server sends: complete events of one `data: ` line each, ended by LF LF."""
    if not chunk.endswith(b"\n\n") or b"\r" in chunk or len(chunk) > LONG:
        return None
    events: list[tuple[str, str | bytes]] = []
    for block in chunk[:-2].split(b"\n\n"):
        if not block.startswith(b"data: ") or b"\n" in block:
            return None
        events.append(("", block[6:].decode("utf-8", "replace")))
    return events
