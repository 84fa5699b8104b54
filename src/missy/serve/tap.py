"""Reads a stream on its way to the caller: its usage, what came of the answer, and whether its end came. Pure.

Whole events go out, in the order they came in. The end marker does not: whoever passes the stream on writes it once
the answer is known to be complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, IncompleteError
from missy.net.error_body import complains
from missy.providers import faults
from missy.providers.counts import chat_usage, place_number
from missy.providers.finish_reasons import reason_of
from missy.providers.payload import read_object
from missy.providers.sse import UNFRAMED, Decoder
from missy.serve.complaints import complaint_of

if TYPE_CHECKING:
    from missy.errors import MissyError
    from missy.events import Usage

END = b"data: [DONE]\n\n"
ALIVE = b": alive\n\n"
_MARKS = ("[DONE]", '"[DONE]"', "'[DONE]'")
_PARTS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio")


class StreamTap:
    """One stream. `usage` is the last that came; `output_bytes` is how much of the answers came."""

    def __init__(self, *, host: str, model: str, wants_usage: bool) -> None:
        self._decoder = Decoder()
        self._host = host
        self._model = model
        self._wants_usage = wants_usage
        self._ended: dict[int, bool] = {}  # by the index of a choice
        self._went_on = False
        self.marked: bool = False
        self.usage: Usage | None = None
        self.output_bytes: int = 0
        self.answered_model: str | None = None
        self.failure: MissyError | None = None

    @property
    def whole(self) -> bool:
        """Whether every answer in the stream is complete."""
        ended = bool(self._ended) and all(self._ended.values()) and not self._went_on
        return self.failure is None and (self.marked or ended)

    @property
    def started(self) -> bool:
        """Whether any part of an answer came."""
        return bool(self._ended)

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes; return what is to be passed on. After an error inside the stream, `failure` is set."""
        out: list[bytes] = []
        try:
            for name, data in self._decoder.feed(chunk):
                if self.marked or self.failure is not None:
                    break
                passed = self._event(name, data)
                if passed is not None:
                    out.append(passed)
        except BadReply as error:
            self.failure = error
        if self._decoder.unframed and self.failure is None and not self.marked:
            self.failure = self._unframed(self._decoder.rest())
        return b"".join(out)

    def _event(self, name: str, data: str | bytes) -> bytes | None:
        if name == UNFRAMED:
            self.failure = self._unframed(data)
            return None
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if not text.startswith("{"):
            mark = text.strip()
            self.marked = mark.upper() in _MARKS
            if name == "error" and mark:
                self.failure = self._told({"error": mark})
            return None
        value = read_object(text)
        complaint = complaint_of(name, value)
        if complaint is not None:
            self.failure = self._told(complaint)
            return None
        is_usage_alone = self._take(value)
        if is_usage_alone and not self._wants_usage:
            return None
        return b"data: " + b"\ndata: ".join(text.encode("utf-8", "replace").split(b"\n")) + b"\n\n"

    def _take(self, value: dict[str, Any]) -> bool:
        """Count one chunk. Returns whether it holds the usage and nothing of an answer."""
        usage = value.get("usage")
        if isinstance(usage, dict) and usage:
            self.usage = chat_usage(usage)
        model = value.get("model")
        if self.answered_model is None and isinstance(model, str):
            self.answered_model = model
        choices = value.get("choices")
        if not isinstance(choices, list) or not choices:
            return isinstance(usage, dict)
        for choice in choices:
            if isinstance(choice, dict):
                self._choice(choice)
        return False

    def _choice(self, choice: dict[str, Any]) -> None:
        index = place_number(choice.get("index")) or 0
        delta = choice.get("delta")
        size = 0
        for part in _PARTS:
            found = delta.get(part) if isinstance(delta, dict) else None
            if found:
                size += len(found.encode("utf-8", "replace")) if isinstance(found, str) else len(str(found))
        self.output_bytes += size
        before = self._ended.get(index, False)
        if size and before:
            self._went_on = True
        self._ended[index] = reason_of(choice) is not None or (before and not size)

    def _told(self, complaint: Any) -> MissyError:
        return faults.from_answer(complaint, host=self._host, request_id=None, model=self._model)

    def _unframed(self, rest: str | bytes) -> MissyError | None:
        try:
            value = read_object(rest)
        except BadReply:
            return None
        return self._told(value) if complains(value) else None

    def end(self, error: MissyError | None) -> MissyError | None:
        """Return why the stream is not complete, None if it is. `error` is what ended its bytes, if anything did."""
        if self.failure is not None:
            return self.failure
        if self.whole:
            return None
        if not self.started:
            self.failure = self._unframed(self._decoder.rest())
            return self.failure or error or BadReply("the endpoint sent no stream of an answer")
        why = error.message if error is not None else "the stream ended early"
        return IncompleteError(f"the answer is cut off: {why}", hint="ask again")
