"""From the bytes of a reply to events: what kind of reply it is, and when it is over. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, MissyError, TimedOut
from missy.net.limits import MAX_BODY, read_json
from missy.providers.sse import Decoder

if TYPE_CHECKING:
    from missy.events import Event
    from missy.providers.protocols import Wire

_FIELDS = ("data", "event", "id", "retry", ":")  # what a line of an event stream begins with
_MISLABELLED = 64 << 10  # bytes kept of a stream without events, to see what it really was


class Reply:
    """Reads one reply with status 200: an event stream, one JSON object, or something that is no answer."""

    def __init__(self, content_type: str, wire: Wire) -> None:
        self._wire = wire
        self._sse = Decoder()
        self._whole = bytearray()
        self._kind = self._label(content_type)
        self._head = b""
        self.over = False  # the end marker has come: the rest is of no interest
        self._heard = False
        self._failure: MissyError | None = None

    @staticmethod
    def _label(content_type: str) -> str:
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return "stream"
        if kind == "application/json" or kind.endswith("+json"):
            return "json"
        return "html" if kind in ("text/html", "application/xhtml+xml") else "unknown"

    def feed(self, chunk: bytes) -> tuple[list[Event], bool]:
        """Take bytes; return the events in them, and whether they held a sign of life of the model. Raises ProviderError."""
        if self._kind == "unknown":
            self._head += chunk
            self._kind = self._sniff(self._head)
            if self._kind == "unknown" and len(self._head) > _MISLABELLED:
                raise BadReply("the reply is nothing but white space")
            if self._kind == "unknown":
                return [], False
            chunk, self._head = self._head, b""
        if self._kind == "html":
            raise not_an_api()
        if self._kind == "json":
            self._whole += chunk
            if len(self._whole) > MAX_BODY:
                raise BadReply(f"the reply is longer than {MAX_BODY >> 20} MiB")
            return [], False
        if not self._heard and len(self._head) < _MISLABELLED:
            self._head += chunk
        return self._events(chunk)

    @staticmethod
    def _sniff(head: bytes) -> str:
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not text:
            return "unknown"
        return {b"{": "json", b"[": "json", b"<": "html"}.get(text[:1], "stream")

    def _events(self, chunk: bytes) -> tuple[list[Event], bool]:
        events: list[Event] = []
        heard = False
        for name, data in self._sse.feed(chunk):
            if not data.startswith("{"):
                mark = data.strip()
                if not mark:  # a keep-alive in the clothes of an event
                    continue
                if mark == "[DONE]":
                    self.over = heard = self._heard = True
                    self._wire.done()
                    break
            heard = self._heard = True
            try:
                events += self._event(name, data)
            except MissyError as error:
                if not events:
                    raise
                self._failure, self.over = (
                    error,
                    True,
                )  # what came before it in these bytes is given out first
                break
        if self._sse.unframed and not self.over:
            self._refuse_unframed(events)
        return events, heard

    def _refuse_unframed(self, events: list[Event]) -> None:
        """Take a complaint that came between the events, as JSON without a field name."""
        error = self._unframed()
        if error is not None and not events:
            raise error
        if error is not None:
            self._failure, self.over = error, True

    def _unframed(self) -> MissyError | None:
        from missy.net.error_body import complains

        try:
            value = _object(self._sse.rest())
            if complains(value):
                self._wire.event("error", value)
        except BadReply:
            return None
        except MissyError as error:
            return error
        return None

    def _event(self, name: str, data: str) -> list[Event]:
        try:
            value = _object(data)
        except BadReply:
            if name == "error":  # a complaint in plain text is one all the same
                return self._wire.event(name, {"error": data})
            if self._wire.tolerant:
                return []
            raise
        return self._wire.event(name, value)

    def flush(self, error: MissyError | None) -> list[Event]:
        """Take the end of the bytes, which `error` cut short if it is not None; return the events still held back."""
        if error is None and self._kind != "stream":
            return self._wire.whole(_object(self._whole or self._head)) + self._wire.flush()
        if error is None and not self._heard:
            return self._unheard()
        if not self._wire.finished and self._failure is None:
            self._failure = self._unframed()
        return self._wire.flush()

    def _unheard(self) -> list[Event]:
        """A stream without an event: nothing at all, or something else under a wrong label."""
        kind = self._sniff(self._head)
        if kind == "html":
            raise not_an_api()
        if kind == "json":
            return self._wire.whole(_object(self._head)) + self._wire.flush()
        words = self._head.decode("utf-8", "replace").strip()
        if words and not any(line.lstrip().startswith(_FIELDS) for line in words.splitlines()):
            return self._wire.event("error", {"error": words})
        raise BadReply(
            "the endpoint answered with an empty stream",
            hint="ask again; if it stays so, try a shorter prompt",
        )

    def end(self, error: MissyError | None) -> list[Event]:
        """Return the last events of a whole answer. Raises what is wrong with any other."""
        if self._failure is not None:
            raise self._failure
        if error is not None and not self._wire.finished:
            raise self._cut(error)
        return self._wire.end()

    def _cut(self, error: MissyError) -> MissyError:
        """Say how a broken reply counts: cut off if something of the answer was given out, else as what broke it."""
        if not self._wire.text_seen or error.exit_code != 5:
            return error
        stopped = isinstance(error, TimedOut)
        why, hint = (
            ("it stopped coming", f"ask again; {error.hint}")
            if stopped
            else ("the connection broke", "ask again")
        )
        return self._wire.incomplete(f"is cut off: {why} ({error.message})", hint)


def not_an_api() -> BadReply:
    """Return the error for a web page where an answer should be."""
    return BadReply(
        "the reply is a web page, not an answer: a login page of the network, or a wrong base_url",
        hint="open the base_url in a browser; most endpoints end in /v1",
    )


def _object(data: str | bytes | bytearray) -> dict[str, Any]:
    try:
        value = read_json(data)
    except (ValueError, RecursionError) as error:  # bad UTF-8, 5,000-digit integers and deep nesting too
        raise BadReply(f"the endpoint sent something that is not JSON ({type(error).__name__})") from None
    if isinstance(value, list) and len(value) == 1:  # Google's endpoint wraps its errors so
        value = value[0]
    if not isinstance(value, dict):
        raise BadReply("the endpoint sent JSON that is not an object")
    return value
