"""Limits of time and size: the clock of one call, bounded decompression, bounded JSON. Pure except for the clock."""

from __future__ import annotations

import json
import re
import zlib
from time import monotonic
from typing import Any

from jiter import from_json

from missy.errors import BadReply, TimedOut

MAX_BODY = 4 << 20  # bytes of a response that is read completely
MAX_STREAM = 1 << 30  # bytes of a streamed response
MAX_ERROR = 1 << 20  # bytes of a response with an error status
PATIENCE_RATIO = 10  # the default of `patience`, as a multiple of `timeout`
MAX_STEP_BYTES = 64 << 10  # bytes that one step of decompression may produce
MAX_UNPACKED_BYTES = 16 << 20  # bytes that one piece of a response may decompress to
MAX_JSON_MARKS = (
    300_000  # commas in one JSON text; a bracket counts as four of them, as it costs as much memory
)

# A string of JSON; one that does not end is taken to the end of the text, so that this is linear.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STRING_BYTES = re.compile(_STRING.pattern.encode(), re.DOTALL)


def read_json(data: bytes | bytearray | str) -> Any:
    """Parse JSON from a server. Raises ValueError or RecursionError for invalid JSON and for too many values.

    Parsed values take up to thirty times the memory of their text (`[],[],[]`), so limiting the text's length is not
    enough.
    """
    if len(data) < MAX_JSON_MARKS // 4:  # too short to hold too many
        try:
            return from_json(data.encode() if isinstance(data, str) else bytes(data))
        except ValueError:  # the standard library decides what is valid JSON
            return json.loads(data)
    if _marks(data) > MAX_JSON_MARKS and _marks(_without_strings(data)) > MAX_JSON_MARKS:
        raise ValueError("too many values")
    if isinstance(data, bytes):  # the standard library would decode all of it to a string first
        try:
            return from_json(data)
        except ValueError:
            pass
    return json.loads(data)


def _marks(data: bytes | bytearray | str) -> int:
    """Return an upper limit of the number of values, where a list or an object counts as four."""
    marks = (b"[", b"{", b",") if not isinstance(data, str) else ("[", "{", ",")
    lists, objects, commas = (data.count(mark) for mark in marks)  # type: ignore[arg-type]
    return 4 * (lists + objects) + commas


def _without_strings(data: bytes | bytearray | str) -> bytes | str:
    """Return JSON with its strings emptied: what is in them is text, and makes no values."""
    return _STRING.sub("", data) if isinstance(data, str) else _STRING_BYTES.sub(b"", data)


class Clock:
    """The clock of one call: `timeout` (idle timeout), `patience` (time without progress) and `deadline` (total) in seconds.

    `reset_idle()` is called for progress: a connection, a piece of the answer. `alive()` is called for bytes that only
    show that the endpoint is alive, such as comments and empty events: they reset the idle timeout, not `patience`.
    """

    __slots__ = ("_brief", "_due", "_ends", "_lively", "_until", "deadline", "patience", "timeout")

    def __init__(self, timeout: float, deadline: float | None = None, patience: float | None = None) -> None:
        self.timeout: float = timeout
        self.deadline: float | None = deadline
        self.patience: float = patience if patience is not None else PATIENCE_RATIO * timeout
        self._ends = monotonic() + deadline if deadline is not None else None
        self.reset_idle()

    def reset_idle(self, at_most: float | None = None) -> None:
        """Reset the idle timeout and `patience` after progress; the idle timeout is at most `at_most` seconds."""
        now = monotonic()
        self._brief = at_most is not None
        self._lively = False
        self._until = now + (self.timeout if at_most is None else min(self.timeout, at_most))
        self._due = now + self.patience

    def alive(self) -> None:
        """Reset the idle timeout without progress. A time that was set with `at_most` is not extended."""
        if not self._brief:
            self._until = monotonic() + self.timeout
            self._lively = True

    def finish(self, at_most: float) -> None:
        """Limit what follows an answer to `at_most` seconds, once."""
        if not self._brief:
            self.reset_idle(at_most)

    def pause(self) -> float:
        """Pause the idle timeout while the consumer of an answer is busy. Returns the time, for `resume`."""
        return monotonic()

    def resume(self, paused: float) -> None:
        """Continue with the time that was left at `pause`; the deadline was not paused."""
        waited = monotonic() - paused
        self._until += waited
        self._due += waited

    def remaining(self) -> float:
        """Return the seconds left, more than 0. Raises TimedOut if there are none."""
        ends = min(self._until, self._due)
        left = (ends if self._ends is None else min(ends, self._ends)) - monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def total_remaining(self) -> float | None:
        """Return the seconds left to the deadline, or None without one."""
        return None if self._ends is None else max(0.0, self._ends - monotonic())

    def expired(self) -> TimedOut:
        """Return the error for the limit that was reached first."""
        if self._ends is not None and self._ends <= min(self._until, self._due):
            return TimedOut(
                f"not done within the deadline of {self.deadline:g} s", hint="raise deadline, or ask for less"
            )
        if self._due <= self._until:
            shows = "the endpoint is alive, but " if self._lively else ""
            return TimedOut(
                f"{shows}no part of an answer came for {self.patience:g} s",
                hint=f"raise patience in the entry (its default is {PATIENCE_RATIO} times timeout)"
                " if the model thinks longer",
            )
        return TimedOut(
            f"nothing came for {self.timeout:g} s", hint="raise timeout (or --timeout) if the model is slow"
        )


class Inflate:
    """Decompresses gzip and deflate in small steps, so that a decompression bomb is stopped before it takes memory."""

    def __init__(self, encoding: str) -> None:
        window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding.strip().lower())
        self._encoding = encoding
        self._stream = zlib.decompressobj(window) if window else None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the decompressed pieces, each of at most 64 KiB. Raises BadReply for a corrupt stream."""
        pieces: list[bytes] = []
        if self._stream is None:
            raise BadReply(f"the reply is compressed as {self._encoding[:40]!r}, which was not requested")
        try:
            if self._stream.eof and data:  # zlib would keep all of it
                raise BadReply("the reply goes on after the end of its compressed data")
            while data:
                pieces.append(self._stream.decompress(data, MAX_STEP_BYTES))
                data = self._stream.unconsumed_tail
                if len(pieces) * MAX_STEP_BYTES > MAX_UNPACKED_BYTES:
                    raise BadReply(
                        f"one piece of the reply unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB"
                    )
        except zlib.error as error:
            raise BadReply(f"the reply's compression is broken: {error}") from error
        return pieces
