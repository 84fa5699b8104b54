"""From the bytes of a reply to events: what kind of reply it is, and when it is over. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from missy.errors import BadReply, MissyError, TimedOut
from missy.providers.payload import MAX_EVENT, is_marked, read_object, read_whole
from missy.providers.sniff import kind_of, label_of, other_kind
from missy.providers.sse import UNFRAMED, Decoder

if TYPE_CHECKING:
    from missy.errors import IncompleteError
    from missy.events import Event

_FIELDS = ("data", "event", "id", "retry", ":")  # what a line of an event stream begins with
MAX_LEADING_BLANK_BYTES = 64 << 10  # bytes of white space that are waited through
_MARKS = ("[DONE]", '"[DONE]"', "'[DONE]'")
_ALIVE = ("ping", "keepalive", "keep-alive", "heartbeat")  # names of events that say no more than that


class EventParser(Protocol):
    """One wire format's reading of one reply. Pure. `tolerant`: data that is no JSON object is passed over."""

    tolerant: bool

    def event(self, name: str, data: dict[str, Any]) -> list[Event]:
        """Take one event of a stream. Raises ProviderError for an error inside the stream."""

    def parse_complete(self, data: dict[str, Any]) -> list[Event]:
        """Take a reply that came whole, as JSON."""

    failure: MissyError | None  # an error that stands beside a part of the answer: `end` raises it

    @property
    def finished(self) -> bool:
        """Tell whether the reply said that it is complete."""

    @property
    def settled(self) -> bool:
        """Tell whether nothing of the answer is to be waited for any more, only what may stand after it."""

    @property
    def stands_cut(self) -> bool:
        """Tell whether the reply is over even where its connection broke."""

    @property
    def text_seen(self) -> bool:
        """Tell whether anything of the answer has been given out."""

    @property
    def progress(self) -> int:
        """Return how much of an answer has come: it grows with each piece of text, of thinking, or of a call."""

    def done(self) -> None:
        """Take the end marker of the stream (`[DONE]`)."""

    def incomplete(self, what: str, hint: str) -> IncompleteError:
        """Return the error for an answer that is not whole, with what is known of it."""

    def flush(self) -> list[Event]:
        """Give out what was held back, once no more comes."""

    def end(self) -> list[Event]:
        """End the reply. Raises IncompleteError or BadReply where it is not a whole answer."""


class ResponseReader:
    """Reads one reply with status 200: an event stream, one JSON object, or something that is no answer.

    Its first bytes tell which, whatever the label says.
    """

    def __init__(self, content_type: str, parser: EventParser) -> None:
        self._parser = parser
        self._sse = Decoder()
        self._label = label_of(content_type)
        self._kind = ""
        self._head = b""  # what came before the kind was known
        self._body = bytearray()  # of a whole reply, and of a stream that may be something else
        self.finished_reading = False  # the end marker has come: the rest is of no interest
        self._heard = False  # an event has come
        self._answered = False  # an event has come that is a JSON object
        self._failure: MissyError | None = None

    def feed(self, chunk: bytes) -> tuple[list[Event], bool]:
        """Take bytes; return the events in them, and whether they held a sign of life of the model. Raises ProviderError."""
        if not self._kind:
            self._head += chunk
            self._kind = kind_of(self._head, self._label)
            if not self._kind and len(self._head) > MAX_LEADING_BLANK_BYTES:
                raise BadReply("the reply is nothing but white space")
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
                if not mark:  # a keep-alive in the clothes of an event
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
                # what came before it in these bytes is given out first
                self._failure, self.finished_reading = error, True
            if self._parser.failure is not None:
                self.finished_reading = True
            if self.finished_reading:
                break
        if self._sse.unframed and not self.finished_reading:
            self._refuse_unframed(events, self._sse.rest())
        return events, heard

    def _refuse_unframed(self, events: list[Event], rest: str | bytes) -> None:
        """Take a complaint that came between the events, as JSON without a field name."""
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
        """Read one event. What is no JSON object says nothing; what is a broken one has lost a piece of the answer."""
        try:
            value = read_object(data)
        except BadReply:
            if name == "error":  # a complaint in plain text is one all the same
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
        """Take the end of the bytes, which `error` cut short if it is not None; return the events still held back."""
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
        """A stream without a piece of an answer: nothing at all, or something else under a wrong label."""
        kind = other_kind(bytes(self._body[:MAX_LEADING_BLANK_BYTES]))
        if kind == "html":
            raise not_an_api()
        if kind == "json":
            return self._whole()
        if self._heard:  # the end marker alone
            return self._parser.flush()
        words = self._body.decode("utf-8", "replace").strip()
        if words and not any(line.lstrip().startswith(_FIELDS) for line in words.splitlines()):
            return self._parser.event("error", {"error": words})
        if b"data" in self._body and b"{" in self._body:
            raise BadReply("the stream ended within its first event", hint="ask again")
        raise BadReply(
            "the endpoint answered with an empty stream",
            hint="ask again; if it stays so, try a shorter prompt",
        )

    def end(self, error: MissyError | None) -> list[Event]:
        """Return the last events of a whole answer. Raises what is wrong with any other."""
        if self._failure is not None:
            raise self._failure
        if error is not None and not self._parser.stands_cut:
            raise self._cut(error)
        return self._parser.end()

    def _cut(self, error: MissyError) -> MissyError:
        """Say how a broken reply counts: cut off if something of the answer was given out, else as what broke it."""
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
    """Return the error for a web page where an answer should be."""
    return BadReply(
        "the reply is a web page, not an answer: a login page of the network, or a wrong base_url",
        hint="open the base_url in a browser; most endpoints end in /v1",
    )
