"""Streams of a lent client: a cut one raises, a whole one ends, and every event comes as it is made."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import missy as package
from tests.servers import CUT, chat_answer, chat_chunk, chat_stream, event_stream, response, sse, tool_delta

ECHO = 'they wrote "finish_reason": "stop" and\ndata: [DONE]\n\n'


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\n".encode() + sse({"type": kind, "sequence_number": 1, **more})


TOLD = event(
    "response.output_text.delta", item_id="i", output_index=0, content_index=0, delta=ECHO, logprobs=[]
)
END = event("response.completed", response={"id": "r", "object": "response", "output": []})


def responses(client: Any) -> Any:
    return client.responses.create(model="m", input="hi", stream=True)


def completions(client: Any) -> Any:
    return client.completions.create(model="m", prompt="hi", stream=True)


CHAT_CUT = {
    "an end without a word": chat_stream("half", finish=None, done=False),
    "a text that speaks of an end": chat_stream(ECHO, finish=None, done=False),
    "an empty reason": event_stream(sse(chat_chunk("half", ""))),
    "a call that is cut": event_stream(sse(chat_chunk(tool_delta(0, "c", "f", '{"a":')))),
    "a broken connection": [*chat_stream("half", finish=None, done=False)[:-1], CUT],
    "half an event": event_stream(sse(chat_chunk("half")), b'data: {"choices":[{"index":0,"del'),
    "nothing at all": event_stream(),
    "no framing": [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        sse(chat_chunk("half")),
        CUT,
    ],
}
RESPONSES_CUT = {
    "an end without a word": event_stream(TOLD),
    "a broken connection": event_stream(TOLD, end=False),
}


def is_cut(borrower: Any, call: Any, records: Any) -> None:
    with pytest.raises(package.IncompleteError, match="cut off") as caught:
        borrower.read(borrower.client(), call)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.exit_code == 6
    assert records()[-1]["outcome"] == "failed"
    assert records()[-1]["error"] in {
        "incomplete",
        "connection",
    }  # an end without a word, or a broken connection


@pytest.mark.parametrize("name", CHAT_CUT)
def test_a_cut_chat_stream_raises(name, borrow, serve, records):
    """What came is given out, and then an error says that it is not all; so does the record."""
    borrower = borrow(serve(CHAT_CUT[name]).url)
    is_cut(borrower, None, records)


@pytest.mark.parametrize("name", RESPONSES_CUT)
def test_a_cut_response_raises(name, borrow, serve, records):
    """The same for the Responses format, and whatever the model's text quotes."""
    borrower = borrow(serve(RESPONSES_CUT[name]).url)
    is_cut(borrower, responses, records)
    assert len(borrower.so_far) == 1


def test_a_cut_legacy_completion_raises(borrow, serve, records):
    """The oldest format of the three has the same two ends."""
    part = sse(
        {
            "id": "c",
            "object": "text_completion",
            "choices": [{"index": 0, "text": "x", "finish_reason": None}],
        }
    )
    is_cut(borrow(serve(event_stream(part)).url), completions, records)


CHAT_WHOLE = {
    "reason and mark": chat_stream("whole"),
    "reason alone": chat_stream("whole", done=False),
    "mark alone": chat_stream("whole", finish=None),
    "mark in pieces": event_stream(sse(chat_chunk("whole")), b"data: [DO", b"NE]\n\n"),
    "reason in pieces": event_stream(*(bytes([byte]) for byte in sse(chat_chunk("whole", "length")))),
    "CRLF": event_stream((sse(chat_chunk("whole")) + b"data: [DONE]\n\n").replace(b"\n", b"\r\n")),
    "spaces in the JSON": event_stream(
        b'data: {"id": "c", "choices" : [ {"index" : 0, "delta" : {}, "finish_reason" : "stop"} ]}\n\n'
    ),
    "broken after its end": [*chat_stream("whole")[:-1], CUT],
    "it is over its limit": chat_stream("whole", finish="length"),
}


@pytest.mark.parametrize("name", CHAT_WHOLE)
def test_a_whole_chat_stream_ends(name, borrow, serve, records):
    """Whatever the endpoint says at the end of it, and however its bytes arrive."""
    borrower = borrow(serve(CHAT_WHOLE[name]).url)
    assert borrower.read(borrower.client())
    assert records()[-1]["outcome"] == "ok"


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_a_response_that_says_how_it_ended_is_whole(kind, borrow, serve):
    """Ended badly is ended too: the caller is told by the event."""
    end = event(f"response.{kind}", response={"id": "r", "object": "response", "output": []})
    borrower = borrow(serve(event_stream(TOLD, end)).url)
    assert [one.type for one in borrower.read(borrower.client(), responses)][-1] == f"response.{kind}"


def test_a_stream_that_came_whole_leaves_its_connection(borrow, serve):
    """The reader stops at the end mark; the connection serves the next call."""
    origin = serve(chat_stream("one"))
    borrower = borrow(origin.url)
    client = borrower.client()
    for _ in range(3):
        borrower.read(client)
    assert (len(origin.requests), origin.connections) == (3, 1)


def test_other_streams_are_left_alone(borrow, serve):
    """Where no end is promised, none is missed."""
    borrower = borrow(serve(event_stream(sse({"type": "speech.audio.delta", "audio": "eA=="}))).url)

    def speech(client: Any) -> Any:
        return client.post("/audio/speech", cast_to=object, stream=True, stream_cls=stream_class(client))

    def stream_class(client: Any) -> Any:
        return openai.Stream[object] if isinstance(client, openai.OpenAI) else openai.AsyncStream[object]

    assert len(borrower.read(borrower.client(), speech)) == 1


def test_a_reader_that_leaves_early_is_no_error(borrow, serve):
    """Who has read enough may go: the stream is closed without a word."""
    borrower = borrow(serve(chat_stream("one", "two", "three", finish=None, done=False)).url)
    client = borrower.client()

    def first_sync() -> Any:
        with client.chat.completions.create(model="m", messages=[], stream=True) as stream:
            return next(iter(stream))

    async def first_async() -> Any:
        async with await client.chat.completions.create(model="m", messages=[], stream=True) as stream:
            return await anext(aiter(stream))

    assert borrower.run(first_sync if borrower.way == "sync" else first_async)


def test_a_body_cut_by_its_length_raises(borrow, serve):
    """Without streaming too: fewer bytes than promised are no answer."""
    whole = chat_answer("hello")
    head, _, body = whole.partition(b"\r\n\r\n")
    borrower = borrow(serve([head + b"\r\n\r\n" + body[:20], CUT]).url)
    with pytest.raises(package.ConnectionFailed) as caught:
        borrower.ask(borrower.client())
    assert isinstance(caught.value, openai.APIConnectionError)


def test_an_error_reply_as_a_stream_is_the_servers_error(borrow, serve):
    """A status of 500 with an event stream is told as the status that it is."""
    origin = serve(response(500, b"data: {}\n\n", kind="text/event-stream"))
    borrower = borrow(origin.url)
    with pytest.raises(openai.InternalServerError):
        borrower.read(borrower.client())
