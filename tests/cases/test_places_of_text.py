"""The same text in several places is given out once, and what the deltas left out is given out too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy import Done, IncompleteError, Message, MissyError, Reasoning, Text, ToolCall
from missy.providers.reply import ResponseReader
from missy.providers.wire_responses import ResponsesReply
from tests.cases.conftest import Asker, chat, data, http, read_case


@pytest.mark.parametrize("number", [0, 1])
def test_a_closing_message_is_not_said_again(number, asker: Asker):
    """Beside an empty delta, or beside none."""
    done = asker(read_case("closing-message-repeats")[number])
    assert (done.code, done.text) == (0, "Hello world.\n")


def test_a_closing_message_tells_what_the_pieces_left_out(asker: Asker):
    """The rest of its text, and the calls and thoughts that no piece brought; nothing of them twice."""
    call = {"id": "c", "function": {"name": "now", "arguments": "{}"}}
    message = {"content": "Hello world.", "tool_calls": [call], "reasoning_content": "Hm."}
    last = {"delta": {}, "message": message, "finish_reason": "stop"}
    code, answer = asker.json(chat("Hello ", last))
    assert (code, answer["text"], answer["reasoning"], len(answer["tool_calls"])) == (
        0,
        "Hello world.",
        "Hm.",
        1,
    )
    pieces = {"delta": {"content": "Hello world.", "tool_calls": [{"index": 0, **call}], "reasoning": "Hm."}}
    code, answer = asker.json(chat(pieces, last))
    assert (code, answer["text"], answer["reasoning"], len(answer["tool_calls"])) == (
        0,
        "Hello world.",
        "Hm.",
        1,
    )


@pytest.mark.parametrize("number", range(4))
def test_text_that_only_an_end_tells_is_given_out(number, asker: Asker):
    """The rest in an item's done; all of it in a part's end, or in the last event's output_text."""
    done = asker(read_case("tail-only-in-done")[number], codex=True)
    assert (done.code, done.text.rstrip("\n")) == (
        0,
        "Hello." if number else "Take the blue pill, and never the red one.",
    )


def test_the_text_of_the_whole_answer_tells_what_pieces_left_out(asker: Asker):
    """Where no end of an item tells it: the rest is given out, and another text is not passed over."""
    piece = ev("output_text.delta", output_index="0", delta="Take the ")
    last = ev("completed", response={"status": "completed", "output": [], "output_text": "Take the pill."})
    assert asker(http(data(piece, last)), codex=True).text == "Take the pill.\n"
    other = ev("output_text.delta", output_index=0, delta="Never")
    done = asker(http(data(other, last)), codex=True)
    assert (done.code, done.text.rstrip("\n")) == (6, "Never")


def test_a_place_that_is_written_as_text_is_that_place(asker: Asker):
    """One item whose events count in texts and in numbers is not said twice."""
    piece = ev("output_text.delta", item_id="m1", output_index="0", delta="Hi")
    end = ev("output_item.done", output_index=0, item=message("Hi", id="m2"))
    assert asker(http(data(piece, end, completed())), codex=True).text == "Hi\n"


def part(text: str, kind: str = "output_text") -> dict[str, Any]:
    return {"type": kind, "refusal" if kind == "refusal" else "text": text}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [part(text)], **fields}


