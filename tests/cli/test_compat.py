"""The quirks of endpoints that call themselves compatible: a test for each, through the command and a socket."""

from __future__ import annotations

import gzip
import json
import re
import time

import pytest

from missy import Done, Message, Missy, Text, Tool, ToolCall
from tests.command import Command
from tests.servers import (
    CUT,
    Gate,
    chat_answer,
    chat_chunk,
    chat_error,
    chat_stream,
    event_stream,
    json_response,
    replay,
    response,
    sse,
    tool_delta,
)

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COUNTED = {
    "input_tokens": 3,
    "output_tokens": 2,
    "total_tokens": 5,
    "cached_tokens": None,
    "reasoning_tokens": None,
}
DONE = sse("[DONE]")
STOP = sse(chat_chunk({}, "stop"))
HTML = (
    b"<!DOCTYPE html><html><head><title>Welcome to the hotel</title></head><body>Please log in</body></html>"
)


@pytest.fixture
def talk(missy: Command, serve):
    """Ask a server that answers with the script, and return the run, its JSON object and the server."""

    def go(*script, args=(), prompt="hi", **entry):
        origin = serve(*script)
        missy.entry(origin.url, **entry)
        ran = missy.inside("ask", prompt, "--json", *args)
        return ran, ran.json(), origin

    return go


# --- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        chat_chunk({"role": "assistant", "content": None}),
        {**chat_chunk(), "choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {**chat_chunk(), "choices": None},
        {**chat_chunk(), "choices": []},
        {"choices": [{"delta": {"content": ""}}]},
        {
            **chat_chunk(),
            "choices": [],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
        },
    ],
    ids=[
        "content-null",
        "delta-null",
        "choices-null",
        "choices-empty",
        "no-id-created-model",
        "azure-filter-results",
    ],
)
def test_an_odd_first_event_does_not_stop_the_answer(odd, missy, serve):
    """A first event with nulls, without choices or without id, created and model is passed over."""
    missy.entry(serve(event_stream(sse(odd), sse(chat_chunk("hel"), chat_chunk("lo")), STOP, DONE)).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"], ran.json()["complete"]) == (0, "hello", True)


def test_an_answer_without_id_created_and_model_is_whole(talk):
    """Events that hold nothing but their choices make an answer."""
    events = [
        {"choices": [{"delta": {"content": "hello"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    ]
    ran, got, _ = talk(event_stream(sse(*events), DONE))
    assert (ran.code, got["text"], got["finish_reason"]) == (0, "hello", "stop")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"choices": [], "usage": USAGE}, COUNTED),
        ({"choices": [{"index": 0, "delta": {}}], "usage": USAGE}, COUNTED),
        ({"choices": [], "usage": {"prompt_tokens": 3}}, {**dict.fromkeys(COUNTED), "input_tokens": 3}),
        ({"choices": [], "usage": None}, None),
        ({"choices": []}, None),
        (
            {
                "choices": [],
                "usage": {
                    **USAGE,
                    "prompt_tokens_details": {"cached_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                },
            },
            {**COUNTED, "cached_tokens": 1, "reasoning_tokens": 0},
        ),
    ],
    ids=["no-choices", "empty-choice", "partial", "null", "never", "details"],
)
def test_usage_is_taken_where_it_is_and_never_made_up(last, expected, missy, serve):
    """Usage comes after the finish reason in one of several shapes; what was not said is null, never 0."""
    missy.entry(serve(event_stream(sse(chat_chunk("x")), STOP, sse({**chat_chunk(), **last}), DONE)).url)
    ran = missy.inside("ask", "hi", "--json")
    usage = ran.json()["usage"]
    if expected is not None and expected["total_tokens"] is None:
        usage = {
            **usage,
            "total_tokens": None,
        }  # a sum of what was said would be no lie, but output was not said
        assert ran.json()["usage"]["total_tokens"] != 0
    assert (ran.code, usage) == (0, expected)


def test_usage_beside_the_finish_reason_counts(talk):
    """Usage in the same event as the last choice is read too."""
    _, got, _ = talk(event_stream(sse(chat_chunk("x"), chat_chunk({}, "stop", usage=USAGE)), DONE))
    assert got["usage"] == COUNTED


def test_an_event_stream_without_an_event_is_an_error(talk):
    """200, text/event-stream, and nothing in it: an error, not an empty answer."""
    ran, got, _ = talk(replay("llama-cpp-python-0.3.36", "err_context_overflow_stream"))
    assert ran.code == 5
    assert (got["complete"], got["text"]) == (False, "")
    assert got["error"]["message"]


@pytest.mark.parametrize(
    "event",
    [
        sse({"error": {"code": 500, "message": "the model fell over", "type": "server_error"}}),
        b'event: error\ndata: {"error": {"message": "the model fell over", "type": "server_error"}}\n\n',
        b'event: error\ndata: {"message": "the model fell over"}\n\n',
        sse({"error": "the model fell over"}),
        b"event: error\ndata: the model fell over\n\n",
    ],
    ids=["data-error", "event-error", "event-error-bare", "error-string", "event-error-text"],
)
def test_an_error_in_mid_stream_is_typed_and_keeps_the_text(event, missy, serve):
    """An error object under 200 ends the answer as an error; what came before it is kept."""
    missy.entry(serve(event_stream(sse(chat_chunk("half an ans")), event, DONE)).url)
    ran = missy.inside("ask", "hi", "--json")
    got = ran.json()
    assert (ran.code, got["complete"], got["text"]) == (5, False, "half an ans")
    assert "the model fell over" in got["error"]["message"]


def test_an_end_without_finish_reason_and_done_is_incomplete(talk):
    """A stream that just ends is not a whole answer: exit 6, the text kept."""
    ran, got, _ = talk(event_stream(sse(chat_chunk("half"))))
    assert (ran.code, got["complete"], got["text"], got["error"]["type"]) == (6, False, "half", "incomplete")


def test_a_stream_that_breaks_off_is_incomplete(missy, serve):
    """A connection that breaks in mid-answer leaves the text on stdout and exits 6."""
    missy.entry(serve(event_stream(sse(chat_chunk("half")), end=False)).url)
    ran = missy("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n")) == (6, "half")
    assert ran.err.startswith("missy: ")


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_a_finish_reason_without_done_is_complete(end, missy, serve):
    """The finish reason is what makes an answer whole; [DONE] may be missing, and the last chunk with it."""
    missy.entry(serve(event_stream(sse(chat_chunk("hello")), STOP, end=end)).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["complete"], ran.json()["text"]) == (0, True, "hello")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "no-stream"])
