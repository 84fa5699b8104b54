"""The parts of an answer that are not its text: thinking, refusals, and what Missy cannot show."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy import Reasoning, Text
from missy.providers.thinking import ThinkSplitter
from tests.cases.conftest import Asker, chat, data, http, read_case, whole

STOP = {"delta": {}, "finish_reason": "stop"}


@pytest.mark.parametrize("number", range(3))
def test_thinking_is_known_in_other_clothes(number, asker: Asker):
    """A tag at the start, a part of the content, a field of another name."""
    code, answer = asker.json(read_case("thinking-in-other-clothes")[number])
    assert (code, answer["text"]) == (0, ("Hello.", "Hello.", "Hello world.")[number])
    assert answer["reasoning"] == ("The user greets. Easy.", "Hm.", "Hm.Hm.")[number]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "said",
    [
        {"thinking": "Hm."}, {"reasoning_text": "Hm."}, {"reasoning_content": "Hm."}, {"reasoning": "Hm."},
        {"reasoning": {"content": "Hm."}}, {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"content": [{"type": "thinking", "thinking": "Hm."}]}, {"content": [{"type": "reasoning", "text": "Hm."}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
        {"content": "<think>Hm.</think>"}, {"content": "<Thinking>Hm.</Thinking>"}, {"content": "[THINK]Hm.[/THINK]"},
        {"content": "\n<reasoning>Hm.</reasoning>\n"}, {"content": "<thought>Hm.</thought>"},
    ],
)  # fmt: skip
def test_thinking_is_thinking_under_any_name(said, stream, asker: Asker):
    """Streamed or whole: apart from the text, once."""
    if stream:
        reply = chat({"delta": said}, "Four.", STOP)
    else:
        content = said.get("content", "")
        text = (
            [*content, {"type": "text", "text": "Four."}] if isinstance(content, list) else content + "Four."
        )
        reply = whole(message={**said, "content": text}, finish_reason="stop")
    code, answer = asker.json(reply)
    assert (code, answer["text"], answer["reasoning"]) == (0, "Four.", "Hm.")


TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
}


@settings(max_examples=200)
@given(
    st.sampled_from([*TAGS]),
    st.text("a<>/think \n", max_size=12),
    st.text("ab<", max_size=5),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_any_tag_in_any_pieces_is_told_apart(tag, thought, text, places):
    """Up to its own closing tag, and no other's."""
    if TAGS[tag] in thought:
        return
    raw = f"{tag}{thought}{TAGS[tag]}{text}"
    ends = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    splitter = ThinkSplitter()
    events = [
        event for start, end in itertools.pairwise(ends) for event in splitter.feed(raw[start:end])
    ] + splitter.flush()
    assert "".join(event.text for event in events if isinstance(event, Reasoning)) == thought
    assert "".join(event.text for event in events if isinstance(event, Text)) == text


def refusal_of(kind: str) -> tuple[bytes, bool]:
    part = {"type": "refusal", "refusal": "I cannot."}
    at = {"output_index": 0, "content_index": 0}
    ends: dict[str, list[dict[str, Any]]] = {
        "delta": [{"type": "response.refusal.delta", "delta": "I cannot.", **at}],
        "done": [{"type": "response.refusal.done", "refusal": "I cannot.", **at}],
        "part": [{"type": "response.content_part.done", "part": part, **at}],
        "item": [
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {"type": "message", "content": [part]},
            }
        ],
    }
    if kind == "chat":
        return chat({"delta": {"refusal": "I can"}}, {"delta": {"refusal": "not."}}, STOP), False
    if kind == "chat whole":
        return whole(message={"content": None, "refusal": "I cannot."}, finish_reason="stop"), False
    if kind == "chat part":
        return chat({"delta": {"content": [part]}}, STOP), False
    if kind == "whole":
        return http(
            json.dumps({"status": "completed", "output": [{"type": "message", "content": [part]}]}),
            "application/json",
        ), True
    return http(data(*ends[kind], {"type": "response.completed", "response": {"status": "completed"}})), True


@pytest.mark.parametrize(
    "kind", ["chat", "chat whole", "chat part", "delta", "done", "part", "item", "whole"]
)
def test_a_refusal_is_an_answer_that_is_marked(kind, asker: Asker):
    """Its words are the text, exit 0, `"refusal": true`; the library says it in Done."""
    reply, codex = refusal_of(kind)
    code, answer = asker.json(reply, codex=codex)
    assert (code, answer["text"], answer["refusal"], answer["complete"]) == (0, "I cannot.", True, True)
    assert asker.events(reply, codex=codex)[-1].refusal is True
    assert asker(reply, codex=codex, args=("--events",)).events()[-1]["refusal"] is True


def test_an_answer_that_is_no_refusal_has_no_mark(asker: Asker):
    """Neither in `--json` nor in Done; an empty field is none."""
    reply = chat({"delta": {"content": "Hi", "refusal": None}}, {"delta": {"refusal": ""}}, STOP)
    assert "refusal" not in asker.json(reply)[1]
    assert asker.events(reply)[-1].refusal is False


def test_a_legacy_function_call_is_a_call(asker: Asker):
    """In pieces or whole, beside the reason `function_call`."""
    pieces = [
        {"delta": {"function_call": {"name": "now", "arguments": ""}}},
        {"delta": {"function_call": {"arguments": '{"a":1}'}}},
    ]
    for reply in (
        chat(*pieces, {"delta": {}, "finish_reason": "function_call"}),
        whole(
            message={"content": None, "function_call": {"name": "now", "arguments": '{"a":1}'}},
            finish_reason="function_call",
        ),
    ):
        code, answer = asker.json(reply)
        assert (code, [(call["name"], call["arguments"]) for call in answer["tool_calls"]]) == (
            0,
            [("now", {"a": 1})],
        )


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ({"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "grep", "input": "x"}}]}, "grep"),
        ({"audio": {"id": "a", "data": "AAAA"}}, "audio"),
        ({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}, "picture"),
        ({"content": [{"type": "image_url", "image_url": {"url": "https://example.com/x"}}]}, "picture"),
    ],
)
def test_what_cannot_be_shown_is_named(message, word, asker: Asker):
    """Not told as an empty answer: asking again would cost and change nothing."""
    done = asker(whole(message={"content": None, **message}, finish_reason="stop"))
    assert (done.code, word in done.err, "empty" in done.err) == (6, True, False)


def test_the_transcript_of_audio_is_the_text(asker: Asker):
    """The sound is left out with a notice."""
    done = asker(
        whole(
            message={"content": None, "audio": {"id": "a", "data": "AA", "transcript": "Hello."}},
            finish_reason="stop",
        )
    )
    assert (done.code, done.text, "audio" in done.err) == (0, "Hello.\n", True)


@pytest.mark.parametrize("kind", ["image_generation_call", "custom_tool_call", "web_search_call"])
def test_an_item_that_cannot_be_shown_is_named(kind, asker: Asker):
    """The same in Responses."""
    end = {
        "type": "response.completed",
        "response": {"status": "completed", "output": [{"type": kind, "id": "x"}]},
    }
    done = asker(http(data(end)), codex=True)
    assert (done.code, kind in done.err, "empty" in done.err) == (6, True, False)
