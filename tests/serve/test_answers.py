"""What a program gets through the gateway, and what the endpoint gets of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.serve.conftest import ASK, ENTRY_KEY, USAGE, Gateway
from tests.servers import (
    CUT,
    Gate,
    Origin,
    chat_answer,
    chat_chunk,
    chat_error,
    chat_stream,
    event_stream,
    sse,
)

Start = Callable[..., tuple[Gateway, Origin]]
MakeKey = Callable[..., str]


def test_an_answer_is_the_one_that_the_endpoint_gave(start: Start, make_key: MakeKey):
    """A whole answer reaches the `openai` package byte for byte, with the entry's key upstream and never the caller's."""
    gateway, origin = start()
    key = make_key()
    direct = openai.OpenAI(base_url=origin.url, api_key="x", max_retries=0).chat.completions.create(
        model="m", **ASK
    )
    through = gateway.client(key).chat.completions.create(model="test", **ASK)
    assert through == direct
    assert origin.last.json()["model"] == "m"
    assert origin.last.header("authorization") == f"Bearer {ENTRY_KEY}"
    assert key not in str(origin.last)


def test_a_stream_has_the_same_chunks_and_its_end(start: Start, make_key: MakeKey):
    """A stream's chunks are those of the endpoint, and the usage that the ledger needs is taken out for who did not ask."""
    gateway, origin = start()
    key = make_key()
    client = gateway.client(key)
    plain = list(client.chat.completions.create(model="fast", stream=True, **ASK))
    assert [c.choices[0].delta.content for c in plain] == ["he", "llo", None]
    assert origin.last.json() | ASK == {
        "model": "m2", "stream": True, "stream_options": {"include_usage": True}, **ASK,
    }  # fmt: skip
    counted = list(
        client.chat.completions.create(
            model="fast", stream=True, stream_options={"include_usage": True}, **ASK
        )
    )
    assert counted[-1].usage is not None
    assert counted[-1].usage.total_tokens == 12
    assert b"data: [DONE]" in gateway.ask(key, stream=True)[2]


def test_what_the_gateway_does_not_read_is_passed_on(start: Start, make_key: MakeKey):
    """Tools, images, n, logprobs and an endpoint's own fields go through as they are, in both directions."""
    reply = {"logprobs": {"content": []}, "own": [1, {"a": None}]}
    gateway, origin = start(chat_answer("é\u2028", usage=USAGE, **reply))
    asked = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "n": 2,
        "logprobs": True,
        "own_field": {"x": [1.5, 10**20, "ü"]},
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            }
        ],
    }
    status, _, body = gateway.ask(make_key(), **asked)
    assert status == 200
    assert json.loads(body) | reply == json.loads(body)
    assert origin.last.json() == {"model": "m", **asked}


@pytest.mark.parametrize("clean", [True, False], ids=["ended", "broken"])
def test_a_cut_stream_is_never_passed_for_a_whole_one(
    start: Start, make_key: MakeKey, clean: bool, missy: Any
):
    """A stream that ends early brings an error and a broken connection, no [DONE], and is on record as incomplete."""
    pieces = [sse(chat_chunk("par")), sse(chat_chunk("t"))]
    gateway, _ = start(event_stream(*pieces, end=clean))
    key = make_key()
    with pytest.raises(openai.APIError) as error:
        list(gateway.client(key).chat.completions.create(model="test", stream=True, **ASK))
    assert "cut off" in str(error.value)
    _, _, raw = gateway.ask(key, stream=True)
    assert b"[DONE]" not in raw
    assert b"event: error" in raw
    assert not raw.endswith(b"0\r\n\r\n")  # the chunked body is not ended
    assert gateway.usage()["editor"]["incomplete"] == 2
    gateway.end()
    ends = [json.loads(line) for line in (missy.home / "audit.jsonl").read_text().splitlines()]
    posts = [line for line in ends if line["event"] == "end" and line["method"] == "POST"]
    assert [(line["outcome"], line["error"]) for line in posts] == [
        ("failed", "incomplete" if clean else "connection")
    ] * 2


def test_a_cut_whole_answer_is_an_error(start: Start, make_key: MakeKey):
    """A whole answer that breaks off is 502, and nothing of it is passed on."""
    whole = chat_answer("hello")
    gateway, _ = start([whole[:-10], CUT])
    status, _, body = gateway.ask(make_key())
    assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_error")
    assert b"hello" not in body


