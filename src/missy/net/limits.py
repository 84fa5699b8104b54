"""How long and how much: the clock of one call, and bounded ways through compression and JSON. Pure but for the clock."""

from __future__ import annotations

import json
import zlib
from time import monotonic
from typing import Any

from jiter import from_json

from missy.errors import BadReply, TimedOut

MAX_BODY = 4 << 20  # bytes of a reply that is read whole
MAX_STREAM = 1 << 30  # bytes of a streamed reply
MAX_ERROR = 1 << 20  # bytes of a reply with an error status
PATIENCE_RATIO = 10  # times `timeout`: the seconds without progress, where nothing else is said
MAX_STEP_BYTES = 64 << 10  # bytes that one step of decompression may make
MAX_UNPACKED_BYTES = 16 << 20  # bytes that one piece of a reply may unpack to
MAX_JSON_MARKS = (
    300_000  # commas in one JSON text; a bracket counts as four of them, as it costs as much memory
)


def read_json(data: bytes | bytearray | str) -> Any:
    """Parse JSON from outside. Raises ValueError or RecursionError for whatever is none, and for too many values.

    Parsed values take up to thirty times the room of their text (`[],[],[]`), so it is not the text's length alone that
    has to be bounded.
    """
    if len(data) < MAX_JSON_MARKS // 4:  # too short to hold too many
        try:
            return from_json(data.encode() if isinstance(data, str) else bytes(data))
        except ValueError:  # the standard library has the last word on what is JSON
            return json.loads(data)
    marks = (b"[", b"{", b",") if not isinstance(data, str) else ("[", "{", ",")
    lists, objects, commas = (data.count(mark) for mark in marks)  # type: ignore[arg-type]
    if 4 * (lists + objects) + commas > MAX_JSON_MARKS:
        raise ValueError("too many values")
    if isinstance(data, bytes):  # the standard library would make a text of all of it first
        try:
            return from_json(data)
        except ValueError:
            pass
    return json.loads(data)


class Clock:
    """The time that one call has left: `timeout` seconds of silence, `patience` without progress, `deadline` altogether.

    `restart()` is called for progress: a connection, a piece of the answer. `alive()` is called for bytes that show no
    more than that the endpoint lives, such as comments and empty events: they end a silence, and hold a call no longer
    than `patience`.
    """

    __slots__ = ("_brief", "_due", "_ends", "_lively", "_until", "deadline", "patience", "timeout")

    def __init__(self, timeout: float, deadline: float | None = None, patience: float | None = None) -> None:
        self.timeout = timeout
        self.deadline = deadline
        self.patience = patience if patience is not None else PATIENCE_RATIO * timeout
        self._ends = monotonic() + deadline if deadline is not None else None
        self.reset_idle()

    def reset_idle(self, at_most: float | None = None) -> None:
        """Begin anew after progress: a silence of `timeout` seconds, or of `at_most` if that is less."""
        now = monotonic()
        self._brief = at_most is not None
        self._lively = False
        self._until = now + (self.timeout if at_most is None else min(self.timeout, at_most))
        self._due = now + self.patience

    def alive(self) -> None:
        """Begin a new silence, without progress. Nothing prolongs a time that was set with `at_most`."""
        if not self._brief:
            self._until = monotonic() + self.timeout
            self._lively = True

    def finish(self, at_most: float) -> None:
        """Leave what follows an answer `at_most` seconds, once."""
        if not self._brief:
            self.reset_idle(at_most)

    def pause(self) -> float:
        """Return the moment, for `resume`: while the reader of an answer takes its time, nobody is silent."""
        return monotonic()

    def resume(self, paused: float) -> None:
        """Go on with what was left at `pause`; the deadline has not waited."""
        waited = monotonic() - paused
        self._until += waited
        self._due += waited

    def remaining(self) -> float:
        """Return the seconds left, more than 0. Raises TimedOut when there are none."""
        ends = min(self._until, self._due)
        left = (ends if self._ends is None else min(ends, self._ends)) - monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def total_remaining(self) -> float | None:
        """Return the seconds left to the deadline, or None without one."""
        return None if self._ends is None else max(0.0, self._ends - monotonic())

    def expired(self) -> TimedOut:
        """Return the error for a clock that has run out: by the bound that was reached first."""
        if self._ends is not None and self._ends <= min(self._until, self._due):
            return TimedOut(
                f"not done within the deadline of {self.deadline:g} s", hint="raise deadline, or ask for less"
            )
        if self._due <= self._until:
            shows = "the endpoint shows that it lives, but " if self._lively else ""
            return TimedOut(
                f"{shows}nothing of an answer came for {self.patience:g} s",
                hint=f"raise patience in the entry (its default is {PATIENCE_RATIO} times timeout)"
                " if the model thinks longer",
            )
        return TimedOut(
            f"nothing came for {self.timeout:g} s", hint="raise timeout (or --timeout) if the model is slow"
        )


class Inflate:
    """Decompresses gzip and deflate in small steps, so that a bomb costs no memory before the limit stops it."""

    def __init__(self, encoding: str) -> None:
        window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding.strip().lower())
        self._encoding = encoding
        self._stream = zlib.decompressobj(window) if window else None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the decompressed pieces, each of at most 64 KiB. Raises BadReply on a broken stream."""
        pieces: list[bytes] = []
        if self._stream is None:
            raise BadReply(f"the reply is compressed as {self._encoding[:40]!r}, which was not asked for")
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
