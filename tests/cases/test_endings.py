"""How an answer ended: only what is known as a good end counts as one, wherever the endpoint says it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy import Done, IncompleteError, MissyError, Text
from missy.providers.reply import ResponseReader
from missy.providers.wire_chat import ChatReply
from tests.cases.conftest import Asker, chat, data, http, read_case, whole
from tests.servers import Gate

HALF = "Take the blue pill, and nev"
GOOD = ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call")
BAD = [
    "abort", "network_error", "sensitive", "insufficient_system_resource", "model_length", "error", "MAX_TOKENS",
    "max_output_tokens", "SAFETY", "RECITATION", "content-filter", "repetition_truncation", "cancelled",
]  # fmt: skip


@pytest.mark.parametrize("number", range(19))
def test_an_end_that_is_not_known_as_good_is_told_with_its_reason(number, asker: Asker):
    """Thirteen reasons of real endpoints are exit 6 with the reason on stderr; six spellings of a good end are exit 0."""
    done = asker(read_case("finish-reasons")[number])
    assert done.text.rstrip("\n") == HALF
    assert done.code == (6 if number < len(BAD) else 0)
    assert number >= len(BAD) or BAD[number] in done.err


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "key", ["finish_reason", "finishReason", "stop_reason", "native_finish_reason", "stopReason"]
)
def test_the_reason_is_read_under_its_other_names(key, stream, asker: Asker):
    """Streamed or whole: a bad end is bad whatever its key is called, and a good one good."""
    for reason, code in (("Stop", 0), ("max_tokens", 6)):
        reply = (
            chat(HALF, {"delta": {}, key: reason})
            if stream
            else whole(message={"content": HALF}, **{key: reason})
        )
        done = asker(reply)
        assert (done.code, reason in done.err) == (code, code == 6)


def test_another_name_counts_only_where_the_right_one_is_absent(asker: Asker):
    """VLLM puts the text that it stopped at into `stop_reason`."""
    assert asker(chat(HALF, {"delta": {}, "finish_reason": "stop", "stop_reason": "</s>"})).code == 0


def test_another_formats_word_for_calls_is_good_where_there_is_a_call(asker: Asker):
    """`tool_use` after half a sentence is no end that is known; with a call it is one."""
    call = {"index": 0, "id": "c", "function": {"name": "now", "arguments": "{}"}}
    end = {"delta": {}, "finish_reason": "tool_use"}
    assert asker(chat(HALF, end)).code == 6
    assert asker(chat({"delta": {"tool_calls": [call]}}, end)).code == 0


def test_a_bad_end_is_not_taken_back(asker: Asker):
    """Neither by a good one after it nor by the end marker."""
    code, answer = asker.json(
        chat(HALF, {"delta": {}, "finish_reason": "abort"}, {"delta": {}, "finish_reason": "stop"})
    )
    assert (code, answer["finish_reason"], answer["complete"]) == (6, "abort", False)


@pytest.mark.parametrize("number", [0, 1])
def test_an_error_beside_the_text_ends_the_answer_as_that_error(number, asker: Asker):
    """In the choice or in a vendor's own field: the text stays, the error's message is shown."""
    done = asker(read_case("error-inside-choice")[number])
    assert (done.code, done.text.rstrip("\n")) == (5, HALF)
    assert ("the model went away", "no room")[number] in done.err


@pytest.mark.parametrize("holder", ["choice", "message", "top", "vendor"])
def test_an_error_in_a_whole_reply_ends_it_as_that_error(holder, asker: Asker):
    """HTTP 200, a part of the text, and the error somewhere in it."""
    complaint = {"error": {"code": 502, "message": "Provider disconnected"}}
    message = {"content": HALF, **(complaint if holder == "message" else {})}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        **(complaint if holder == "choice" else {}),
    }
    top = complaint if holder == "top" else {"x_vendor": complaint} if holder == "vendor" else {}
    done = asker(http(json.dumps({"choices": [choice], **top}), "application/json"))
    assert (done.code, done.text.rstrip("\n")) == (5, HALF)
    assert "Provider disconnected" in done.err


def test_a_reason_in_every_chunk_does_not_end_the_patience(asker: Asker):
    """Text after a reason is waited for as long as any other: seven seconds here, with ten allowed."""
    (reply,) = read_case("stop-in-every-chunk")
    first, _, rest = reply.partition(b"\n\n")
    asker.serve(first + b"\n\n", gate := Gate(), rest, timeout=20)
    run = asker.missy.start("ask", "hi")
    assert gate.arrived.wait(20)
    with pytest.raises(Exception, match="timed out"):
        run.wait(6)  # longer than the short patience
    gate.open()
    out, _ = run.communicate(timeout=30)
    assert (run.returncode, out) == (0, b"Take the blue pill, and never the red one.\n")


def test_a_connection_that_breaks_is_not_told_as_one_that_was_never_made(asker: Asker):
    """The words are those of a broken connection, not of a failed connect."""
    done = asker(chat(HALF, end=""), reset=True)
    assert (done.code, "broke" in done.err, "could not connect" in done.err) == (6, True, False)


def test_a_connection_that_breaks_after_a_reason_that_text_followed_is_a_cut(asker: Asker):
    """Such a reason says nothing; without the end marker the answer is cut."""
    done = asker(*read_case("early-stop-then-reset"), reset=True)
    assert (done.code, done.text.rstrip("\n")) == (6, HALF)


@pytest.mark.parametrize(
    "after", [{"content": "x"}, {"reasoning_content": "x"}, {"tool_calls": [{"index": 0}]}]
)
def test_what_follows_a_reason_takes_it_back(after, asker: Asker):
    """A clean end without the end marker is a cut where text, thinking or a call came last."""
    end = {"delta": {}, "finish_reason": "stop"}
    assert asker(chat("Hello.", end, {"delta": after}, end="")).code == 6
    assert asker(chat("Hello.", end, {"delta": {"content": ""}}, end="")).code == 0


@pytest.mark.parametrize(
    ("number", "code", "words"), [(0, 5, "it broke"), (1, 6, "cancelled"), (2, 6, "incomplete")]
)
def test_a_completed_response_is_only_whole_if_its_parts_are(number, code, words, asker: Asker):
    """`response.completed` with a response that failed or was cancelled, or with an item that is incomplete."""
    done = asker(read_case("completed-but-failed")[number], codex=True)
    assert (done.code, done.text.rstrip("\n"), words in done.err) == (code, HALF, True)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", ["cancelled", "in_progress", "queued", "failed", "odd"])
def test_a_response_of_any_other_state_is_not_whole(status, stream, asker: Asker):
    """Streamed or whole, its text is kept and it is never exit 0."""
    message = {"type": "message", "content": [{"type": "output_text", "text": HALF}]}
    response = {"status": status, "error": None, "output": [message]}
    body = data({"type": "response.completed", "response": response}) if stream else json.dumps(response)
    done = asker(http(body, "text/event-stream" if stream else "application/json"), codex=True)
    assert (done.code, done.text.rstrip("\n")) == (5 if status == "failed" else 6, HALF)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter", "odd"])
def test_a_completed_response_with_a_reason_to_be_incomplete_is_not_whole(reason, stream, asker: Asker):
    """Where the status and the details of a response disagree, the worse one is believed, and shown."""
    message = {"type": "message", "content": [{"type": "output_text", "text": HALF}]}
    response = {"status": "completed", "incomplete_details": {"reason": reason}, "output": [message]}
    body = data({"type": "response.completed", "response": response}) if stream else json.dumps(response)
    done = asker(http(body, "text/event-stream" if stream else "application/json"), codex=True)
    assert (done.code, done.text.rstrip("\n"), reason in done.err) == (6, HALF, True)


@pytest.mark.parametrize("status", ["incomplete", "cancelled"])
def test_a_call_that_is_not_complete_is_never_handed_out(status, asker: Asker):
    """Its arguments may be a part of what was meant."""
    call = {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}", "status": status}
    end = {"type": "response.completed", "response": {"status": "completed", "output": [call]}}
    code, answer = asker.json(http(data(end)), codex=True)
    assert (code, answer["tool_calls"]) == (6, [])


def test_a_secret_that_comes_back_as_a_reason_is_masked(asker: Asker):
    """On stderr and in `--json`; and a reason is cut at a bounded length."""
    for args in ((), ("--json",)):
        done = asker(
            chat(HALF, {"delta": {}, "finish_reason": "no: sk-own-key-123456"}),
            args=args,
            api_key="sk-own-key-123456",
        )
        assert done.code == 6
        assert "sk-own-key" not in done.err + done.text
    assert len(asker(chat(HALF, {"delta": {}, "finish_reason": "x" * 9999})).err) < 500


def read(*choices: dict, marked: bool) -> tuple[str, MissyError | None, list]:
    reply = ResponseReader("text/event-stream", ChatReply(host="h", model="m"))
    events, error = [], None
    try:
        events += reply.feed(
            data(*({"choices": [choice]} for choice in choices), *(["[DONE]"] if marked else [])).encode()
        )[0]
        events += reply.flush(None)
        events += reply.end(None)
    except MissyError as raised:
        error = raised
    return "".join(event.text for event in events if isinstance(event, Text)), error, events


@settings(max_examples=200)
@given(st.text(max_size=30) | st.sampled_from([*GOOD, *map(str.upper, GOOD), *BAD]), st.booleans())
def test_any_reason_is_on_the_list_or_is_exit_6(reason, marked):
    """Whatever the word: the text is kept, and only a good end is an answer."""
    plain = " ".join(reason.split()).lower().replace("-", "_").replace(" ", "_")
    none = plain in ("", "null", "none")
    text, error, events = read(
        {"delta": {"content": HALF}}, {"delta": {}, "finish_reason": reason}, marked=marked
    )
    assert text == HALF
    if plain in GOOD or (none and marked):
        assert error is None
        assert isinstance(events[-1], Done)
    else:
        assert isinstance(error, IncompleteError)
        assert not any(isinstance(event, Done) for event in events)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from([None, "", "stop", "length"])), max_size=6
    ),
    st.booleans(),
)
def test_an_answer_is_whole_if_it_has_an_end_that_nothing_follows(chunks, marked):
    """Any order of text and reasons: all text is given out; a bad reason stays; the last good one must come last."""
    text, error, _ = read(*({"delta": {"content": t}, "finish_reason": r} for t, r in chunks), marked=marked)
    said = "".join(t for t, _ in chunks)
    assert text == said
    ended = marked
    for piece, reason in chunks:
        ended = marked or bool(reason) or (ended and not piece)
    good = said and ended and not any(reason == "length" for _, reason in chunks)
    assert (error is None) == bool(good)
