"""The Responses format as it goes over the wire: what is asked, what each event means, and a stream that is cut."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest

import missy as library
from missy import Done, Image, Message, Notice, Reasoning, Text, Tool, ToolCall, Usage
from tests.providers.chatgpt import CAPTURES, MODEL, RESPONSES, Outcome, Subscriber, drain, raw
from tests.simulator import Call, Fault, Say, Script, Simulator, Think

HELLO = "Hello from the simulator."
SAID = "Hello, world — äöü ✓ done."
WEATHER = Tool("get_weather", "The weather of a city.", {"type": "object", "properties": {"city": {}}})
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def sse(*events: dict[str, Any] | str) -> bytes:
    """A stream of these events; a text goes out as it is."""
    lines = [
        e if isinstance(e, str) else f"event: {e.get('type')}\ndata: {json.dumps(e)}\n\n" for e in events
    ]
    return "".join(lines).encode()


def answer(person: Subscriber, data: bytes, **wishes: Any) -> Outcome:
    """What becomes of these bytes."""
    person.simulator.backend_faults.add(RESPONSES, raw(data))
    return person.ask(**wishes)


def delta(text: str, **at: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": text, **at}


def completed(**fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"model": MODEL, "output": [], **fields}}


def done_item(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def added(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
        **fields,
    }


# --- what is asked ------------------------------------------------------------------------------------------------


def test_the_least_body_is_what_the_backend_wants(person):
    """Instructions that are never empty, a list as input, store false, stream true, encrypted reasoning; no more."""
    assert person.ask("hi").text == HELLO
    body = person.body
    assert body.pop("instructions").strip()
    assert body == {
        "model": MODEL,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }
    post = person.simulator.backend_origin.journal[-1]
    assert post.headers["authorization"] == f"Bearer {person.stored.access_token.reveal()}"
    assert post.headers["chatgpt-account-id"] == person.stored.account_id
    assert post.headers["originator"]
    assert post.headers["user-agent"].startswith("missy/")
    assert not [
        name for name in post.headers if name.startswith("x-stainless") or name == "openai-organization"
    ]


@pytest.mark.parametrize(
    ("system", "sent"),
    [("Answer in Dutch.", "Answer in Dutch."), (None, None), ("", None), (" \n", None)],
)
def test_the_instructions_are_the_system_text_and_never_empty(person, system, sent):
    """The backend refuses a request without any."""
    outcome = person.ask(system=system)
    assert outcome.code == 0, outcome.error
    assert person.body["instructions"].strip()
    assert sent is None or person.body["instructions"] == sent


def test_a_system_message_becomes_the_developers(person):
    """The backend allows no role of that name."""
    assert person.ask([Message("system", "Be brief."), Message("user", "hi")]).text == HELLO
    assert [item["role"] for item in person.body["input"]] == ["developer", "user"]


@pytest.mark.parametrize(
    ("wishes", "names"),
    [
        ({"temperature": 0.5}, ["temperature"]),
        ({"max_tokens": 5}, ["max_tokens"]),
        ({"temperature": 0.0, "max_tokens": 5, "stream": False}, ["temperature", "max_tokens"]),
        ({}, []),
    ],
)
def test_what_the_backend_refuses_is_left_out_with_one_notice(person, wishes, names):
    """Temperature and the longest answer are not sent; the answer streams whatever was wished."""
    outcome = person.ask(**wishes)
    assert outcome.text == HELLO
    assert not {"temperature", "max_tokens", "max_output_tokens", "max_completion_tokens"} & set(person.body)
    assert person.body["stream"] is True
    notices = outcome.all(Notice)
    assert len(notices) == bool(names)
    assert all(name in notices[0].text for name in names)


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_reasoning_is_asked_for_with_a_summary(person, effort):
    """--reasoning is the effort of the format."""
    assert person.ask(reasoning=effort).code == 0
    assert person.body["reasoning"] == {"effort": effort, "summary": "auto"}


def test_images_go_as_data_addresses(person):
    """Byte for byte, beside the text or alone."""
    images = [Image(PNG, "image/png"), Image(b"\xff\xd8\xff", "image/jpeg")]
    assert person.ask("look", images=images).code == 0
    content = person.body["input"][0]["content"]
    assert [part["type"] for part in content] == ["input_text", "input_image", "input_image"]
    head, _, data = content[1]["image_url"].partition(",")
    assert (head, base64.b64decode(data)) == ("data:image/png;base64", PNG)
    assert person.ask("", images=images[:1]).code == 0
    assert [part["type"] for part in person.body["input"][0]["content"]] == ["input_image"]


def test_a_conversation_with_tools_and_reasoning_goes_back_whole(person):
    """The second turn holds the encrypted reasoning, the text and each call before its output, as they were given."""
    script = Script((Think(("Hm",)), Say(("Let me ",  "look.")), Call("get_weather", '{"city":"Oslo"}', "c1"),
                     Call("get_weather", '{"city":"Rome"}', "c2", pieces=0)), interleave=True)  # fmt: skip
    person.simulator.backend.scripts.append(script)
    first = person.ask("Compare.", tools=[WEATHER], tool_choice="required")
    assert person.body["tools"] == [
        {"type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": False,
         "parameters": WEATHER.parameters}]  # fmt: skip
    assert person.body["tool_choice"] == "required"
    assert first.all(ToolCall) == [
        ToolCall("c1", "get_weather", {"city": "Oslo"}), ToolCall("c2", "get_weather", {"city": "Rome"})]  # fmt: skip
    done = first.events[-1]
    assert (done.finish_reason, done.model, done.request_id) == ("tool_calls", MODEL, "req_sim_1")
    said = Message("assistant", first.text, tool_calls=tuple(first.all(ToolCall)), replay=done.replay)
    results = [Message("tool", f"{n} degrees", tool_call_id=f"c{n}") for n in (1, 2)]
    second = person.ask([Message("user", "Compare."), said, *results], tools=[WEATHER])
    assert second.text == HELLO, second.error
    sent = person.body["input"]
    assert [item["type"] for item in sent] == [
        "message", "reasoning", "message", "function_call", "function_call", *["function_call_output"] * 2]  # fmt: skip
    assert sent[1]["encrypted_content"] == Think(()).encrypted
    assert sent[1]["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert [item["arguments"] for item in sent[3:5]] == ['{"city":"Oslo"}', '{"city":"Rome"}']
    assert [(item["call_id"], item["output"]) for item in sent[5:]] == [
        ("c1", "1 degrees"),
        ("c2", "2 degrees"),
    ]
    assert not [item for item in sent if "status" in item]


def test_a_turn_of_another_provider_is_told_in_this_format(person):
    """Without items to replay, the text and the calls of the turn are said anew."""
    call = ToolCall("c9", "get_weather", {"city": "Köln"})
    turns = [Message("user", "?"), Message("assistant", "Wait.", tool_calls=(call,)),
             Message("tool", "rain", tool_call_id="c9"), Message("assistant", "Rain."), Message("user", "Thanks")]  # fmt: skip
    assert person.ask(turns).text == HELLO
    sent = person.body["input"]
    assert sent[1]["content"] == [{"type": "output_text", "text": "Wait."}]
    assert json.loads(sent[2]["arguments"]) == {"city": "Köln"}
    assert [item["type"] for item in sent[3:]] == ["function_call_output", "message", "message"]


# --- what is answered ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text.sse", "text-empty-output.sse"])
def test_a_recorded_answer_is_read_whole_once(person, name):
    """With and without the items in its last event: each text once, reasoning apart, all counts of the usage."""
    data = (CAPTURES / name).read_bytes()
    outcome = answer(person, data, model="gpt-5.5")
    assert outcome.error is None
    deltas = [
        json.loads(line[6:])["delta"] for line in data.decode().splitlines() if '"response.output_text.delta"' in line
        and line.startswith("data")
    ]  # fmt: skip
    assert [event.text for event in outcome.all(Text)] == deltas
    assert "Thinking" in "".join(event.text for event in outcome.all(Reasoning))
    assert outcome.all(Usage) == [Usage(120, 14, 134, 20, 4)]
    done = outcome.events[-1]
    assert (done.finish_reason, done.model) == ("stop", "gpt-5.5")
    assert {item["type"] for item in done.replay} == {"reasoning", "message"}


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("cut.sse", 6, "cut off"),
        ("failed.sse", 7, "Rate limit reached"),
        ("incomplete.sse", 6, "max_output_tokens"),
    ],
)
def test_a_recorded_failure_is_what_it_says(person, name, code, words):
    """A stream without its end, one that failed, one over its length."""
    outcome = answer(person, (CAPTURES / name).read_bytes(), model="gpt-5.5")
    assert (outcome.code, words in outcome.error.message) == (code, True), outcome.error
    assert outcome.all(Done) == []


def test_a_recorded_call_is_read_once(person):
    """Although its arguments come four times: in pieces, whole, in the item, in the last event."""
    outcome = answer(person, (CAPTURES / "function-call.sse").read_bytes(), model="gpt-5.5")
    assert outcome.all(ToolCall) == [ToolCall("call_fake_1", "get_weather", {"city": "Oslo"})]
    assert outcome.events[-1].finish_reason == "tool_calls"


FRAMINGS = {
    "crlf": {"newline": "\r\n"}, "cr": {"newline": "\r"}, "no space": {"space": False}, "comments": {"comments": True},
    "strays": {"strays": True}, "no names": {"event_names": False}, "bytes": {"chunk": 1}, "threes": {"chunk": 3},
    "done": {"end": "done"}, "no usage": {"usage": None},
    "all": {"newline": "\r\n", "space": False, "comments": True, "strays": True, "chunk": 7},
}  # fmt: skip


@pytest.mark.parametrize("framing", FRAMINGS)
def test_any_framing_is_read_the_same(person, framing):
    """Line ends, comments, unknown events, data that is no JSON, chunks that split a character: the answer is the same."""
    items = (
        Think(("Ü", "ber")),
        Call("f", '{"x": "✓"}', "c1"),
        Say(("Hello, ", "world — ", "äöü ", "✓ done.")),
    )
    person.simulator.backend.scripts.append(Script(items, **FRAMINGS[framing]))
    outcome = person.ask()
    assert (outcome.text, outcome.error) == (SAID, None)
    assert "".join(event.text for event in outcome.all(Reasoning)) == "Über"
    assert outcome.all(ToolCall) == [ToolCall("c1", "f", {"x": "✓"})]
    assert len(outcome.all(Usage)) == (framing != "no usage")


SAYINGS: dict[str, tuple[list[Any], str]] = {
    "only in the done item": ([done_item(0, **message("Hi", id="m")), completed()], "Hi"),
    "only in the last event": ([completed(output=[message("Hi", id="m")])], "Hi"),
    "in all three places": (
        [added(0, type="message", id="m"), delta("Hi"), done_item(0, **message("Hi", id="m")),
         completed(output=[message("Hi", id="m")])], "Hi"),
    "pieces without an item id": (
        [added(0, type="message", id="m"), {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"},
         done_item(0, **message("Hi", id="m")), completed()], "Hi"),
    "pieces without an item id, and no item before": (
        [{"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"},
         done_item(0, **message("Hi", id="m")), completed()], "Hi"),
    "an item without an id": ([delta("Hi"), done_item(0, **message("Hi")), completed()], "Hi"),
    "a last event without ids": (
        [delta("Hi"), done_item(0, **message("Hi", id="m")), completed(output=[message("Hi")])], "Hi"),
    "two messages": (
        [delta("A"), done_item(0, **message("A", id="m")), delta("B", item_id="n", output_index=1),
         done_item(1, **message("B", id="n")), completed()], "A\n\nB"),
    "two messages, the second whole": (
        [delta("A"), done_item(0, **message("A", id="m")), done_item(1, **message("B", id="n")), completed()], "A\n\nB"),
    "two messages at one index": (
        [delta("A"), done_item(0, **message("A", id="m")), delta("B", item_id="n"),
         done_item(0, **message("B", id="n")), completed()], "A\n\nB"),
    "a refusal in words": (
        [{"type": "response.refusal.delta", "item_id": "m", "output_index": 0, "delta": "No."}, completed()], "No."),
    "a refusal in the item": (
        [done_item(0, type="message", id="m", content=[{"type": "refusal", "refusal": "No."}]), completed()], "No."),
    "unknown things in between": (
        [{"type": "response.new.thing", "item": 5}, delta("H"), "data: [1, 2]\n\n", "data: 5\n\n", "data: {\n\n",
         "event: x\n\n", {"type": None, "delta": "?"}, {"type": "codex.rate_limits"}, delta("i"), completed()], "Hi"),
    "odd values": (
        [delta("Hi"), delta(""), {**delta("x"), "delta": None}, {**delta("x"), "delta": 5}, added(0),
         {"type": "response.output_item.done", "item": "x"}, {"type": "response.created", "response": None},
         {"type": "response.completed", "response": None}], "Hi"),
    "the type only in the event's name": (
        ['event: response.output_text.delta\ndata: {"delta": "Hi"}\n\n', "event: response.completed\ndata: {}\n\n"],
        "Hi"),
    "an end marker of another format": ([delta("Hi"), completed(), "data: [DONE]\n\n"], "Hi"),
    "more after the end": ([delta("Hi"), completed(), ": bye\n\n", {"type": "response.x"}], "Hi"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAYINGS)
def test_the_text_comes_once_wherever_it_is_said(person, case):
    """Pieces, done items and the last event repeat each other; nothing is lost and nothing said twice."""
    events, text = SAYINGS[case]
    outcome = answer(person, sse(*events))
    assert (outcome.text, outcome.error) == (text, None)


def test_a_reply_that_is_no_stream_is_read_whole(person):
    """A gateway that answers with one JSON object has answered all the same."""
    person.simulator.backend_faults.add(
        RESPONSES, Fault(200, {"model": MODEL, "status": "completed", "output": [message("Hi", id="m")]})
    )
    assert person.ask().text == "Hi"


def pieces_of(index: int, name: str, *pieces: str) -> list[dict[str, Any]]:
    at = {"item_id": name, "output_index": index}
    return [{"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in pieces]


def call_item(name: str, arguments: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": name,
        "call_id": f"c{name}",
        "name": "f",
        "arguments": arguments,
        **fields,
    }


CALLS: dict[str, tuple[list[Any], list[Any]]] = {
    "interleaved": (
        [added(0, **call_item("a", "")), added(1, **call_item("b", "")), *pieces_of(0, "a", '{"x":'),
         *pieces_of(1, "b", '{"x":', "2"), *pieces_of(0, "a", "1}"), *pieces_of(1, "b", "}"),
         done_item(1, **call_item("b", '{"x":2}')), done_item(0, **call_item("a", '{"x":1}')), completed()], [1, 2]),
    "only done items": (
        [done_item(0, **call_item("a", '{"x":1}')), done_item(1, **call_item("b", '{"x":2}')), completed()], [1, 2]),
    "only in the last event": ([completed(output=[call_item("a", '{"x":1}'), call_item("b", '{"x":2}')])], [1, 2]),
    "pieces, and a done item without arguments": (
        [added(0, **call_item("a", "")), *pieces_of(0, "a", '{"x":', "1}"), done_item(0, **call_item("a", "")),
         completed()], [1]),
    "pieces, and no done item": (
        [added(0, **call_item("a", "")), *pieces_of(0, "a", '{"x":', "1}"), completed()], [1]),
    "whole arguments, and no done item": (
        [added(0, **call_item("a", "")), {"type": "response.function_call_arguments.done", "item_id": "a",
                                          "output_index": 0, "arguments": '{"x":1}'}, completed()], [1]),
    "by index alone": (
        [added(0, type="function_call", call_id="c0", name="f", arguments=""),
         added(1, type="function_call", call_id="c1", name="f", arguments=""),
         {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"x":2}'},
         {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"x":1}'}, completed()], [1, 2]),
    "after text": ([delta("Wait. "), done_item(1, **call_item("a", '{"x":1}')), completed()], [1]),
    "the done item rules": (
        [added(0, **call_item("a", "")), *pieces_of(0, "a", '{"x":7}'), done_item(0, **call_item("a", '{"x":1}')),
         completed()], [1]),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_calls_are_put_together_by_their_item(person, case):
    """In the order of the answer, however the pieces come, and never one call's arguments in another."""
    events, values = CALLS[case]
    outcome = answer(person, sse(*events))
    assert outcome.error is None
    assert [call.arguments["x"] for call in outcome.all(ToolCall)] == values
    assert len({call.id for call in outcome.all(ToolCall)}) == len(values)


