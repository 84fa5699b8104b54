"""Slowness: whatever drips, an answer ends at its timeout or its deadline, and a steady one is not cut short."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable

import pytest

from missy import IncompleteError, LimitError, MissyError, ProviderError, TimedOut
from tests.net.conftest import ask
from tests.servers import chat_answer, chat_chunk, chat_error, response, sse
from tests.servers.listener import Listener

pytestmark = pytest.mark.slow

TIMEOUT = 0.5  # seconds of silence that these answers may keep
EVERY = 0.07  # seconds between two bytes of a drip
SLACK = 30.0  # seconds: what a busy machine may add; a drip that is not stopped takes more than a minute
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FINISH = sse(chat_chunk({}, "stop"))


def drip(head: bytes, piece: bytes, count: int = 1000, every: float = EVERY):
    """Send the head at once, and then one piece after the other."""

    def talk(_request, wire) -> None:
        wire.send(head)
        for _ in range(count):
            wire.send(piece)
            if threading.Event().wait(every):
                return

    return talk


def timed(way, path, **wishes):
    started = time.monotonic()
    outcome = ask(way, path, **wishes)
    return outcome, time.monotonic() - started


SILENT = {
    "a header at a time": drip(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n"),
    "the status line by the byte": drip(b"HTTP/1.1 200 ", b"O"),
    "endless 100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless 103 Early Hints, fast": drip(
        b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 50, 200_000, 0.0005
    ),
    "comments": drip(HEAD, b": ping\n\n"),
    "keep-alive events without data": drip(HEAD, b"data:\n\n"),
    "ids and retries": drip(HEAD, b"id: 1\nretry: 1\n\n"),
    "a line by the byte": drip(HEAD, b"d"),
    "an event without its end": drip(HEAD, b"data: x\n"),
    "a chunk extension": drip(CHUNKED, b"1;name=value"),
    "a chunk by the byte": drip(CHUNKED + b"fffff\r\n", b"x"),
    "white space of unknown kind": drip(HEAD.replace(b"text/event-stream", b"text/plain"), b" "),
    "a JSON body by the byte": drip(HEAD.replace(b"text/event-stream", b"application/json"), b" "),
    "an error body by the byte": drip(b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n", b"e"),
    "nothing at all": lambda _request, wire: wire.wait_closed() and None,
}


@pytest.mark.parametrize("name", SILENT)
def test_a_drip_is_silence(name, way, write_config, serve):
    """Bytes that are no part of an answer do not hold a call: it ends at the timeout or the patience, exit 5."""
    origin = serve(SILENT[name])
    outcome, took = timed(way, write_config(origin.url, timeout=0.4, patience=0.6, max_retries=2))
    assert isinstance(outcome.error, TimedOut), outcome.error
    assert 0.38 <= took < 0.4 + SLACK
    assert len(origin.requests) == 1


@pytest.mark.parametrize("piece", [b": ping\n\n", b"", b"id: 1\n\n"], ids=["comments", "nothing", "ids"])
def test_silence_after_text_keeps_the_text(piece, way, write_config, serve):
    """What had come is kept, and the answer is incomplete: exit 6."""
    origin = serve(drip(HEAD + sse(chat_chunk("half an ans")), piece))
    outcome, took = timed(way, write_config(origin.url, timeout=TIMEOUT, patience=0.8))
    assert isinstance(outcome.error, IncompleteError)
    assert outcome.text == "half an ans"
    assert took < TIMEOUT + SLACK


def test_a_finished_answer_does_not_wait_for_the_connection_to_end(way, write_config, serve):
    """After the finish reason a server may dawdle: the answer is whole, and given out."""
    origin = serve(drip(HEAD + sse(chat_chunk("whole")) + FINISH, b": ping\n\n"))
    outcome, took = timed(way, write_config(origin.url, timeout=TIMEOUT))
    assert (outcome.text, outcome.error) == ("whole", None)
    assert took < TIMEOUT + SLACK


def test_after_the_end_marker_nothing_is_waited_for(way, write_config, serve):
    """[DONE] ends an answer at once, however long the server keeps the connection."""
    origin = serve(drip(HEAD + sse(chat_chunk("whole")) + FINISH + sse("[DONE]"), b": ping\n\n"))
    outcome, took = timed(way, write_config(origin.url, timeout=60))
    assert (outcome.text, outcome.error) == ("whole", None)
    assert took < SLACK


def test_an_answer_that_never_ends_ends_at_the_deadline(way, write_config, serve):
    """Lively or not, the deadline is for the whole; what had come is kept."""
    origin = serve(drip(HEAD, sse(chat_chunk("x"))))
    outcome, took = timed(way, write_config(origin.url, timeout=60, deadline=0.8))
    assert isinstance(outcome.error, IncompleteError)
    assert "deadline" in outcome.error.message
    assert set(outcome.text) == {"x"}
    assert 0.7 < took < 0.8 + SLACK


def test_a_slow_answer_that_goes_on_is_not_cut_short(way, write_config, serve):
    """The timeout is for silence: an answer that takes longer, an event at a time, is whole."""

    def talk(_request, wire) -> None:
        wire.send(HEAD)
        for _ in range(10):
            wire.send(sse(chat_chunk("x")))
            threading.Event().wait(0.25)
        wire.send(FINISH)

    outcome, took = timed(way, write_config(serve(talk).url, timeout=2))
    assert (outcome.text, outcome.error) == ("x" * 10, None)
    assert took > 2.1


class Reader:
    """A server that reads the request in pieces, with a pause before each, and then answers."""

    def __init__(self, pauses: Iterable[float]) -> None:
        self._pauses = pauses
        self._stop = threading.Event()
        self._listener = Listener(self._talk)
        self.url = f"http://127.0.0.1:{self._listener.port}/v1"

    def close(self) -> None:
        self._stop.set()
        self._listener.close()

    def _talk(self, sock: socket.socket, _number: int) -> None:
        try:
            with sock:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += sock.recv(4096)
                head, _, rest = head.partition(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                left, pauses = length - len(rest), iter(self._pauses)
                while left > 0 and not self._stop.wait(next(pauses, 0.0)):
                    left -= len(sock.recv(min(left, 1 << 19)))
                sock.sendall(chat_answer("read it all"))
                self._stop.wait(5)
        except OSError:
            pass


@pytest.fixture
def read_slowly():
    readers: list[Reader] = []

    def start(pauses: Iterable[float]) -> Reader:
        readers.append(Reader(pauses))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


def test_a_long_prompt_on_a_slow_line_is_no_silence(way, write_config, read_slowly):
    """A server that takes its time to read, but does read, is waited for beyond the timeout."""
    server = read_slowly([0.2] * 12)
    outcome, took = timed(way, write_config(server.url, timeout=2), prompt="x" * (12 << 20))
    assert (outcome.text, outcome.error) == ("read it all", None)
    assert took > 2.1


def test_a_server_that_stops_reading_ends_at_the_timeout(way, write_config, read_slowly):
    """A request that cannot be sent on is silence too."""
    server = read_slowly([90.0])
    outcome, took = timed(way, write_config(server.url, timeout=TIMEOUT), prompt="x" * (12 << 20))
    assert isinstance(outcome.error, TimedOut)
    assert took < TIMEOUT + SLACK


def test_the_deadline_holds_while_the_request_is_sent(way, write_config, read_slowly):
    """A server that reads for ever does not hold a call beyond its deadline."""
    server = read_slowly([0.2] * 400)
    outcome, took = timed(way, write_config(server.url, timeout=60, deadline=0.8), prompt="x" * (40 << 20))
    assert isinstance(outcome.error, TimedOut)
    assert took < 0.8 + SLACK


def test_a_connection_that_is_never_accepted_ends_at_the_timeout(way, write_config):
    """A full backlog: neither refused nor accepted."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            outcome, took = timed(way, write_config(f"http://127.0.0.1:{port}/v1", timeout=TIMEOUT))
            assert isinstance(outcome.error, TimedOut)
            assert took < TIMEOUT + SLACK
        finally:
            for filler in fillers:
                filler.close()