def test_html_with_200_is_said_to_be_html(stream, talk):
    """A captive portal's page is an error that says what it is."""
    ran, got, _ = talk(response(200, HTML, kind="text/html"), args=[] if stream else ["--no-stream"])
    assert (ran.code, got["text"]) == (5, "")
    assert re.search("HTML|web page", got["error"]["message"])


def test_html_in_place_of_the_list_of_models_is_said_to_be_html(missy, serve):
    """A captive portal in front of `missy models` is called a web page."""
    missy.entry(serve(response(200, HTML, kind="text/html")).url)
    ran = missy.inside("models")
    assert (ran.code, ran.text) == (5, "")
    assert "web page" in ran.err


def test_an_answer_of_blanks_is_empty(talk):
    """White space alone is not an answer: exit 6, not a blank line and 0."""
    ran, got, _ = talk(chat_stream(" ", "\n", "\n\n"))
    assert (ran.code, got["complete"]) == (6, False)
    assert "empty" in got["error"]["message"]


def test_html_that_claims_to_be_an_event_stream_is_an_error(missy, serve):
    """The bytes count: HTML under the right content type is not an answer either."""
    missy.entry(serve(response(200, HTML, kind="text/event-stream")).url)
    assert missy.inside("ask", "hi", "--json").code == 5


HELLO = json.dumps(chat_chunk("héllo ✓"), ensure_ascii=False).encode()
FINISH = json.dumps(chat_chunk({}, "stop")).encode()
SPLIT = HELLO.index("✓".encode()) + 1
HALVES = json.dumps(chat_chunk("héllo ✓"), ensure_ascii=False, indent=0).encode().split(b"\n", 2)