def test_an_error_inside_a_stream_ends_it(start: Start, make_key: MakeKey):
    """An error in mid-stream is told as one, masked, without [DONE]."""
    gateway, _ = start(
        event_stream(sse(chat_chunk("a")), sse({"error": {"message": f"key {ENTRY_KEY} failed"}}))
    )
    _, _, raw = gateway.ask(make_key(), stream=True)
    assert b"event: error" in raw
    assert b"[DONE]" not in raw
    assert ENTRY_KEY.encode() not in raw


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (chat_error(400, f"no {ENTRY_KEY} here", code="bad"), 400, "upstream_error"),
        (chat_error(401, f"wrong key {ENTRY_KEY}"), 502, "upstream_error"),
        (chat_error(429, "slow down", ("Retry-After", "7")), 429, "rate_limit_exceeded"),
        (chat_error(500, "oops"), 502, "upstream_error"),
        (event_stream(sse({"error": {"message": "overloaded"}})), 502, "upstream_error"),
        (chat_answer("x", choices=[]), 502, "upstream_error"),
        ([CUT], 502, "upstream_error"),
    ],
    ids=["request", "key", "limit", "server", "at-once", "no-choices", "closed"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_endpoints_errors_have_one_form(
    start: Start, make_key: MakeKey, reply: Any, status: int, code: str, stream: bool
):
    """Each failure before the answer has OpenAI's form and the status that fits, and holds no key of the entry."""
    gateway, _ = start(reply)
    got, head, body = gateway.ask(make_key(), stream=stream)
    told = json.loads(body)["error"]
    assert (got, told["code"]) == (status, code)
    assert ENTRY_KEY not in head + body.decode()
    if status == 429:
        assert "retry-after: 7" in head.lower()


def test_a_silent_endpoint_is_a_timeout(start: Start, make_key: MakeKey):
    """An endpoint that says nothing for the entry's timeout is 504."""
    gate = Gate()
    gateway, _ = start([gate], entry={"timeout": 0.3})
    try:
        status, _, body = gateway.ask(make_key())
    finally:
        gate.open()
    assert (status, json.loads(body)["error"]["code"]) == (504, "upstream_timeout")


def test_who_leaves_is_charged_for_what_came(start: Start, make_key: MakeKey):
    """When a caller leaves, the upstream is closed, and what came is charged and marked as estimated."""
    closed = Gate()

    def drip(request: Any, wire: Any) -> None:
        for piece in event_stream(sse(chat_chunk("word " * 20)), end=False)[:-1]:
            wire.send(piece)
        if wire.wait_closed():
            closed.open()

    gateway, _ = start(drip, entry={"price": {"input": 1, "output": 2}})
    key = make_key()
    stream = gateway.client(key).chat.completions.create(model="test", stream=True, **ASK)
    next(iter(stream))
    stream.close()
    assert closed.wait(20)
    gateway.end()
    row = gateway.usage()["editor"]
    assert (row["incomplete"], row["estimated"], row["output_tokens"]) == (1, 1, 50)
    assert row["input_tokens"] > 0


def test_a_count_of_zero_is_a_count(start: Start, make_key: MakeKey):
    """Usage of 0 tokens is taken as it is, and not replaced by an estimate."""
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    gateway, _ = start(chat_answer("hello", usage=zero), entry={"price": {"input": 1, "output": 2}})
    gateway.ask(make_key())
    row = gateway.usage()["editor"]
    assert (row["requests"], row["input_tokens"], row["output_tokens"], row["estimated"]) == (1, 0, 0, 0)
    assert row["cost_usd"] == 0


def test_a_stream_without_the_end_marker_may_be_whole(start: Start, make_key: MakeKey):
    """Where a finish reason ends the answer, the caller gets the end marker that the endpoint left out."""
    gateway, _ = start(chat_stream("a", done=False))
    assert gateway.ask(make_key(), stream=True)[2].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_models_are_those_that_are_served(start: Start, make_key: MakeKey):
    """The list holds the entries, their models and the aliases, as far as the key may use them."""
    gateway, origin = start()
    names = [model.id for model in gateway.client(make_key()).models.list()]
    assert names == ["fast", "test", "test/m"]
    only = make_key("ci", "--models", "fast")
    assert [model.id for model in gateway.client(only).models.list()] == ["fast"]
    assert origin.requests == []
