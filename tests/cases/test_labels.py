"""Labels give way to the bytes: content types, content codings, and events that are none."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy import MissyError, Text
from missy.net.content_coding import coding_of
from missy.providers.reply import ResponseReader
from missy.providers.wire_chat import ChatReply
from tests.cases.conftest import Asker, chat, data, http, read_case

STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
BODY = data({"choices": [{"index": 0, "delta": {"content": "Hello world."}}]}, STOP, "[DONE]")
WHOLE = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "Hello world."}, "finish_reason": "stop"}]}
)


@pytest.mark.parametrize("number", range(4))
def test_a_reply_is_what_its_first_bytes_say(number, asker: Asker):
    """A stream as JSON or as a page, JSON as a page, JSON with an end marker as a stream."""
    done = asker(read_case("wrong-content-type")[number])
    assert (done.code, done.text) == (0, "Hello world.\n")


@pytest.mark.parametrize("number", range(3))
def test_a_coding_that_is_none_is_no_coding(number, asker: Asker):
    """`none`, a charset, and `identity` in a list over gzip."""
    done = asker(read_case("coding-that-is-none")[number])
    assert (done.code, done.text) == (0, "Hello world.\n")


@pytest.mark.parametrize(
    "kind",
    [
        "text/event-stream",
        "application/json",
        "text/html",
        "text/plain",
        "application/x-ndjson",
        "nonsense",
        None,
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        BODY,
        ": hi\n\n" + BODY,
        "\r\n" + BODY,
        "event: message\n" + BODY,
        WHOLE,
        "\n " + WHOLE,
        WHOLE + "\n\ndata: [DONE]\n\n",
        WHOLE + "data: [DONE]",
    ],
)
def test_any_answer_is_read_under_any_label(kind, body, asker: Asker):
    """Every form of an answer, with every label that servers give it."""
    done = asker(http(body, kind))
    assert (done.code, done.text) == (0, "Hello world.\n")


@settings(max_examples=150)
@given(
    st.sampled_from([BODY, "\ufeff" + BODY, WHOLE, WHOLE + "data: [DONE]\n\n"]),
    st.text(max_size=20) | st.sampled_from(["text/html", "application/json", "text/event-stream"]),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_no_label_and_no_cut_changes_an_answer(body, label, places):
    """Whatever the label, in whatever chunks the bytes come."""
    raw = body.encode()
    ends = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    reply = ResponseReader(label, ChatReply(host="h", model="m"))
    events = []
    for start, end in itertools.pairwise(ends):
        if not reply.finished_reading:
            events += reply.feed(raw[start:end])[0]
    events += reply.flush(None) + reply.end(None)
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Hello world."


@pytest.mark.parametrize(
    "coding", ["none", "", "identity", "UTF-8", "utf8", "ISO-8859-1", "us-ascii", "identity, none", "chunked"]
)
def test_names_of_no_coding_leave_a_body_as_it_is(coding, asker: Asker):
    """And beside a real one they are no step."""
    assert asker(http(BODY, "text/event-stream", f"Content-Encoding: {coding}")).code == 0
    packed = gzip.compress(BODY.encode())
    assert asker(http(packed, "text/event-stream", f"Content-Encoding: {coding}, gzip")).code == 0
    assert (
        asker(
            http(packed, "text/event-stream", f"Content-Encoding: {coding}", "Content-Encoding: x-gzip")
        ).code
        == 0
    )


def test_a_body_is_unpacked_if_its_bytes_are_packed(asker: Asker):
    """Gzip without a word of it, plain bytes that are called gzip, and deflate."""
    assert asker(http(gzip.compress(BODY.encode()))).code == 0
    assert asker(http(BODY, "text/event-stream", "Content-Encoding: gzip")).code == 0
    assert (
        asker(http(zlib.compress(BODY.encode()), "text/event-stream", "Content-Encoding: deflate")).code == 0
    )


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip, gzip", "nonsense"])
def test_a_coding_that_nobody_asked_for_is_a_clear_error(coding, asker: Asker):
    """Named, with exit 5."""
    done = asker(http(b"\x8b\x02\x80xx\x03", "text/event-stream", f"Content-Encoding: {coding}"))
    assert (done.code, coding in done.err) == (5, True)


@given(
    st.lists(st.sampled_from(["none", "", "identity", "utf-8", "IDENTITY", "Latin1"])),
    st.sampled_from(["gzip", "deflate", "br", ""]),
)
def test_only_a_real_coding_is_left_of_a_list(names, real):
    """Wherever it stands among the others."""
    for at in range(len(names) + 1):
        value = ", ".join([*names[:at], real, *names[at:]]).encode()
        assert coding_of([(b"Content-Encoding", value), (b"content-encoding", b"identity")]) == real


@pytest.mark.parametrize("number", range(5))
def test_an_odd_event_does_not_end_a_good_answer(number, asker: Asker):
    """A comment as data, pings, null, and the end marker in quotes."""
    done = asker(read_case("keepalive-as-data")[number])
    assert (done.code, done.text.rstrip("\n")) == (0, "Hello world.")


@pytest.mark.parametrize(
    "odd",
    [
        "data: 5\n\n",
        "data: [1]\n\n",
        "data: true\n\n",
        'data: "x"\n\n',
        "event: keepalive\ndata: {x\n\n",
        "event: heartbeat\ndata: .\n\n",
        "data: OK\n\n",
    ],
)
def test_what_is_no_object_is_passed_over(odd, asker: Asker):
    """Before, within and after an answer."""
    first, rest = BODY.split("\n\n", 1)
    for body in (
        odd + BODY,
        f"{first}\n\n{odd}{rest}",
        BODY.replace("data: [DONE]", odd.strip() + "\n\ndata: [DONE]"),
    ):
        done = asker(http(body))
        assert (done.code, done.text) == (0, "Hello world.\n")


def test_a_broken_object_has_lost_a_piece_of_the_answer(asker: Asker):
    """An answer with a hole is not passed off as whole; after its end it does no harm."""
    first, rest = BODY.split("\n\n", 1)
    done = asker(http(f'{first}\n\ndata: {{"choices": [{{"delta\n\n{rest}'))
    assert (done.code, done.text) == (5, "Hello world.\n")
    assert asker(http(BODY.replace("data: [DONE]", 'data: {"cho\n\ndata: [DONE]'))).code == 0


def test_a_picture_of_some_megabytes_is_left_out_with_a_notice(asker: Asker):
    """As a data URL beside the text, or in the image format of the other one."""
    picture = "data:image/png;base64," + base64.b64encode(bytes(3 << 20)).decode()
    delta = {"content": "Here it is. 😀", "images": [{"type": "image_url", "image_url": {"url": picture}}]}
    done = asker(chat({"delta": delta}, {"delta": {}, "finish_reason": "stop"}))
    assert (done.code, done.text, "picture" in done.err) == (0, "Here it is. 😀\n", True)
    item = {"type": "image_generation_call", "result": picture[22:], "status": "completed"}
    said = {"type": "message", "content": [{"type": "output_text", "text": "Here it is."}]}
    end = {"type": "response.completed", "response": {"status": "completed", "output": [item, said]}}
    done = asker(http(data(end)), codex=True)
    assert (done.code, done.text, "left out" in done.err) == (0, "Here it is.\n", True)


def test_a_long_encrypted_thought_is_kept(asker: Asker):
    """It goes back with the next turn as it came."""
    thought = {"type": "reasoning", "encrypted_content": "x" * (2_300_000), "summary": [{"text": "Hmm…"}]}
    said = {"type": "message", "content": [{"type": "output_text", "text": "Four."}]}
    events = [
        {"type": "response.output_item.done", "output_index": n, "item": item}
        for n, item in enumerate((thought, said))
    ]
    came = asker.events(http(data(*events, {"type": "response.completed", "response": {}})), codex=True)
    assert came[-1].replay[0]["encrypted_content"] == thought["encrypted_content"]


@pytest.mark.parametrize("body", ["", ": hi\n\n", 'data: {"choices": [{"ind'])
def test_a_stream_that_ends_before_its_first_event_is_told_as_that(body, asker: Asker):
    """Exit 5, to be asked again first of all."""
    done = asker(http(body))
    assert done.code == 5
    assert "ask again" in done.err
    assert isinstance(asker.events(http(body))[-1], MissyError)
