"""From the bytes of a response to events: its kind, its events, and its end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from missy.errors import BadReply, MissyError, TimedOut
from missy.providers.payload import MAX_EVENT, is_marked, read_object, read_whole
from missy.providers.sniff import kind_of, label_of, other_kind
from missy.providers.sse import UNFRAMED, Decoder

if TYPE_CHECKING:
    from missy.errors import IncompleteError
    from missy.events import Event

_FIELDS = ("data", "event", "id", "retry", ":")  # the beginnings of lines in an event stream
MAX_LEADING_BLANK_BYTES = 64 << 10  # bytes of leading white space that are skipped
_MARKS = ("[DONE]", '"[DONE]"', "'[DONE]'")
_ALIVE = ("ping", "keepalive", "keep-alive", "heartbeat")  # names of keep-alive events


class EventParser(Protocol):
    """The parser of one API format for one response. Pure. `tolerant`: data that is not a JSON object is ignored."""

    tolerant: bool

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Parse one event of a stream. Raises ProviderError for an error inside the stream."""

    def parse_complete(self, data: dict[str, Any]) -> list[Event]:
        """Parse a complete response, one JSON object."""

    failure: MissyError | None  # an error received together with a part of the answer: `end` raises it

    @property
    def finished(self) -> bool:
        """Tell whether the response has declared its end."""

    @property
    def settled(self) -> bool:
        """Tell whether the answer itself is complete; usage and the end marker may follow."""

    @property
    def stands_cut(self) -> bool:
        """Tell whether the answer is complete even if the connection broke now."""

    @property
    def text_seen(self) -> bool:
        """Tell whether any part of the answer was output."""

    @property
    def progress(self) -> int:
        """Return the amount of the answer received: it grows with each piece of text, of thinking, or of a call."""

    def done(self) -> None:
        """Handle the end marker of the stream (`[DONE]`)."""

    def incomplete(self, what: str, hint: str) -> IncompleteError:
        """Return the error for an incomplete answer, with its finish reason, model and id."""

    def flush(self) -> list[Event]:
        """Output buffered text at the end."""

    def end(self) -> list[Event]:
        """Finish the answer. Raises IncompleteError or BadReply if it is not complete."""


