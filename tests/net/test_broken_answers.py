"""An answer that breaks: what stands in the record about it, and that nothing is asked for a second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.net.conftest import ask
from tests.servers import CUT, Origin, chat_chunk, chat_stream, event_stream, sse

FAILED = {"error": {"message": "The server had an error.", "type": "server_error", "code": 500}}

# How an answer can end although its status is 200 -> what the record calls it.
BROKEN = {
    "no end mark": (chat_stream("half", finish=None, done=False), "incomplete"),
    "over its limit": (chat_stream("half", finish="length"), "incomplete"),
    "filtered": (chat_stream("half", finish="content_filter"), "incomplete"),
    "empty": (chat_stream(), "incomplete"),
    "an error in the stream": (event_stream(sse(chat_chunk("half"), FAILED)), "provider"),
    "cut off": (event_stream(sse(chat_chunk("half")), end=False), "connection"),
}


def ends(home: Path) -> list[tuple[object, ...]]:
    """Return status, outcome and error of each request in the record."""
    records = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    closing = [record for record in records if record["event"] == "end" and record["method"]]
    return [(record["status"], record["outcome"], record["error"]) for record in closing]


@pytest.mark.parametrize("case", BROKEN)
def test_the_record_says_what_became_of_an_answer(case, way, home, serve, write_config):
    """It stands as failed, with the kind of failure, however the answer came to be no whole one; once."""
    reply, error = BROKEN[case]
    assert ask(way, write_config(serve(reply).url)).error is not None
    assert ends(home) == [(200, "failed", error)]


def test_the_record_says_that_an_answer_was_whole(way, home, serve, write_config):
    """The other half of the promise: nothing but a failure is called one."""
    assert ask(way, write_config(serve(chat_stream("whole")).url)).error is None
    assert ends(home) == [(200, "ok", "")]


SHOWN = {
    "text": "some text",
    "reasoning": {"reasoning_content": "let me think"},
    "reasoning under its other name": {"reasoning": "let me think"},
}


def breaking(*deltas: object, model: str = "m", failure: object = CUT) -> list[object]:
    """Build an answer that gives out `deltas` and then fails in a way that is worth another attempt."""
    shown = b"".join(sse(chat_chunk(delta, model=model)) for delta in deltas)
    return event_stream(shown, end=False) if failure is CUT else event_stream(shown, sse(failure))


def assert_asked_once(way: str, origin: Origin, config: Path) -> None:
    outcome = ask(way, config)
    assert outcome.error is not None
    assert "again" not in outcome.text
    assert len(origin.requests) == 1


@pytest.mark.parametrize("failure", [CUT, FAILED], ids=["cut off", "server error"])
@pytest.mark.parametrize("shown", SHOWN)
def test_nothing_is_asked_twice_once_something_was_shown(shown, failure, way, serve, write_config):
    """Text or reasoning that somebody has read is not followed by a second answer, with retries left."""
    origin = serve(breaking(SHOWN[shown], failure=failure), chat_stream("again"))
    assert_asked_once(way, origin, write_config(origin.url, max_retries=3))


def test_nothing_is_asked_twice_once_a_notice_was_shown(way, serve, write_config):
    """That another model answers is part of the answer: it may hold for this attempt alone."""
    origin = serve(breaking({"role": "assistant"}, model="another"), chat_stream("again"))
    assert_asked_once(way, origin, write_config(origin.url, max_retries=3))


def test_an_attempt_that_showed_nothing_is_made_again(way, serve, write_config):
    """The other half: where nothing was given out, a broken connection costs another attempt and no more."""
    origin = serve(breaking({"role": "assistant"}), chat_stream("again"))
    outcome = ask(way, write_config(origin.url, max_retries=3))
    assert (outcome.error, outcome.text, len(origin.requests)) == (None, "again", 2)