@pytest.mark.parametrize(
    "pieces",
    [
        [b": ping\n\n: another\ndata: " + HELLO + b"\n\n:\n\ndata: " + FINISH + b"\n\n"],
        [b"data: " + HELLO + b"\r\rdata: " + FINISH + b"\r\rdata: [DONE]\r\r"],
        [b"data: " + HELLO + b"\r\n\r\ndata: " + FINISH + b"\r\n\r\ndata: [DONE]\r\n\r\n"],
        [b"data: " + HELLO + b"\r", b"\n\r", b"\ndata: " + FINISH + b"\r", b"\n\r", b"\n"],
        [b"data:" + HELLO + b"\n\ndata:" + FINISH + b"\n\ndata:[DONE]\n\n"],
        [b"\xef\xbb\xbfdata: " + HELLO + b"\n\ndata: " + FINISH + b"\n\n"],
        [b"\xef", b"\xbb", b"\xbfdata: " + HELLO + b"\n\ndata: " + FINISH + b"\n\n"],
        [
            b"retry: 100\n\nid: 1\n\nid\n\ndata: "
            + HELLO
            + b"\nid: 2\n\nid: 3\n: c\n\ndata: "
            + FINISH
            + b"\n\nid: 4\n\n"
        ],
        [b"data: " + HELLO[:SPLIT], HELLO[SPLIT:] + b"\n", b"\ndata: " + FINISH + b"\n\n"],
        [
            b"data: "
            + HELLO
            + b"\n\ndata: "
            + FINISH
            + b"\n\ndata: [DONE]\n\ndata: "
            + HELLO
            + b"\n\ndata: {broken\n\n"
        ],
        [
            b"".join(b"data: " + part.replace(b"\n", b"\ndata: ") + b"\n" for part in HALVES)
            + b"\ndata: "
            + FINISH
            + b"\n\n"
        ],
        [b"data: " + HELLO + b"\nunknown: field\nfoo\n\ndata: " + FINISH + b"\n\n"],
        [b"data\n\ndata:\n\ndata: " + HELLO + b"\n\ndata: " + FINISH + b"\n\n"],
        [b"event: message\ndata: " + HELLO + b"\n\nevent: message\ndata: " + FINISH + b"\n\n"],
        [bytes([byte]) for byte in b"data: " + HELLO + b"\n\ndata: " + FINISH + b"\n\n"],
    ],
    ids=[
        "comments",
        "cr",
        "crlf",
        "crlf-split",
        "no-space",
        "bom",
        "bom-split",
        "id-retry-alone",
        "split-utf8",
        "after-done",
        "data-over-lines",
        "unknown-fields",
        "empty-data",
        "event-message",
        "byte-by-byte",
    ],
)
def test_the_event_stream_grammar_holds_to_the_letter(pieces, missy, serve):
    """However the events are written and cut into packets, the answer is the same."""
    missy.entry(serve(event_stream(*pieces)).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"]) == (0, "héllo ✓")


def test_an_event_without_its_blank_line_does_not_count(missy, serve):
    """An incomplete event at the end of the stream is ignored, so a cut-off finish reason does not make the answer whole."""
    missy.entry(serve(event_stream(b"data: " + HELLO + b"\n\ndata: " + FINISH)).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"]) == (6, "héllo ✓")


def test_a_close_delimited_stream_is_read(missy, serve):
    """A stream without chunks and without length ends with the connection."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    missy.entry(serve([head + sse(chat_chunk("hello")), STOP + DONE]).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"]) == (0, "hello")


def test_json_in_place_of_a_stream_is_an_answer(missy, serve):
    """An endpoint that cannot stream and answers in one piece is understood."""
    missy.entry(serve(chat_answer("all at once", usage=USAGE)).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"], ran.json()["usage"]) == (0, "all at once", COUNTED)


@pytest.mark.parametrize(
    "page",
    [
        response(403, HTML, ("cf-mitigated", "challenge"), kind="text/html"),
        response(
            403, b"<html><title>Just a moment...</title></html>", ("Server", "cloudflare"), kind="text/html"
        ),
    ],
    ids=["cf-mitigated", "just-a-moment"],
)
def test_a_cloudflare_page_is_called_that_and_is_no_fault_of_the_key(page, missy, serve):
    """A blocking page before the endpoint exits 5 and names Cloudflare, and does not ask for a new login."""
    missy.entry(serve(page).url, api_key="sk-test-000000")
    ran = missy.inside("ask", "hi", "--json")
    got = ran.json()
    assert (ran.code, got["error"]["status"]) == (5, 403)
    assert "blocked by Cloudflare" in got["error"]["message"]
    assert not re.search("api_key|check|log in|login|auth", got["error"]["hint"].lower())


# --- tool calls -----------------------------------------------------------------------------------------------------

PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (
            [tool_delta(0, "a", "w", PARIS), tool_delta(0, "b", "w", ROME)],
            [("a", "w", {"city": "Paris"}), ("b", "w", {"city": "Rome"})],
        ),
        (
            [
                tool_delta(0, "a", "w", None),
                tool_delta(0, None, None, '{"city": '),
                tool_delta(0, None, None, '"Paris"}'),
            ],
            [("a", "w", {"city": "Paris"})],
        ),
        (
            [
                tool_delta(0, "a", "w", '{"city": '),
                tool_delta(1, "b", "w", '{"city": '),
                tool_delta(0, None, None, '"Paris"}'),
                tool_delta(1, None, None, '"Rome"}'),
            ],
            [("a", "w", {"city": "Paris"}), ("b", "w", {"city": "Rome"})],
        ),
        (
            [
                tool_delta(0, "a", "w", ""),
                tool_delta(0, "a", None, '{"city": "Par'),
                tool_delta(0, "a", None, 'is"}'),
            ],
            [("a", "w", {"city": "Paris"})],
        ),
        (
            [tool_delta(0, None, "w", PARIS), tool_delta(1, None, "w", ROME)],
            [(None, "w", {"city": "Paris"}), (None, "w", {"city": "Rome"})],
        ),
        (
            [tool_delta(0, "", "w", PARIS)],
            [(None, "w", {"city": "Paris"})],
        ),
        (
            [tool_delta(None, "a", "w", PARIS), tool_delta(None, "b", "w", ROME)],
            [("a", "w", {"city": "Paris"}), ("b", "w", {"city": "Rome"})],
        ),
        (
            [tool_delta(0, "a", "w", None), {"content": ""}, tool_delta(0, None, None, PARIS)],
            [("a", "w", {"city": "Paris"})],
        ),
    ],
    ids=[
        "index-always-0",
        "index-without-id",
        "interleaved",
        "same-id-again",
        "ids-missing",
        "id-empty",
        "no-index",
        "arguments-last",
    ],
)
def test_tool_calls_are_put_together_however_they_come(deltas, expected, missy, serve):
    """Names, ids and arguments belong together by id where there is one and by index otherwise; a missing id is made."""
    missy.entry(serve(chat_stream(*deltas, finish="tool_calls")).url)
    ran = missy.inside("ask", "hi", "--json")
    calls = ran.json()["tool_calls"]
    ids = [call["id"] for call in calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    made = [(None if want[0] is None else call["id"]) for call, want in zip(calls, expected, strict=True)]
    assert [(i, call["name"], call["arguments"]) for i, call in zip(made, calls, strict=True)] == expected
    assert (ran.code, ran.json()["finish_reason"]) == (0, "tool_calls")


@pytest.mark.parametrize(
    "arguments",
    [PARIS + ROME, '{"city": "Par', "Paris", '["Paris"]', "null", "{'city': 'Paris'}"],
    ids=["two-objects", "cut", "bare", "list", "null", "python"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "no-stream"])
def test_arguments_that_are_no_json_object_are_an_error(arguments, stream, missy, serve):
    """Broken arguments are never taken for `{}`, nor for the first of two objects."""
    call = tool_delta(0, "a", "w", arguments)
    whole = {"tool_calls": [{k: v for k, v in call["tool_calls"][0].items() if k != "index"}]}
    reply = (
        chat_stream(call, finish="tool_calls") if stream else chat_answer(None, "tool_calls", message=whole)
    )
    missy.entry(serve(reply).url)
    ran = missy.inside("ask", "hi", "--json", *([] if stream else ["--no-stream"]))
    got = ran.json()
    assert (ran.code, got["tool_calls"], got["complete"]) == (5, [], False)
    assert "arguments" in got["error"]["message"]


def test_text_in_place_of_a_required_tool_call_is_an_answer(missy, serve):
    """Servers that ignore `tool_choice: required` answer with text, and text it is."""
    missy.entry(serve(replay("xllamacpp-qwen-tool-template", "tools_result_turn")).url, model="smollm2-135m")
    ran = missy.inside("ask", "hi", "--no-stream")
    assert (ran.code, ran.text.strip()) == (0, "<tool_response>\nsunny, 21 C\n</tool_response>")


# --- requests -------------------------------------------------------------------------------------------------------


@pytest.fixture
def openai(missy: Command, serve, tunnel, certify, ca_bundle):
    """Ask a server that stands in for api.openai.com, behind a proxy and with a certificate of the test CA."""

    def go(*script, args=(), **entry):
        origin = serve(*script, tls=certify("api.openai.com"))
        proxy = tunnel({"api.openai.com:443": origin.port})
        network = {"proxy": proxy.url, "ca_bundle": str(ca_bundle)}
        missy.entry("https://api.openai.com/v1", api_key="sk-test-000000", network=network, **entry)
        ran = missy.inside("ask", "hi", "--json", *args)
        assert set(proxy.connects) == {"api.openai.com:443"}, ran.err
        return ran, origin

    return go


def test_system_is_system_for_everyone_else(talk):
    """Other endpoints get the role `system`, which all of them know."""
    _, _, origin = talk(chat_stream("x"), args=["--system", "Be brief."])
    assert origin.last.json()["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_system_is_developer_for_openai_alone(openai):
    """OpenAI's own hosts get the role `developer`; a reasoning model there gets `max_completion_tokens`."""
    ran, origin = openai(
        chat_stream("x"), args=["--system", "Be brief.", "--max-tokens", "9"], model="o3-mini"
    )
    body = origin.last.json()
    assert ran.code == 0
    assert body["messages"][0] == {"role": "developer", "content": "Be brief."}
    assert (body.get("max_completion_tokens"), "max_tokens" in body) == (9, False)


def test_max_tokens_is_what_everyone_else_gets(talk):
    """`max_tokens` is the field that all endpoints know."""
    _, _, origin = talk(chat_stream("x"), args=["--max-tokens", "9"], model="o3-mini")
    assert origin.last.json()["max_tokens"] == 9
    assert "max_completion_tokens" not in origin.last.json()


TOKENS_400 = chat_error(
    400,
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    type="invalid_request_error",
    param="max_tokens",
    code="unsupported_parameter",
)


def test_a_400_that_names_max_tokens_is_retried_once_with_the_other(talk):
    """The refused field is replaced by its twin, once, without counting as a retry."""
    ran, got, origin = talk(TOKENS_400, chat_stream("hello"), args=["--max-tokens", "9"], max_retries=0)
    first, second = origin.bodies()
    assert (first["max_tokens"], second["max_completion_tokens"], "max_tokens" in second) == (9, 9, False)
    assert (ran.code, got["text"]) == (0, "hello")


def test_what_an_endpoint_refused_is_remembered(missy, serve):
    """The next run sends the right field at once; other endpoints are not affected."""
    origin, other = serve(TOKENS_400, chat_stream("hello")), serve(chat_stream("hello"))
    for origins in (origin, origin, other):
        missy.entry(origins.url)
        assert missy.inside("ask", "hi", "--max-tokens", "9").code == 0
    names = [sorted({"max_tokens", "max_completion_tokens"} & set(body)) for body in origin.bodies()]
    assert names == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]
    assert other.last.json()["max_tokens"] == 9


def test_a_400_that_names_the_new_field_goes_back_to_max_tokens(openai):
    """It works the other way round too."""
    refusal = chat_error(
        400, "Unknown field max_completion_tokens", type="invalid_request_error", param=None, code=None
    )
    ran, origin = openai(refusal, chat_stream("hello"), args=["--max-tokens", "9"], model="o3-mini")
    first, second = origin.bodies()
    assert (first["max_completion_tokens"], second["max_tokens"], "max_completion_tokens" in second) == (
        9,
        9,
        False,
    )
    assert ran.code == 0


def test_a_400_that_names_the_field_twice_is_told(talk):
    """One retry with the twin is all: the second refusal is the error."""
    ran, got, origin = talk(TOKENS_400, args=["--max-tokens", "9"])
    assert (ran.code, got["error"]["status"], len(origin.requests)) == (5, 400, 2)


@pytest.mark.parametrize(
    ("field", "args"),
    [("stream_options", []), ("temperature", ["--temperature", "0.5"])],
    ids=["stream_options", "temperature"],
)
def test_a_400_that_names_an_optional_field_is_retried_without_it(field, args, talk):
    """An endpoint that refuses an optional field is asked again without it."""
    refusal = chat_error(
        400, f"Unrecognized request argument supplied: {field}", type="invalid_request_error", code=None
    )
    ran, got, origin = talk(refusal, chat_stream("hello"), args=args)
    first, second = origin.bodies()
    assert (field in first, field in second) == (True, False)
    assert (ran.code, got["text"]) == (0, "hello")


def test_a_400_that_names_nothing_we_sent_is_not_retried(talk):
    """Another 400 is an error at once."""
    ran, _, origin = talk(chat_error(400, "temperature is fine, but I do not like you"), max_retries=2)
    assert (ran.code, len(origin.requests)) == (5, 1)


def test_no_optional_field_and_no_fingerprint_is_sent(talk):
    """The body holds what was asked for, and the headers hold no SDK's fingerprint and one plain User-Agent."""
    _, _, origin = talk(chat_stream("x"), api_key="sk-test-000000")
    request = origin.last
    body = request.json()
    assert body.pop("stream_options", {"include_usage": True}) == {
        "include_usage": True
    }  # --json asks for usage
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    names = [name.lower() for name, _ in request.headers]
    assert not [name for name in names if name.startswith(("x-stainless", "openai-", "idempotency"))]
    assert names.count("user-agent") == 1
    agent = request.header("user-agent")
    assert agent.startswith("missy/")
    assert "openai" not in agent.lower()
    assert "python" not in agent.lower()
    assert set(names) <= {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "authorization",
        "content-type",
        "content-length",
        "connection",
    }
    assert request.header("host") == f"127.0.0.1:{origin.port}"
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")


def test_without_streaming_no_stream_field_is_asked_for(talk):
    """`--no-stream` sends no stream options."""
    _, got, origin = talk(chat_answer("x"), args=["--no-stream"])
    assert origin.last.json().get("stream", False) is False
    assert "stream_options" not in origin.last.json()
    assert got["text"] == "x"


def test_content_that_is_only_text_is_a_string(talk):
    """Text goes as a string, not as parts, which some templates answer with 500."""
    _, _, origin = talk(chat_stream("x"), prompt="one\ntwo", args=["--system", "s"])
    assert [message["content"] for message in origin.last.json()["messages"]] == ["s", "one\ntwo"]


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (chat_error(400, "no good", code=400), 5, "no good"),
        (chat_error(400, "no good", code="bad_thing"), 5, "no good"),
        (chat_error(400, "no good", code=None), 5, "no good"),
        (chat_error(400, "no good"), 5, "no good"),
        (json_response({"error": "no good"}, 400), 5, "no good"),
        (json_response({"message": "no good"}, 400), 5, "no good"),
        (json_response({"detail": "no good"}, 422), 5, "no good"),
        (json_response({"detail": {"code": "no_good", "message": "no good"}}, 400), 5, "no good"),
        (json_response({"detail": {"code": "deactivated_workspace"}}, 402), 5, "deactivated_workspace"),
        (json_response({"detail": [{"loc": ["body"], "msg": "field required"}]}, 422), 5, "field required"),
        (json_response([{"error": {"code": 400, "message": "no good"}}], 400), 5, "no good"),
        (response(400, b"no good"), 5, "no good"),
        (response(502, HTML, kind="text/html"), 5, "502"),
        (response(400, b""), 5, "400"),
        (response(400, b"\xff\xfe{"), 5, "400"),
        (json_response(None, 400), 5, "400"),
        (json_response({"error": {"message": None, "type": "odd_type"}}, 400), 5, "odd_type"),
        (chat_error(500, "messages: field required", type="internal_server_error"), 5, "field required"),
        (chat_error(401, "Incorrect API key provided", code="invalid_api_key"), 4, "Incorrect API key"),
        (chat_error(403, "not for you"), 4, "not for you"),
        (chat_error(400, "No connected db.", type="no_db_connection", code="400"), 4, "No connected db."),
        (chat_error(400, "API key not valid. Please pass a valid API key."), 4, "API key not valid"),
        (chat_error(404, "The model `x` does not exist", code="model_not_found"), 5, "does not exist"),
    ],
    ids=[
        "code-integer",
        "code-string",
        "code-null",
        "code-absent",
        "error-string",
        "message-alone",
        "detail-string",
        "detail-object",
        "detail-code-alone",
        "detail-list",
        "list-of-one-google",
        "plain-text",
        "html",
        "empty",
        "not-utf8",
        "json-null",
        "message-null",
        "clients-fault-as-500",
        "401",
        "403",
        "key-refused-as-400-litellm",
        "key-refused-as-400-google",
        "no-such-model",
    ],
)
def test_an_error_is_understood_in_every_shape(reply, code, words, missy, serve):
    """Whatever the body looks like, the status decides, the server's words are shown and a hint follows."""
    missy.entry(serve(reply).url, api_key="sk-test-000000")
    ran = missy.inside("ask", "hi", "--json")
    error = ran.json()["error"]
    assert ran.code == code
    assert words in error["message"]
    assert "\n" not in error["message"]
    assert error["hint"]
    assert str(error["status"]) in reply.split(b"\r\n")[0].decode()


