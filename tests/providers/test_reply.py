"""What a reply is, and when it is over: told from its bytes, in whatever chunks they come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.errors import BadReply, ConnectionFailed, IncompleteError, MissyError, PolicyError, TimedOut
from missy.events import Done, Text
from missy.providers.payload import MAX_EVENT
from missy.providers.reply import ResponseReader
from missy.providers.wire_chat import ChatReply
from tests.servers import chat_chunk, sse

STREAM = "text/event-stream"
HELLO = sse(chat_chunk("Hel"), chat_chunk("lo"), chat_chunk({}, "stop"), "[DONE]")
WHOLE = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
).encode()
CUT = ConnectionFailed("broke off")


def read(kind: str, *chunks: bytes, cut: MissyError | None = None) -> tuple[str, list[Any]]:
    """Read a reply to its end; return its text and its events."""
    reply = ResponseReader(kind, ChatReply(host="h", model="m"))
    events: list[Any] = []
    for chunk in chunks:
        if not reply.finished_reading:
            events += reply.feed(chunk)[0]
    events += reply.flush(cut)
    events += reply.end(cut)
    return "".join(event.text for event in events if isinstance(event, Text)), events


@pytest.mark.parametrize(
    "kind",
    [
        STREAM,
        "text/event-stream; charset=utf-8",
        "TEXT/EVENT-STREAM",
        "",
        "text/plain",
        "application/octet-stream",
    ],
)
def test_a_stream_is_known_by_its_label_or_its_bytes(kind):
    """Without a label, or with one that says nothing, the bytes say what it is."""
    text, events = read(kind, HELLO)
    assert text == "Hello"
    assert events[-1] == Done("stop", "m", None)


@pytest.mark.parametrize("kind", ["application/json", "application/problem+json", "", "text/plain", STREAM])
def test_a_whole_answer_is_known_by_its_label_or_its_bytes(kind):
    """JSON where a stream was asked for is an answer as well, under a wrong label too."""
    assert read(kind, WHOLE)[0] == "Hello"


@pytest.mark.parametrize(
    "kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "", STREAM, "text/plain"]
)
def test_a_web_page_is_never_an_answer(kind):
    """A captive portal is told as what it is, whatever it calls itself."""
    with pytest.raises(BadReply, match="web page"):
        read(kind, b"\n<!doctype html><title>Log in</title>")


@settings(max_examples=150)
@given(
    st.sampled_from([HELLO, b"\xef\xbb\xbf" + HELLO, b": hi\n\n" + HELLO, b"\r\n\n" + HELLO]),
    st.lists(st.integers(0, 500), max_size=6),
    st.sampled_from([STREAM, ""]),
)
def test_the_chunks_make_no_difference_to_a_stream(stream, places, kind):
    """Cut anywhere, with a BOM, comments or blank lines before it, the text is the same."""
    ends = sorted(place % (len(stream) + 1) for place in places)
    chunks = [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]
    assert read(kind, *chunks)[0] == "Hello"


@settings(max_examples=100)
@given(st.lists(st.integers(0, 500), max_size=6), st.sampled_from(["application/json", "", STREAM]))
def test_the_chunks_make_no_difference_to_a_whole_answer(places, kind):
    """The same for JSON."""
    ends = sorted(place % (len(WHOLE) + 1) for place in places)
    chunks = [WHOLE[start:end] for start, end in zip([0, *ends], [*ends, len(WHOLE)], strict=True)]
    assert read(kind, *chunks)[0] == "Hello"


def test_events_count_as_life_and_other_bytes_do_not():
    """Comments, empty events and half events are no sign of the model's."""
    reply = ResponseReader(STREAM, ChatReply(host="h", model="m"))
    assert [reply.feed(chunk)[1] for chunk in (b": x\n\n", b"data:\n\n", b"data: {", b"}", b"\n\n", b"id: 1\n\n")] == [
        False, False, False, False, True, False,
    ]  # fmt: skip


def test_after_the_end_marker_nothing_counts():
    """What follows [DONE] is not read, in the same chunk neither."""
    reply = ResponseReader(STREAM, ChatReply(host="h", model="m"))
    events, _ = reply.feed(HELLO + sse(chat_chunk("more"), "no json"))
    assert reply.finished_reading
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Hello"


@pytest.mark.parametrize(
    ("chunks", "cut", "kind", "code"),
    [
        ([], None, BadReply, 5),
        ([b": only comments\n\n"], None, BadReply, 5),
        ([], CUT, ConnectionFailed, 5),
        ([sse(chat_chunk("Hel"))], None, IncompleteError, 6),
        ([sse(chat_chunk("Hel"))], CUT, IncompleteError, 6),
        ([sse(chat_chunk("Hel"))], TimedOut("nothing came"), IncompleteError, 6),
        ([sse(chat_chunk("Hel"))], PolicyError("refused"), PolicyError, 3),
        ([sse(chat_chunk("Hel"))[:-1]], CUT, ConnectionFailed, 5),
        ([sse(chat_chunk({"role": "assistant"}))], CUT, ConnectionFailed, 5),
        ([sse(chat_chunk("Hel"), chat_chunk({}, "length"))], None, IncompleteError, 6),
        ([sse(chat_chunk("Hel"), chat_chunk({}, "content_filter"))], None, IncompleteError, 6),
        ([sse(chat_chunk({}, "stop"))], None, IncompleteError, 6),
        ([b"data: {\n\n"], None, BadReply, 5),
        ([b"data: [1]\n\n"], None, BadReply, 5),
        ([b"data: \xff\n\n"], None, BadReply, 5),
    ],
)
def test_what_is_not_whole_is_an_error(chunks, cut, kind, code):
    """Exit 6 where something of the answer had come, else what was wrong with the reply."""
    with pytest.raises(kind) as raised:
        read(STREAM, *chunks, cut=cut)
    assert raised.value.exit_code == code


@pytest.mark.parametrize("cut", [CUT, TimedOut("nothing came"), None])
def test_a_finished_answer_is_whole_however_its_connection_ends(cut):
    """The finish reason is what counts."""
    assert read(STREAM, sse(chat_chunk("Hello"), chat_chunk({}, "stop")), cut=cut)[0] == "Hello"


def test_a_tag_that_never_came_is_text_at_the_end():
    """What was held back because it might have begun a tag is given out, cut or not."""
    reply = ResponseReader(STREAM, ChatReply(host="h", model="m"))
    assert reply.feed(sse(chat_chunk("<thi")))[0] == []
    assert reply.flush(CUT) == [Text("<thi")]
    with pytest.raises(IncompleteError):
        reply.end(CUT)


@pytest.mark.parametrize("kind", ["", "text/plain"])
def test_white_space_is_not_collected_for_ever(kind):
    """A reply that does not begin is an error at some point."""
    reply = ResponseReader(kind, ChatReply(host="h", model="m"))
    with pytest.raises(BadReply, match="white space"):
        for _ in range(1000):
            reply.feed(b" " * 1000)


def test_json_is_bounded():
    """A whole answer has a longest length."""
    reply = ResponseReader("application/json", ChatReply(host="h", model="m"))
    with pytest.raises(BadReply, match="longer than"):
        for _ in range(MAX_EVENT // 65536 + 2):
            reply.feed(b"[" + b" " * 65536)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'"x"',
        b"[]",
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"\xff{}",
        b'{"choices":null}',
        b'{"object":"list","data":[]}',
    ],
)
def test_json_that_is_no_answer_is_a_bad_reply(body):
    """Whatever else an endpoint sends under 200 is an error of its own."""
    with pytest.raises(BadReply):
        read("application/json", body)
