"""What an answer holds besides text: its sources, a refusal, and tools that work at the endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from missy import Citation, Notice
from missy.providers.citations import MAX_CITATIONS, Citations
from tests.cases.conftest import Asker, chat, data, http, whole

URL, OTHER = "https://example.com/a?b=1#c", "http://example.org/"
STOP = {"delta": {}, "finish_reason": "stop"}
INNER = {"url": URL, "title": "A title", "start_index": 0, "end_index": 5, "content": "..."}
CHAT = {"type": "url_citation", "url_citation": INNER}
FLAT = {"type": "url_citation", **INNER}


def responses(*events: dict[str, Any]) -> bytes:
    """Write a Responses stream that says hello and ends well."""
    message = {"type": "message", "content": [{"type": "output_text", "text": "hello"}]}
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    said = {"type": "response.output_item.done", "output_index": 9, "item": message}
    return http(data(*({**event, "type": f"response.{event['type']}"} for event in events), said, end))


def perplexity(*extra: dict[str, Any]) -> bytes:
    """Write a chat stream with lists beside the choices, in each chunk."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "hello"}}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return http(data(*({**chunk, **one} for one in extra), {**last, **extra[-1]}, "[DONE]"))


PART = {
    "type": "output_text",
    "text": "hello",
    "annotations": [FLAT, {"type": "file_citation", "file_id": "f"}],
}
ADDED = {"type": "output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": FLAT}
RESULT = {"title": "A title", "url": URL, "date": "2026-01-01"}
PLACES = {
    "chat, in a piece": (chat("hello", {"delta": {"annotations": [CHAT]}}, STOP), False),
    "chat, with text": (chat({"delta": {"content": "hello", "annotations": [CHAT]}}, STOP), False),
    "chat, twice": (chat({"delta": {"content": "hello", "annotations": [CHAT, CHAT]}}, STOP), False),
    "chat, flat": (chat("hello", {"delta": {"annotations": [FLAT]}}, STOP), False),
    "chat, in a closing message": (
        chat(
            "hello",
            {"delta": {}, "message": {"content": "hello", "annotations": [CHAT]}, "finish_reason": "stop"},
        ),
        False,
    ),
    "chat, whole": (whole(message={"content": "hello", "annotations": [CHAT]}, finish_reason="stop"), False),
    "a list of results": (perplexity({"search_results": [RESULT], "citations": [URL]}), False),
    "a list of URLs, then results": (perplexity({"citations": [URL]}, {"search_results": [RESULT]}), False),
    "responses, in pieces": (responses(ADDED), True),
    "responses, in the item": (
        http(
            data(
                {
                    "type": "response.output_item.done",
                    "output_index": 0,
                    "item": {"type": "message", "content": [PART]},
                },
                {"type": "response.completed", "response": {"status": "completed", "output": []}},
            )
        ),
        True,
    ),
    "responses, whole": (
        http(
            json.dumps({"status": "completed", "output": [{"type": "message", "content": [PART]}]}),
            "application/json",
        ),
        True,
    ),
}


@pytest.mark.parametrize(("reply", "codex"), PLACES.values(), ids=PLACES)
def test_a_source_is_an_event_wherever_it_stands(reply, codex, asker: Asker):
    """Annotations of a piece, a message or an item, and lists beside the choices: each URL once, with its title."""
    events = asker.events(reply, codex=codex)
    assert [event for event in events if isinstance(event, Citation)] == [Citation(URL, "A title")]
    code, answer = asker.json(reply, codex=codex)
    assert (code, answer["citations"]) == (0, [{"url": URL, "title": "A title"}])
    lines = asker(reply, codex=codex, args=("--events",)).events()
    assert {"type": "citation", "url": URL, "title": "A title"} in lines
    assert lines[-1]["type"] == "done"


def test_sources_are_shown_after_the_answer_as_plain_urls(asker: Asker):
    """On stderr, numbered in their order, without a control character or a link sequence; stdout has the answer alone."""
    evil = {**RESULT, "url": OTHER, "title": "B\x1b]8;;https://evil.example\x07\nmissy: done"}
    done = asker(perplexity({"search_results": [RESULT, evil]}))
    assert done.text == "hello\n"
    assert done.err == (
        f"missy: sources:\n  [1] {URL} A title\n"
        f"  [2] {OTHER} B\\x1b]8;;https://evil.example\\x07 missy: done\n"
    )


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://a b",
        "https://a\nb",
        "https://a\x1b[2J",
        "",
        7,
        None,
        "https://" + "a" * 3000,
    ],
)
def test_what_is_no_web_url_is_no_source(url, asker: Asker):
    """Another scheme, white space, a control character or an endless URL is left out."""
    _, answer = asker.json(perplexity({"citations": [url], "search_results": [{"url": url}, "x", None]}))
    assert (answer["text"], answer["citations"]) == ("hello", [])


def test_the_number_of_sources_is_bounded():
    """An endpoint that names sources for ever fills no memory."""
    found = Citations()
    found.take_lists({"citations": [f"https://example.com/{number}" for number in range(10 * MAX_CITATIONS)]})
    found.take_annotations(
        [{"type": "url_citation", "url": "https://example.com/0", "title": "late"}, None, 3]
    )
    events = found.events()
    assert len(events) == MAX_CITATIONS
    assert events[0] == Citation("https://example.com/0", "late")
    assert found.events() == []


@pytest.mark.parametrize(
    "reply",
    [
        chat({"delta": {"refusal": "I cannot."}}, STOP),
        whole(message={"refusal": "I cannot."}, finish_reason="stop"),
    ],
)
def test_a_refusal_is_told_as_one(reply, asker: Asker):
    """Its words are on stdout as they came, and one line on stderr says what they are."""
    done = asker(reply)
    assert (done.code, done.text, done.err) == (0, "I cannot.\n", "missy: the model refused to answer\n")
    assert asker.json(reply)[1]["refusal"] is True


def test_a_tool_at_the_endpoint_is_told_while_it_works(asker: Asker):
    """A search is said once, when it begins, in whatever events it comes; other events of it say nothing."""
    item = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    reply = responses(
        {"type": "output_item.added", "output_index": 0, "item": item},
        {"type": "web_search_call.in_progress", "output_index": 0, "item_id": "ws_1"},
        {"type": "web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "web_search_call.completed", "output_index": 0, "item_id": "ws_1"},
        {"type": "output_item.done", "output_index": 0, "item": {**item, "status": "completed"}},
        {"type": "code_interpreter_call.interpreting", "output_index": 1, "item_id": "ci_1"},
    )
    events = asker.events(reply, codex=True)
    told = [event.text for event in events if isinstance(event, Notice)]
    assert told == ["the endpoint searches the web", "the endpoint runs code"]
    done = asker(reply, codex=True)
    assert done.text == "hello\n"
    assert done.err.count("missy: the endpoint searches the web\n") == 1