def test_no_key_is_not_blamed_for_a_server_that_is_down(talk):
    """A 503 is not reported as a missing key, even if none was sent."""
    ran, got, _ = talk(chat_error(503, "overloaded"), max_retries=0)
    assert ran.code == 5
    assert "key" not in got["error"]["hint"]


def test_no_key_that_is_answered_500_points_at_the_key(talk):
    """LiteLLM answers a request without a key with a bare 500: the hint names the missing key."""
    ran, got, origin = talk(replay("litellm-proxy-1.106.2", "err_no_key"))
    assert origin.last.header("authorization") is None
    assert (ran.code, got["error"]["status"]) == (5, 500)
    assert "key" in got["error"]["hint"]


@pytest.mark.parametrize(
    "reply",
    [
        replay("xllamacpp-2026.10.11549", "err_context_overflow"),
        replay("llama-cpp-python-0.3.36", "err_context_overflow"),
        replay("litellm-proxy-1.106.2", "err_context_overflow"),
    ],
    ids=["type", "code", "message"],
)
def test_context_overflow_is_recognised_by_type_code_or_message(reply, missy, serve):
    """A request that is too long for the model is reported as such, with a hint."""
    missy.entry(serve(reply).url)
    ran = missy.inside("ask", "hi", "--json")
    error = ran.json()["error"]
    assert (ran.code, error["status"]) == (5, 400)
    assert "context" in error["message"] + error["hint"]
    assert "short" in error["hint"]


