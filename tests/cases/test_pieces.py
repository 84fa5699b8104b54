"""What comes in pieces is put together: characters, names and arguments of calls, and what must go back."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy import BadReply, Message, Reasoning, Replay, Text, Tool, ToolCall
from missy.providers.surrogates import Halves
from missy.providers.toolcalls import ToolCallCollector
from tests.cases.conftest import Asker, chat, data, http, read_case

NOW = Tool("now", "the time", {"type": "object", "properties": {}})
SMILE = "\U0001f600"
END = {"delta": {}, "finish_reason": "tool_calls"}


def calls(*pieces: dict[str, Any]) -> bytes:
    return chat(*({"delta": {"tool_calls": [piece]}} for piece in pieces), END)


@pytest.mark.parametrize("number", [0, 1])
def test_a_name_in_pieces_is_one_name(number, asker: Asker):
    """`no` and `w` are `now`; `now` in both pieces is `now`."""
    came = asker.events(read_case("tool-name-in-pieces")[number], wishes={"tools": [NOW]})
    assert came[0] == ToolCall("c1", "now", {})


@pytest.mark.parametrize("codex", [False, True])
def test_a_tool_that_was_not_offered_is_never_handed_out(codex, asker: Asker):
    """Whatever the format: exit 5 with the name, and no call."""
    if codex:
        item = {"type": "function_call", "call_id": "c", "name": "rm", "arguments": "{}"}
        reply = http(
            data({"type": "response.completed", "response": {"status": "completed", "output": [item]}})
        )
    else:
        reply = calls({"index": 0, "id": "c", "function": {"name": "rm", "arguments": "{}"}})
    came = asker.events(reply, codex=codex, wishes={"tools": [NOW]})
    assert not [event for event in came if isinstance(event, ToolCall)]
    assert isinstance(came[-1], BadReply)
    assert "rm" in came[-1].message


@pytest.mark.parametrize("number", range(3))
def test_a_call_without_arguments_has_none(number, asker: Asker):
    """Blank, absent or null: nothing was said, so nothing is guessed."""
    came = asker.events(read_case("tool-without-arguments")[number], wishes={"tools": [NOW]})
    assert came[0] == ToolCall("c1", "now", {})


@pytest.mark.parametrize("arguments", ["", " \n", None, "absent"])
def test_a_responses_call_without_arguments_has_none(arguments, asker: Asker):
    """The same in the other format."""
    item = {"type": "function_call", "call_id": "c", "name": "now", "arguments": arguments}
    if arguments == "absent":
        del item["arguments"]
    end = {"type": "response.completed", "response": {"status": "completed", "output": [item]}}
    assert asker.events(http(data(end)), codex=True)[0] == ToolCall("c", "now", {})


@pytest.mark.parametrize("arguments", ["{", "null", "[]", 5, [], False, '{"a":1}{"b":2}'])
def test_broken_arguments_stay_an_error(arguments, asker: Asker):
    """What was said and is no object is not run."""
    done = asker(calls({"index": 0, "id": "c", "function": {"name": "now", "arguments": arguments}}))
    assert done.code == 5
    assert "not a JSON object" in done.err


@settings(max_examples=100)
@given(st.permutations(range(5)), st.booleans())
def test_parallel_calls_come_in_the_order_of_their_index(order, twice):
    """Whichever comes first on the wire."""
    collector = ToolCallCollector()
    for number in order:
        piece = {
            "index": number,
            "id": f"c{number}",
            "function": {"name": f"f{number}", "arguments": "{" if twice else "{}"},
        }
        collector.feed([piece])
    for number in reversed(order) if twice else ():
        collector.feed([{"index": number, "function": {"arguments": "}"}}])
    assert [call.name for call in collector.calls()] == [f"f{number}" for number in range(5)]


@pytest.mark.parametrize("index", ["0", 1, "1", None])
def test_the_first_answer_is_read_however_it_is_counted(index, asker: Asker):
    """Some servers count choices from 1, some write the number as text."""
    said = {"choices": [{"index": index, "delta": {"content": "Hello"}}]}
    end = {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}
    done = asker(http(data(said, end, "[DONE]")))
    assert (done.code, done.text) == (0, "Hello\n")


def test_only_the_first_of_two_answers_is_read(asker: Asker):
    """Whichever of them comes first in a chunk."""
    said = {"choices": [{"index": n, "delta": {"content": f"{n}!"}, "finish_reason": "stop"} for n in (1, 0)]}
    done = asker(http(data(said, "[DONE]")))
    assert (done.code, done.text) == (0, "0!\n")


def test_calls_whose_index_is_written_as_text_come_in_its_order(asker: Asker):
    """Text is a number too."""
    made = [{"index": n, "id": n, "function": {"name": f"t{n}", "arguments": "{}"}} for n in ("1", "0")]
    code, answer = asker.json(calls(*made))
    assert (code, [call["name"] for call in answer["tool_calls"]]) == (0, ["t0", "t1"])


def test_what_an_endpoint_wants_back_goes_back_unchanged(asker: Asker):
    """The signature of a call, and the details of the thinking, in the next request."""
    (reply,) = read_case("thought-signature")
    details = [{"type": "reasoning.encrypted", "data": "ENC", "id": "r", "format": "x", "index": 0}]
    first = data({"choices": [{"index": 0, "delta": {"reasoning_details": details}}]}).encode()
    head, _, body = reply.partition(b"\r\n\r\n")
    *_, one, two, done = asker.events(head + b"\r\n\r\n" + first + body, wishes={"tools": [NOW]})
    turn = Message("assistant", tool_calls=(one, two), replay=done.replay)
    results = [Message("tool", "4", tool_call_id=call.id) for call in (one, two)]
    asker.ask([Message("user", "hi"), turn, *results])
    sent = asker.origin.last.json()["messages"][1]
    assert sent["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "SIG"}}
    assert set(sent["tool_calls"][1]) == {"id", "type", "function"}
    assert sent["reasoning_details"] == details


def test_what_one_format_wants_back_is_not_sent_in_the_other(asker: Asker):
    """Items of Responses are not fields of a chat message, nor the other way round."""
    item = {"type": "reasoning", "encrypted_content": "ENC"}
    turn = Message("assistant", "Four.", replay=Replay((item,), "openai", "127.0.0.1", None, "m"))
    asker.events(chat("x", {"delta": {}, "finish_reason": "stop"}))
    asker.ask([Message("user", "hi"), turn, Message("user", "so?")])
    assert asker.origin.last.json()["messages"][1] == {"role": "assistant", "content": "Four."}
    end = data({"type": "response.completed", "response": {"output": []}})
    asker.serve(http(end), codex=True)
    chat_parts = Replay(({"reasoning_details": []},), "openai-codex", "127.0.0.1", "acc-1", "m")
    asker.ask(
        [
            Message("user", "hi"),
            Message("assistant", "Four.", replay=chat_parts),
            Message("user", "so?"),
        ]
    )
    sent = asker.origin.last.json()["input"][1]
    assert (sent["type"], sent["content"][0]["text"]) == ("message", "Four.")


@pytest.mark.parametrize("number", [0, 1])
def test_a_character_in_two_pieces_is_one_character(number, asker: Asker):
    """On stdout and in `--json`."""
    reply = read_case("emoji-split")[number]
    assert asker(reply).text == f"Hi {SMILE}!\n"
    assert asker.json(reply)[1]["text"] == f"Hi {SMILE}!"


@pytest.mark.parametrize("name", ["content", "reasoning_content", "refusal"])
def test_a_half_that_stays_alone_is_a_replacement_character(name, asker: Asker):
    """In text and in thinking, at the end and in the middle."""
    for pieces, said in (
        (["a\ud83d"], "a\ufffd"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["\ude00", "b"], "\ufffdb"),
        (["\ud83d", "\ude00"], SMILE),
    ):
        came = asker.events(
            chat(
                *({"delta": {name: piece}} for piece in pieces),
                {"delta": {"content": "."}, "finish_reason": "stop"},
            )
        )
        kind = Reasoning if name == "reasoning_content" else Text
        assert "".join(event.text for event in came if isinstance(event, kind)).rstrip(".") == said


def test_halves_are_joined_in_arguments_and_in_the_other_format(asker: Asker):
    """A call's arguments in Chat Completions; text, thinking and arguments in Responses."""
    pieces = [
        {"index": 0, "id": "c", "function": {"name": "now", "arguments": '{"a":"\ud83d'}},
        {"index": 0, "function": {"arguments": '\ude00"}'}},
    ]
    assert asker.events(calls(*pieces))[0].arguments == {"a": SMILE}
    names = [
        ("output_text", "\ud83d", "\ude00"),
        ("reasoning_text", "\ud83d", "\ude00"),
        ("function_call_arguments", '{"a":"\ud83d', '\ude00"}'),
    ]
    events: list[Any] = [
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {"type": "function_call", "call_id": "c", "name": "now", "arguments": ""},
        }
    ]
    for index, (name, *halves) in enumerate(names):
        events += [
            {"type": f"response.{name}.delta", "output_index": index, "delta": half} for half in halves
        ]
    events.append(
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "message", "content": [{"text": SMILE}]},
        }
    )
    came = asker.events(
        http(data(*events, {"type": "response.completed", "response": {"output": []}})), codex=True
    )
    assert came[:3] == [Text(SMILE), Reasoning(SMILE), ToolCall("c", "now", {"a": SMILE})]


@settings(max_examples=200)
@given(st.text("a é\ud83d\ude00\U0001f600", max_size=12), st.lists(st.integers(0, 24), max_size=6))
def test_wherever_characters_are_cut_the_text_is_the_same(text, places):
    """Cut between any two UTF-16 units, each character comes out whole, and each lone half as one U+FFFD."""
    units = json.loads(json.dumps(text)).encode("utf-16-le", "surrogatepass")
    ends = [0, *sorted(2 * (place % (len(units) // 2 + 1)) for place in places), len(units)]
    halves = Halves()
    cut = (units[start:end] for start, end in itertools.pairwise(ends))
    singles = [
        "".join(chr(int.from_bytes(piece[n : n + 2], "little")) for n in range(0, len(piece), 2))
        for piece in cut
    ]
    said = "".join(halves.feed(piece) for piece in singles) + halves.flush()
    assert said == units.decode("utf-16-le", "replace")
    said.encode()