def failed(code: str | None, said: str = "It broke.") -> dict[str, Any]:
    return {
        "type": "response.failed",
        "response": {"status": "failed", "error": {"code": code, "message": said}},
    }


def unfinished(reason: str | None) -> dict[str, Any]:
    details = {"reason": reason} if reason else None
    return {
        "type": "response.incomplete",
        "response": {"status": "incomplete", "incomplete_details": details},
    }


# events -> exit code, words of the message, words of the next step
ENDS: dict[str, tuple[list[Any], int, str, str]] = {
    "length": ([delta("Half"), unfinished("max_output_tokens")], 6, "max_output_tokens", "ask for less"),
    "filtered": ([delta("Half"), unfinished("content_filter")], 6, "filtered", "rephrase the prompt"),
    "incomplete without a reason": ([delta("Half"), unfinished(None)], 6, "no reason given", "ask for less"),
    "incomplete in the last event": (
        [delta("Half"), completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"})],
        6, "max_output_tokens", "ask for less"),
    "no end": ([delta("Half")], 6, "cut off", "ask again"),
    "no end, nothing said": ([{"type": "response.created", "response": {}}], 6, "cut off", "ask again"),
    "empty": ([completed()], 6, "empty", "ask again"),
    "only thoughts": (
        [{"type": "response.reasoning_summary_text.delta", "delta": "Hm"}, completed()], 6, "empty", "ask again"),
    "no events": (["\n"], 5, "empty stream", "shorter"),
    "a web page": (["<html>Sign in to the hotel</html>"], 5, "web page", "browser"),
    "an error object": ([json.dumps({"error": {"code": "server_error", "message": "It broke."}})], 5, "It broke", "later"),
    "context_length_exceeded": (
        [failed("context_length_exceeded", "Your input exceeds the context window.")], 5, "context window", "shorten"),
    "insufficient_quota": ([failed("insufficient_quota", "No quota.")], 7, "No quota", "used up"),
    "usage_limit_reached": ([failed("usage_limit_reached", "Limit.")], 7, "Limit", "used up"),
    "usage_not_included": ([failed("usage_not_included", "Upgrade.")], 7, "Upgrade", "plan"),
    "server_is_overloaded": ([failed("server_is_overloaded", "At capacity.")], 5, "At capacity", "later"),
    "server_error": ([failed("server_error")], 5, "It broke", "later"),
    "no code": ([failed(None)], 5, "It broke", "later"),
    "nothing at all": ([{"type": "response.failed"}], 5, "says", "later"),
    "invalid_prompt": ([failed("invalid_prompt", "Not this.")], 5, "Not this", "rephrase the prompt"),
    "cyber_policy": ([failed("cyber_policy", "Not this.")], 5, "Not this", "rephrase the prompt"),
    "bio_policy": ([failed("bio_policy", "Not this.")], 5, "Not this", "rephrase the prompt"),
    "content_policy_violation": ([failed("content_policy_violation", "Not this.")], 5, "Not this", "rephrase the prompt"),
    "model_not_found": ([failed("model_not_found", "No such model.")], 5, "No such model", "missy models"),
    "rate_limit_exceeded": ([failed("rate_limit_exceeded", "Please try again in 90s.")], 7, "try again", "resets in"),
    "rate_limit_exceeded without a time": ([failed("rate_limit_exceeded", "Slow.")], 7, "Slow", "wait a moment"),
    "a flat error": ([{"type": "error", "code": "server_error", "message": "It broke."}], 5, "It broke", "later"),
    "an error as over a web socket": (
        [{"type": "error", "status": 400, "error": {"type": "invalid_request_error", "message": "Bad input."}}],
        5, "Bad input", "see its message"),
    "a limit as over a web socket": (
        [{"type": "error", "status": 429, "error": {"type": "usage_limit_reached", "message": "Limit.",
                                                    "resets_at": 4_000_000_000}}], 7, "Limit", "resets in"),
    "arguments that are no object": (
        [done_item(0, **call_item("a", "[1]")), completed()], 5, "not a JSON object", "ask again"),
    "arguments that are cut": (
        [done_item(0, **call_item("a", '{"x":')), completed()], 5, "not a JSON object", "ask again"),
    "a call without a name": (
        [done_item(0, type="function_call", id="a", call_id="c", arguments="{}"), completed()], 5, "without a name", "again"),
    "an event that is too long": (["data: " + "x" * (16 << 20)], 5, "longer than", "ask again"),
    "too many items": ([event for n in range(3000) for event in pieces_of(n, str(n), "{")], 5, "too many items", "ask again"),
    "too much kept": (
        [done_item(n, type="reasoning", id=f"r{n}", encrypted_content="x" * (1 << 20)) for n in range(17)],
        5, "longer than", "ask again"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_every_other_end_is_an_error_with_its_next_step(person, case):
    """No answer passes for whole that is not; what was said before is kept; the request id is there; one request."""
    events, code, said, hint = ENDS[case]
    outcome = answer(person, sse(*events))
    assert outcome.code == code, outcome.error
    assert said in outcome.error.message
    assert hint in outcome.error.hint
    assert outcome.all(Done) == []
    assert outcome.text == ("Half" if events[0] == delta("Half") else "")
    assert person.posts == 1
    if code != 5:
        assert outcome.error.request_id == "req_raw"


def test_a_failure_after_text_keeps_the_text_and_is_not_tried_again(person):
    """What was shown is not shown twice."""
    person.set(max_retries=3)
    shown = threading.Event()
    limit = {"code": "rate_limit_exceeded", "message": "Please try again in 0.01s."}
    person.simulator.backend.scripts.append(
        Script((Say(("Half",)),), end="failed", error=limit, before=lambda n: n < 7 or shown.wait(60))
    )
    outcome = Outcome()
    with library.Missy.open() as missy, pytest.raises(library.LimitError):
        for event in missy.ask("hi", model=MODEL):
            outcome.events.append(event)
            shown.set()
    assert (outcome.text, person.posts) == ("Half", 1)


@pytest.mark.parametrize(
    ("said", "asked"),
    [("Please try again in 0.6s.", 0.6), ("Try again in 300ms", 0.3), ("try again in 0.2 s", 0.2)],
)
def test_a_limit_that_says_when_is_waited_for(person, said, asked):
    """Before anything is shown: the wait that the message names, and the same request again."""
    person.set(max_retries=1)
    person.simulator.backend_faults.add(RESPONSES, raw(sse(failed("rate_limit_exceeded", said))))
    answered: list[float] = []
    begun = time.monotonic()
    outcome = person.ask()
    answered.append(time.monotonic() - begun)
    assert (outcome.text, person.posts) == (HELLO, 2)
    assert answered[0] >= asked
    first, second = (r.body for r in person.simulator.journal if r.path == RESPONSES)
    assert first == second


def test_a_wait_that_is_too_long_or_nonsense_is_not_waited_for(person):
    """Longer than the timeout, or no number: 7 at once, with the time where there is one."""
    person.set(max_retries=2, timeout=2)
    for said in ("try again in 3600s", "try again in 1.2.3s", "try again in .s"):
        outcome = answer(person, sse(failed("rate_limit_exceeded", said)))
        assert outcome.code == 7, outcome.error
    assert person.posts == 3


# --- cut at every byte --------------------------------------------------------------------------------------------


def _cuts(simulator: Simulator, missy: library.Missy, data: bytes, *, broken: bool) -> int:
    """Ask once for each length of `data`; return how many answers were whole."""
    whole = 0
    for length in range(len(data)):
        fault = raw(data, cut=length) if broken else raw(data[:length])
        simulator.backend_faults.add(RESPONSES, fault)
        outcome = drain(missy.ask("hi", model="gpt-5.5"))
        finished = b'"response.completed"' in data[:length].rpartition(b"\n\n")[0]
        deltas = [event.text for event in outcome.all(Text)]
        if finished:
            whole += 1
            assert outcome.error is None, (length, outcome.error)
            continue
        assert outcome.error is not None, length
        assert not outcome.all(Done), length
        assert not outcome.all(ToolCall), length
        assert outcome.code == 6 or (outcome.code == 5 and not deltas), (length, outcome.error)
        assert deltas == _deltas(data[:length]), length
    return whole


def _deltas(data: bytes) -> list[str]:
    """The pieces of text in the whole events of `data`."""
    lines = data.rpartition(b"\n\n")[0].decode().splitlines()
    values = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return [value["delta"] for value in values if value["type"] == "response.output_text.delta"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "broken"),
    [("text-empty-output.sse", True), ("text-empty-output.sse", False), ("function-call.sse", False)],
)
def test_an_answer_that_is_cut_at_any_byte_is_never_whole(person, name, broken):
    """The connection broken, or ended as if all was well: 6, or 5 before any text; what came before is kept."""
    data = (CAPTURES / name).read_bytes()
    with library.Missy.open() as missy:
        whole = _cuts(person.simulator, missy, data, broken=broken)
    assert whole <= 1, whole  # only the last empty line may be missing