def test_another_model_than_the_one_asked_for_is_noticed(missy, serve):
    """A server that answers a wrong name with the model it has loaded is found out, on stderr."""
    missy.entry(serve(replay("xllamacpp-2026.10.11549", "stream")).url, model="gpt-4o")
    ran = missy("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n")) == (0, "The answer to this classic math problem is 4.")
    assert "smollm2-135m" in ran.err
    assert "gpt-4o" in ran.err


@pytest.mark.parametrize("model", ["gpt-4o-2024-08-06", "openai/gpt-4o"], ids=["dated", "prefixed"])
def test_the_full_name_of_the_model_asked_for_is_no_surprise(model, missy, serve):
    """A dated or prefixed name of the same model needs no notice."""
    missy.entry(serve(chat_stream("x", model=model)).url, model="gpt-4o")
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.err) == (0, "")


# --- reasoning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning_content": "let me "}, {"reasoning_content": "think"}, "hello"],
        [{"reasoning": "let me "}, {"reasoning": "think"}, "hello"],
        [
            {
                "reasoning": "let me think",
                "reasoning_details": [{"type": "reasoning.text", "text": "let me think"}],
            },
            "hello",
        ],
        [{"reasoning_details": [{"type": "reasoning.text", "text": "let me think"}]}, "hello"],
        [{"reasoning_details": [{"type": "reasoning.summary", "summary": "let me think"}]}, "hello"],
        ["<think>let me think</think>hello"],
        ["<th", "ink>let ", "me think</", "think>", "hello"],
        ["<think>\nlet me think\n</think>\n\nhello"],
    ],
    ids=[
        "reasoning_content",
        "reasoning",
        "both",
        "details-text",
        "details-summary",
        "think",
        "think-split",
        "think-lines",
    ],
)
def test_reasoning_is_kept_apart_from_the_answer(deltas, missy, serve):
    """Each endpoint's way to show its thinking ends in one field, and never in the text."""
    missy.entry(serve(chat_stream(*deltas)).url)
    ran = missy.inside("ask", "hi", "--json")
    got = ran.json()
    assert (ran.code, got["text"].strip(), got["reasoning"].strip()) == (0, "hello", "let me think")