class ResponseReader:
    """Reads one response with status 200: an event stream, one JSON object, or something else.

    Its first bytes decide, whatever the Content-Type is.
    """

    def __init__(self, content_type: str, parser: EventParser) -> None:
        self._parser = parser
        self._sse = Decoder()
        self._label = label_of(content_type)
        self._kind = ""
        self._head = b""  # bytes received before the kind was known
        self._body = bytearray()  # the bytes of a JSON response, or of a stream that may be something else
        self.finished_reading: bool = False  # the end marker has come: the rest is ignored
        self._heard = False  # an event has come
        self._answered = False  # an event with a JSON object has come
        self._failure: MissyError | None = None

    def feed(self, chunk: bytes) -> tuple[list[Event], bool]:
        """Parse bytes; return their events, and whether they show that the endpoint is alive. Raises ProviderError."""
        if not self._kind:
            self._head += chunk
            self._kind = kind_of(self._head, self._label)
            if not self._kind and len(self._head) > MAX_LEADING_BLANK_BYTES:
                raise BadReply("the reply is only white space")
            if not self._kind:
                return [], False
            chunk, self._head = self._head, b""
        if self._kind == "html":
            raise not_an_api()
        if self._kind == "json":
            self._body += chunk
            if len(self._body) > MAX_EVENT:
                raise BadReply(f"the reply is longer than {MAX_EVENT >> 20} MiB")
            self.finished_reading = is_marked(self._body)
            return [], self.finished_reading
        if not self._answered and (
            len(self._body) < MAX_LEADING_BLANK_BYTES
            or other_kind(bytes(self._body[:MAX_LEADING_BLANK_BYTES])) == "json"
        ):
            self._body += chunk
        return self._events(chunk)

    def _events(self, chunk: bytes) -> tuple[list[Event], bool]:
        events: list[Event] = []
        heard = False
        for name, data in self._sse.feed(chunk):
            if name == UNFRAMED:
                self._refuse_unframed(events, data)
                if self.finished_reading:
                    break
                continue
            if not isinstance(data, bytes) and not data.startswith("{"):
                mark = data.strip()
                if not mark:  # a keep-alive sent as an event
                    continue
                if mark.upper() in _MARKS:
                    self.finished_reading = heard = self._heard = True
                    self._parser.done()
                    break
            heard = True
            try:
                events += self._event(name, data)
            except MissyError as error:
                if not events:
                    raise
                # output the events before it in these bytes first
                self._failure, self.finished_reading = error, True
            if self._parser.failure is not None:
                self.finished_reading = True
            if self.finished_reading:
                break
        if self._sse.unframed and not self.finished_reading:
            self._refuse_unframed(events, self._sse.rest())
        return events, heard

    def _refuse_unframed(self, events: list[Event], rest: str | bytes) -> None:
        """Handle an error sent between the events, as JSON without a field name."""
        error = self._unframed(rest)
        if error is not None and not events:
            raise error
        if error is not None:
            self._failure, self.finished_reading = error, True

    def _unframed(self, rest: str | bytes) -> MissyError | None:
        from missy.net.error_body import complains

        try:
            value = read_object(rest)
            if complains(value):
                self._parser.event("error", value)
        except BadReply:
            return None
        except MissyError as error:
            return error
        return None

    def _event(self, name: str, data: str | bytes) -> list[Event]:
        """Parse one event. Data that is not a JSON object is ignored; a broken object means a lost piece of the answer."""
        try:
            value = read_object(data)
        except BadReply:
            if name == "error":  # an error in plain text counts too
                return self._parser.event(name, {"error": data if isinstance(data, str) else "too long"})
            broken = isinstance(data, bytes) or data.lstrip().startswith("{")
            if broken and not (self._parser.tolerant or self._parser.finished or name.lower() in _ALIVE):
                raise
            return []
        self._heard = self._answered = True
        if self._body:
            self._body = bytearray()
        return self._parser.event(name, value)

    def flush(self, error: MissyError | None) -> list[Event]:
        """Handle the end of the bytes (`error` if the connection failed); return the buffered events."""
        if error is None and self._kind != "stream":
            if self._label == "html" and not self._kind:
                raise not_an_api()
            return self._whole()
        if error is None and not self._answered:
            return self._unanswered()
        if not self._parser.finished and self._failure is None:
            self._failure = self._unframed(self._sse.rest())
        return self._parser.flush()

    def _whole(self) -> list[Event]:
        body, self._body = bytes(self._body or self._head), bytearray()
        return self._parser.parse_complete(read_whole(body)) + self._parser.flush()

    def _unanswered(self) -> list[Event]:
        """Return the error for a stream without any part of an answer: empty, or of another format."""
        kind = other_kind(bytes(self._body[:MAX_LEADING_BLANK_BYTES]))
        if kind == "html":
            raise not_an_api()
        if kind == "json":
            return self._whole()
        if self._heard:  # only the end marker
            return self._parser.flush()
        words = self._body.decode("utf-8", "replace").strip()
        if words and not any(line.lstrip().startswith(_FIELDS) for line in words.splitlines()):
            return self._parser.event("error", {"error": words})
        if b"data" in self._body and b"{" in self._body:
            raise BadReply("the stream ended within its first event", hint="ask again")
        raise BadReply(
            "the endpoint answered with an empty stream",
            hint="ask again; if it happens again, try a shorter prompt",
        )

    def end(self, error: MissyError | None) -> list[Event]:
        """Return the last events of a complete answer. Raises an error for an incomplete one."""
        if self._failure is not None:
            raise self._failure
        if error is not None and not self._parser.stands_cut:
            raise self._cut(error)
        return self._parser.end()

    def _cut(self, error: MissyError) -> MissyError:
        """Return the error for a failed response: an incomplete answer if a part of it was output, else the cause."""
        if not self._parser.text_seen or error.exit_code != 5:
            return error
        stopped = isinstance(error, TimedOut)
        why, hint = (
            ("it stopped coming", f"ask again; {error.hint}")
            if stopped
            else ("the connection broke", "ask again")
        )
        return self._parser.incomplete(f"is cut off: {why} ({error.message})", hint)


def not_an_api() -> BadReply:
    """Return the error for a web page instead of an answer."""
    return BadReply(
        "the reply is a web page, not an answer: a login page of the network, or a wrong base_url",
        hint="open the base_url in a browser; most endpoints end in /v1",
    )