def ev(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def completed(**fields: Any) -> dict[str, Any]:
    return ev("completed", response={"status": "completed", "output": [], **fields})


def test_ids_that_change_from_event_to_event_make_no_second_item(asker: Asker):
    """The place in the output ties the events of an item: said once, replayed once, its call run once."""
    stream = data(
        ev("output_item.added", output_index=0, item={"type": "message", "id": "a", "content": []}),
        ev("output_text.delta", output_index=0, item_id="b", content_index=0, delta="Hi"),
        ev("output_item.done", output_index=0, item=message("Hi", id="c")),
        ev("output_item.added", output_index=1, item={"type": "function_call", "id": "d", "name": "now", "arguments": ""}),
        ev("function_call_arguments.delta", output_index=1, item_id="e", delta='{"a":1}'),
        ev("output_item.done", output_index=1, item={"type": "function_call", "id": "f", "call_id": "k", "name": "now", "arguments": '{"a":1}'}),
        completed(output=[message("Hi", id="g")]),
    )  # fmt: skip
    *text, call, done = asker.events(http(stream), codex=True)
    assert text == [Text("Hi")]
    assert call == ToolCall("k", "now", {"a": 1})
    assert [item["type"] for item in done.replay] == ["message", "function_call"]


def test_a_piece_that_was_lost_in_the_middle_is_not_passed_off_as_whole(asker: Asker):
    """What was said cannot be taken back: the item's own text says that it is not the answer."""
    stream = data(
        ev("output_text.delta", output_index=0, delta="Never "),
        ev("output_text.delta", output_index=0, delta="it"),
        ev("output_item.done", output_index=0, item=message("Never take it")),
        completed(),
    )
    done = asker(http(stream), codex=True)
    assert (done.code, done.text) == (6, "Never it\n")


COMMENTARY = data(
    ev("output_item.added", output_index=0, item={"type": "message", "phase": "commentary", "content": []}),
    ev("output_text.delta", output_index=0, delta="Let me look."),
    ev("output_item.done", output_index=0, item=message("Let me look.", phase="commentary")),
    ev("output_item.added", output_index=1, item={"type": "message", "phase": "final_answer", "content": []}),
    ev("output_text.delta", output_index=1, delta="It is 4."),
    ev("output_item.done", output_index=1, item=message("It is 4.", phase="final_answer")),
    completed(),
)


def test_two_messages_stand_apart_and_commentary_is_not_the_answer(asker: Asker):
    """Stdout has the answer alone, stderr the commentary; `--json` has the one as text, and the other beside it."""
    done = asker(http(COMMENTARY), codex=True)
    assert (done.text, done.err) == ("It is 4.\n", "missy: the model comments: Let me look.\n")
    code, answer = asker.json(http(COMMENTARY), codex=True)
    assert (code, answer["text"], answer["commentary"].strip()) == (0, "It is 4.", "Let me look.")
    *texts, done = asker.events(http(COMMENTARY), codex=True)
    assert [event.text for event in texts if not event.commentary] == ["It is 4."]
    assert [item["phase"] for item in done.replay] == ["commentary", "final_answer"]
    lines = asker(http(COMMENTARY), codex=True, args=("--events",)).events()
    assert [line["text"] for line in lines if line["type"] == "text" and not line.get("commentary")] == [
        "It is 4."
    ]


def test_summaries_that_come_only_at_the_end_of_an_item_are_thinking(asker: Asker):
    """In `output_item.done` or in a whole reply; once where the pieces had them."""
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    end = ev("output_item.done", output_index=0, item=item)
    piece = ev("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="Hm.")
    said = ev("output_item.done", output_index=1, item=message("Hi"))
    for body in (
        data(end, said, completed()),
        data(piece, end, said, completed()),
        data(completed(output=[item, message("Hi")])),
    ):
        code, answer = asker.json(http(body), codex=True)
        assert (code, answer["text"], answer["reasoning"]) == (0, "Hi", "Hm.")
    whole = json.dumps({"status": "completed", "output": [item, message("Hi")]})
    assert asker.json(http(whole, "application/json"), codex=True)[1]["reasoning"] == "Hm."


def test_thinking_with_a_call_goes_back_under_its_own_name_alone(asker: Asker):
    """What came as `reasoning` is sent back as that: other names are refused by those who use this one."""
    call = {"index": 0, "id": "c", "function": {"name": "now", "arguments": "{}"}}
    reply = chat(
        {"delta": {"reasoning": "Hm."}},
        {"delta": {"tool_calls": [call]}},
        {"delta": {}, "finish_reason": "stop"},
    )
    *_, asked, done = asker.events(reply)
    turn = Message("assistant", tool_calls=(asked,), reasoning="Hm.", replay=done.replay)
    asker.ask([Message("user", "hi"), turn, Message("tool", "4", tool_call_id="c")])
    sent = asker.origin.last.json()["messages"][1]
    assert (sent["reasoning"], "reasoning_content" in sent) == ("Hm.", False)


TEXT = st.text("ab \n😀é", max_size=8)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(TEXT, st.integers(0, 8), st.booleans(), st.booleans(), st.booleans()),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
    st.booleans(),
)
def test_wherever_a_text_stands_it_is_said_once(messages, in_last_event, rotate):
    """Any beginning of it in deltas, the whole in any of the three ends and in the last event."""
    events: list[dict[str, Any]] = []
    output = []
    told = []
    for index, (text, cut, in_text, in_part, in_item) in enumerate(messages):
        name = iter(f"{index}-{n}" if rotate else f"{index}" for n in range(9))
        at = {"output_index": index, "content_index": 0}
        ends = in_text or in_part or in_item or in_last_event
        pieces = text[:cut] if ends else text
        events += [ev("output_text.delta", item_id=next(name), delta=letter, **at) for letter in pieces[:5]]
        events += [ev("output_text.delta", item_id=next(name), delta=pieces[5:], **at)]
        events += [ev("output_text.done", item_id=next(name), text=text, **at)] if in_text else []
        events += [ev("content_part.done", item_id=next(name), part=part(text), **at)] if in_part else []
        events += (
            [ev("output_item.done", output_index=index, item=message(text, id=next(name)))] if in_item else []
        )
        output.append(message(text, id=f"{index}-last" if rotate else f"{index}"))
        told += [text] if text else []
    events.append(completed(output=output if in_last_event else []))
    reply = ResponseReader("text/event-stream", ResponsesReply(host="h", model="m"))
    came: list[Any] = []
    error: MissyError | None = None
    try:
        came += reply.feed(data(*events).encode())[0] + reply.flush(None)
        came += reply.end(None)
    except MissyError as raised:
        error = raised
    said = "".join(event.text for event in came if isinstance(event, Text))
    if error is not None and said.strip():  # the rest of a message came after the next one had begun
        assert isinstance(error, IncompleteError)
        assert in_last_event
        return
    # a message that only the last event tells of comes after those that were told before it
    assert sorted(said.replace("\n", "").replace(" ", "")) == sorted(
        "".join(told).replace("\n", "").replace(" ", "")
    )
    assert all(text.strip() in said for text in told)
    assert isinstance(error, IncompleteError) if not said.strip() else isinstance(came[-1], Done)
    assert not any(isinstance(event, Reasoning) for event in came)