def test_reasoning_never_reaches_stdout(missy, serve):
    """The answer alone is on stdout."""
    missy.entry(serve(chat_stream({"reasoning_content": "secret thoughts"}, "hello")).url)
    assert missy("ask", "hi").text.rstrip("\n") == "hello"


def test_a_tag_within_the_answer_is_text(missy, serve):
    """Only an answer that starts with the tag is taken for thinking."""
    missy.entry(serve(chat_stream("Use the ", "<think>", " tag, as in a < b.")).url)
    ran = missy.inside("ask", "hi", "--json")
    assert ran.json()["text"] == "Use the <think> tag, as in a < b."
    assert not ran.json()["reasoning"]


def test_reasoning_without_streaming_is_kept_apart_too(missy, serve):
    """The reasoning of an answer without streaming is read from the message."""
    missy.entry(serve(chat_answer("hello", message={"reasoning_content": "let me think"})).url)
    got = missy.inside("ask", "hi", "--json", "--no-stream").json()
    assert (got["text"], got["reasoning"]) == ("hello", "let me think")


WEATHER = Tool(
    "weather", "The weather in a city.", {"type": "object", "properties": {"city": {"type": "string"}}}
)


def test_reasoning_goes_back_with_a_tools_result(missy, serve):
    """What the model thought before a tool call is sent back with the call and its result, by clients that keep it."""
    origin = serve(chat_stream("sunny"))
    missy.entry(origin.url)
    call = ToolCall("call_1", "weather", {"city": "Paris"})
    turns = [
        Message("user", "What is the weather in Paris?"),
        Message("assistant", tool_calls=(call,), reasoning="I need the weather."),
        Message("tool", "sunny, 21 C", tool_call_id="call_1"),
    ]
    with Missy.open() as assistant:
        assert assistant.ask(turns, tools=[WEATHER]).text() == "sunny"
    body = origin.last.json()
    _, asked, answered = body["messages"]
    assert asked["reasoning_content"] == "I need the weather."
    (sent,) = asked["tool_calls"]
    assert (sent["id"], sent["type"], sent["function"]["name"]) == ("call_1", "function", "weather")
    assert json.loads(sent["function"]["arguments"]) == {"city": "Paris"}
    assert answered == {"role": "tool", "content": "sunny, 21 C", "tool_call_id": "call_1"}
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
    assert "tool_choice" not in body