def test_a_tls_handshake_that_is_never_answered_ends_at_the_timeout(way, write_config, serve):
    """A port that accepts and says nothing is silence."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        outcome, took = timed(way, write_config(url, timeout=TIMEOUT))
    assert isinstance(outcome.error, TimedOut)
    assert took < TIMEOUT + SLACK


@pytest.mark.parametrize(
    "header",
    [
        ("Retry-After", "31536000"),
        ("retry-after-ms", "31536000000"),
        ("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_year_is_not_waited_for(header, status, way, write_config, serve):
    """A Retry-After beyond what the user would wait is told at once, not slept through."""
    origin = serve(chat_error(status, "later", header))
    outcome, took = timed(way, write_config(origin.url, timeout=2, max_retries=5))
    assert isinstance(outcome.error, ProviderError)
    assert took < SLACK
    assert len(origin.requests) == 1


def test_429_for_ever_ends(way, write_config, serve):
    """Retries are counted, and the limit is what is told."""
    origin = serve(chat_error(429, "slow down"))
    outcome, took = timed(way, write_config(origin.url, timeout=60, max_retries=2))
    assert isinstance(outcome.error, LimitError)
    assert len(origin.requests) == 3
    assert took < SLACK


def test_errors_for_ever_end_before_the_deadline(way, write_config, serve):
    """No number of retries goes beyond the deadline."""
    origin = serve(response(503))
    outcome, took = timed(way, write_config(origin.url, timeout=60, deadline=0.8, max_retries=100))
    assert isinstance(outcome.error, MissyError)
    assert took < 0.8 + SLACK
