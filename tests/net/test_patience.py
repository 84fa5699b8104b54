"""Life and progress: what shows that an endpoint lives holds a call, and only so long without a part of the answer."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from missy import IncompleteError, TimedOut
from tests.net.conftest import ask
from tests.servers import chat_chunk, sse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVERY = 0.4  # seconds between two signs of life
TIMEOUT = 1.6  # seconds of silence; five signs take longer than that
ANSWER = sse(chat_chunk("whole"), chat_chunk({}, "stop"), "[DONE]")
LIFE = {
    "comments": b": keep-alive\n\n",
    "empty events": b"data:\n\n",
    "pings": b"event: ping\ndata: {}\n\n",
    "empty deltas": sse(chat_chunk({"content": ""})),
    "roles": sse(chat_chunk({"role": "assistant"})),
    "a line by the byte": b"x",
}


def signs(piece: bytes, count: int, rest: bytes = b"\n\n" + ANSWER, head: bytes = HEAD, every: float = EVERY):
    """Send one sign after the other, and then the rest."""

    def talk(_request: Any, wire: Any) -> None:
        wire.send(head)
        for _ in range(count):
            wire.send(piece)
            threading.Event().wait(every)
        wire.send(rest)

    return talk


@pytest.mark.parametrize("name", LIFE)
def test_signs_of_life_hold_a_call_beyond_its_timeout(name, way, write_config, serve):
    """Whatever the sign: an endpoint that shows that it lives is waited for, and its answer is whole."""
    outcome = ask(way, write_config(serve(signs(LIFE[name], 6)).url, timeout=TIMEOUT, max_retries=0))
    assert (outcome.text, outcome.error) == ("whole", None)


@pytest.mark.parametrize("name", LIFE)
def test_signs_of_life_alone_end_at_the_patience(name, way, write_config, serve):
    """A drip does not last for ever; the message says that the endpoint lives, and which key to raise."""
    origin = serve(signs(LIFE[name], 40))
    outcome = ask(way, write_config(origin.url, timeout=TIMEOUT, patience=1, max_retries=2))
    assert isinstance(outcome.error, TimedOut), outcome.error
    assert "is alive" in outcome.error.message
    assert "for 1 s" in outcome.error.message
    assert "patience" in outcome.error.hint
    assert len(origin.requests) == 1


def test_patience_is_ten_times_the_timeout_unless_it_is_set(way, write_config, serve):
    """Which the message says, in seconds."""
    outcome = ask(way, write_config(serve(signs(b": x\n\n", 400, b"", every=0.05)).url, timeout=0.5))
    assert isinstance(outcome.error, TimedOut)
    assert "for 5 s" in outcome.error.message


def test_silence_is_told_as_silence(way, write_config, serve):
    """Without a sign it is the timeout that ends a call, and the timeout that the message names."""
    origin = serve(lambda _request, wire: wire.send(HEAD) or (wire.wait_closed() and None))
    outcome = ask(way, write_config(origin.url, timeout=0.3, patience=60))
    assert isinstance(outcome.error, TimedOut)
    assert "nothing came for 0.3 s" in outcome.error.message
    assert "timeout" in outcome.error.hint


PROGRESS = {
    "text": [chat_chunk("x")],
    "thinking": [chat_chunk({"reasoning_content": "hm"})],
    "a call": [chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": " "}}]})],
}


@pytest.mark.parametrize("name", PROGRESS)
def test_progress_begins_the_patience_anew(name, way, write_config, serve):
    """A piece of text, of thinking or of a call: what goes on is not cut short."""
    first = sse(
        chat_chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "now", "arguments": "{}"}}]})
    )
    rest = ANSWER if name != "a call" else sse(chat_chunk({}, "tool_calls"), "[DONE]")
    head = HEAD + (first if name == "a call" else b"")
    origin = serve(signs(sse(*PROGRESS[name]), 6, rest, head))
    outcome = ask(way, write_config(origin.url, timeout=TIMEOUT, patience=TIMEOUT))
    assert outcome.error is None, outcome.error


def test_life_without_progress_after_text_keeps_the_text(way, write_config, serve):
    """What had come is kept, the answer is incomplete, and what to raise is said."""
    origin = serve(signs(b": x\n\n", 40, b"", HEAD + sse(chat_chunk("half"))))
    outcome = ask(way, write_config(origin.url, timeout=TIMEOUT, patience=1))
    assert isinstance(outcome.error, IncompleteError)
    assert outcome.text == "half"
    assert "patience" in outcome.error.hint


def test_a_longer_timeout_of_a_call_is_not_cut_off_by_the_patience_of_its_entry(way, write_config, serve):
    """Who asks for a longer silence means it."""
    path = write_config(serve(signs(b": x\n\n", 4)).url, timeout=0.5, patience=0.6)
    assert isinstance(ask(way, path).error, TimedOut)
    outcome = ask(way, path, timeout=30)
    assert (outcome.text, outcome.error) == ("whole", None)


def test_a_whole_reply_may_take_longer_than_a_silence(way, write_config, serve):
    """A JSON body that comes in pieces, or after white space, is alive."""
    body = json.dumps({"choices": [{"index": 0, "message": {"content": "whole"}, "finish_reason": "stop"}]})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    origin = serve(signs(b"\n", 6, body.encode(), head))
    outcome = ask(way, write_config(origin.url, timeout=TIMEOUT))
    assert (outcome.text, outcome.error) == ("whole", None)