def test_a_required_tool_call_may_come_back_as_text(missy, serve):
    """`tool_choice: required` is asked for, and text is taken for an answer when it comes instead."""
    origin = serve(replay("xllamacpp-qwen-tool-template", "toolcall_auto_stream"))
    missy.entry(origin.url)
    with Missy.open() as assistant:
        events = list(assistant.ask("hi", tools=[WEATHER], tool_choice="required"))
    assert origin.last.json()["tool_choice"] == "required"
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert isinstance(events[-1], Done)
    assert "".join(event.text for event in events if isinstance(event, Text)) == "<tool_response>\nsnow"


# --- retries --------------------------------------------------------------------------------------------------------

SOON = ("Retry-After", "0")


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_failure_that_may_pass_is_retried(status, missy, serve):
    """408, 409, 429 and 5xx are tried again."""
    origin = serve(chat_error(status, "busy", SOON), chat_stream("hello"))
    missy.entry(origin.url, max_retries=1)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["text"], len(origin.requests)) == (0, "hello", 2)
    assert origin.requests[0].body == origin.requests[1].body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_failure_that_will_not_pass_is_not_retried(status, missy, serve):
    """An error that would occur again is reported at once."""
    origin = serve(chat_error(status, "no", SOON))
    missy.entry(origin.url, max_retries=3, api_key="sk-test-000000")
    missy.inside("ask", "hi", "--json")
    assert len(origin.requests) == 1


def test_a_connection_that_fails_is_retried(talk):
    """A connection that breaks before a byte of the answer came is tried again."""
    ran, got, origin = talk([CUT], chat_stream("hello"), max_retries=1)
    assert (ran.code, got["text"], len(origin.requests)) == (0, "hello", 2)


def test_retries_end(talk):
    """max_retries is the number of retries, and the last error is reported."""
    ran, got, origin = talk(chat_error(503, "still busy", SOON), max_retries=2)
    assert (ran.code, got["error"]["status"], len(origin.requests)) == (5, 503, 3)


def test_a_rate_limit_that_stays_exits_7_and_names_the_time(talk):
    """A 429 to the end is exit 7, with when to come back."""
    ran, got, _ = talk(
        chat_error(429, "Rate limit reached", ("Retry-After", "77"), code="rate_limit_exceeded")
    )
    assert (ran.code, got["error"]["type"], got["error"]["status"]) == (7, "limit", 429)
    assert re.search(r"reset.*\d\d:\d\d", got["error"]["message"] + got["error"]["hint"])


def test_retry_after_is_waited_for(missy, serve):
    """The server's Retry-After is the time that is waited, in seconds or in milliseconds."""
    origin = serve(
        chat_error(429, "slow down", ("Retry-After", "1")),
        chat_error(429, "slow down", ("retry-after-ms", "300")),
        chat_stream("hello"),
    )
    missy.entry(origin.url, max_retries=2)
    assert missy.inside("ask", "hi").code == 0
    first, second, third = (request.at for request in origin.requests)
    assert second - first >= 0.99
    assert third - second >= 0.29


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(missy, serve):
    """When the answer cannot come within the deadline, the limit is reported at once."""
    origin = serve(chat_error(429, "slow down", ("Retry-After", "3600")))
    missy.entry(origin.url, max_retries=5, deadline=90)
    started = time.monotonic()
    assert missy.inside("ask", "hi").code in {5, 7}
    assert time.monotonic() - started < 60
    assert len(origin.requests) == 1


@pytest.mark.parametrize("cut", [[], [CUT]], ids=["ended", "cut"])
def test_nothing_is_retried_after_the_first_visible_byte(cut, missy, serve):
    """An answer that broke off is not asked for again: the reader has seen half of it."""
    origin = serve(event_stream(sse(chat_chunk("half")), *cut), chat_stream("hello"))
    missy.entry(origin.url, max_retries=2)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n"), len(origin.requests)) == (6, "half", 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "message": "You exceeded your current quota",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            },
            "quota",
        ),
        (
            {
                "message": "The usage limit has been reached",
                "type": "usage_limit_reached",
                "resets_in_seconds": 5400,
            },
            "limit",
        ),
    ],
    ids=["insufficient_quota", "usage_limit_reached"],
)
def test_an_empty_purse_is_explained_and_not_retried(body, words, missy, serve):
    """A quota that is used up does not come back in a second: exit 7 after one request."""
    origin = serve(json_response({"error": body}, 429))
    missy.entry(origin.url, max_retries=3, api_key="sk-test-000000")
    ran = missy.inside("ask", "hi", "--json")
    error = ran.json()["error"]
    assert (ran.code, len(origin.requests)) == (7, 1)
    assert words in error["message"].lower()
    if "resets_in_seconds" in body:
        assert "reset" in (error["message"] + error["hint"]).lower()


def test_a_compressed_reply_is_read(missy, serve):
    """A compressed reply is understood although none was requested."""
    body = gzip.compress(sse(chat_chunk("hello")) + STOP + DONE)
    missy.entry(serve(response(200, body, ("Content-Encoding", "gzip"), kind="text/event-stream")).url)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n")) == (0, "hello")


def test_the_key_is_tried_in_order_when_one_is_refused(missy, serve):
    """`api_keys` is a pool: a refused key and one without quota give way to the next."""
    origin = serve(
        chat_error(401, "Incorrect API key provided"),
        chat_error(429, "no quota", code="insufficient_quota"),
        chat_stream("hello"),
    )
    missy.entry(origin.url, api_keys=["sk-one-000000", "sk-two-000000", "sk-three-000000"])
    ran = missy.inside("ask", "hi")
    assert ran.code == 0
    sent = [request.header("authorization") for request in origin.requests]
    assert sent == ["Bearer sk-one-000000", "Bearer sk-two-000000", "Bearer sk-three-000000"]
    assert "sk-" not in ran.err


def test_a_gate_holds_the_rest_back_while_the_first_text_shows(missy, serve):
    """The text is on stdout before the server has sent the end."""
    gate = Gate()
    missy.entry(serve(chat_stream("first ", gate, "last")).url)
    with missy.start("ask", "hi") as running:
        assert running.stdout.read(len(b"first ")) == b"first "
        gate.open()
        assert running.stdout.read().rstrip(b"\n") == b"last"
    assert running.returncode == 0
