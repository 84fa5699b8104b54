"""What went wrong, in the endpoint's own words: every shape and place of a complaint, by the command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cases.conftest import Asker, data, http, read_case

JSON = "application/json"
HTML = "text/html"
PAGE = "<html><head><title>{}</title></head><body><h1>{}</h1></body></html>"
KEYED = {"api_keys": ["sk-one-000000", "sk-two-000000"]}


def replies(asker: Asker, *raw: bytes, **entry: Any) -> tuple[int, str]:
    """Ask for the replies in their order, the last one for ever; return the exit code and stderr."""
    asker.origin = asker._serve(*raw)
    asker.missy.entry(asker.origin.url, "m", **entry)
    done = asker.missy.inside("ask", "hi")
    return done.code, done.err


OTHER_NAMES = [
    (5, "9000 tokens, there is room for 8192", "shorten"),
    (7, "the quota is used up", "used up"),
    (5, "70000 tokens are too many", "shorten"),
    (5, "the backend broke", "try again later"),
    (5, "9000 tokens, there is room for 8192", "shorten"),
    (4, "the token is not valid", "key"),
    (7, "no money left", "billing"),
    (7, "the free part of today is used up", "billing"),
]


@pytest.mark.parametrize("number", range(8))
def test_the_reason_is_shown_under_whatever_name_it_comes(asker: Asker, number: int):
    """In a stream, after a part of the answer, or whole: the server's words, and the exit code that they mean."""
    code, words, hint = OTHER_NAMES[number]
    got, err = replies(asker, read_case("error-under-other-names")[number])
    assert (got, words in err, hint in err, "base_url" in err) == (code, True, True, False), err


@pytest.mark.parametrize(("number", "code", "asked"), [(0, 7, 2), (1, 7, 1), (2, 4, 1), (3, 7, 2), (4, 7, 2)])
def test_a_status_in_the_body_counts(asker: Asker, number: int, code: int, asked: int):
    """Whole or in a stream, a number or a text: as if the reply had come with it."""
    raw = read_case("status-inside-the-body")[number]
    got, _ = replies(asker, raw, max_retries=1)
    assert (got, len(asker.origin.requests)) == (code, asked)


def test_a_failure_before_any_text_is_tried_again_like_its_status(asker: Asker):
    """A 502 in a stream that has said nothing yet is a 502."""
    asker.origin = asker._serve(*read_case("status-inside-the-body")[5:7])
    asker.missy.entry(asker.origin.url, "m", max_retries=1)
    assert asker.missy.inside("ask", "hi").text == "Hello world.\n"


def test_a_limit_in_the_body_takes_the_next_key(asker: Asker):
    """A pool is there for that, whatever the status of the reply."""
    replies(asker, read_case("status-inside-the-body")[0], max_retries=0, **KEYED)
    assert len({request.header("authorization") for request in asker.origin.requests}) == 2


def test_the_words_of_who_stands_behind_the_endpoint_are_shown(asker: Asker):
    """A gateway's `metadata.raw` holds the reason, `provider_name` whose it is; a validation error names its place."""
    first, second = read_case("reason-in-metadata")
    code, err = replies(asker, first)
    assert (code, "upstream said no" in err, "Somebody: at most one image" in err) == (5, True, True)
    code, err = replies(asker, second)
    assert (code, "body.messages.0.content: a text is wanted" in err) == (5, True)


@pytest.mark.parametrize("first", [0, 2])
def test_an_optional_parameter_that_a_field_names_is_left_out(asker: Asker, first: int):
    """`loc` and `param` say it as well as a sentence does: asked again without it, and remembered."""
    raw = read_case("refused-parameter")[first : first + 2]
    code, err = replies(asker, *raw)
    assert (code, err) == (0, "")
    assert ["stream_options" in body for body in asker.origin.bodies()] == [True, False]
    assert asker.missy.inside("ask", "hi").code == 0
    assert "stream_options" not in asker.origin.bodies()[-1]


@pytest.mark.parametrize(
    ("number", "code", "words", "asked"),
    [
        (0, 5, ("refuses the region", "not from where you are", "another network"), 1),
        (1, 5, ("flagged", "violence", "rephrase the prompt"), 1),
        (2, 7, ("no money left", "billing"), 2),
        (3, 5, ("blocked by Cloudflare", "1010", "the key is not the cause"), 1),
    ],
)
def test_a_403_is_what_it_says_it_is(
    asker: Asker, number: int, code: int, words: tuple[str, ...], asked: int
):
    """A region, a flagged prompt, a spent balance and a firewall are no questions of the key."""
    got, err = replies(asker, read_case("not-the-key")[number], **KEYED)
    assert (got, len(asker.origin.requests)) == (code, asked)
    assert all(word in err for word in words), err


@pytest.mark.parametrize("number", [0, 1])
def test_one_request_that_is_too_large_for_the_limit_is_not_sent_again(asker: Asker, number: int):
    """Neither a wait nor a retry makes it smaller."""
    got, err = replies(asker, read_case("too-large-for-the-limit")[number], max_retries=2)
    assert (got, len(asker.origin.requests)) == (5, 1)
    assert "shorten the prompt or lower --max-tokens" in err


# a status, a body and perhaps headers -> exit code, what is said, what to do, requests with one retry
SAID: dict[str, tuple[int, Any, int, str, str, int]] = {
    "problem+json": (
        422, {"type": "about:blank", "title": "Unprocessable", "detail": "Only one system message."}, 5,
        "Unprocessable: Only one system message.", "see its message", 1),
    "aws throttling": (
        400, {"__type": "com.amazon.coral.service#ThrottlingException", "Message": "Slow it."}, 7, "Slow it.", "wait", 1),
    "aws access": (
        400, {"__type": "UnrecognizedClientException", "message": "The security token is invalid."}, 4, "security", "key", 1),
    "google in a list": (
        400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
                         "details": [{"reason": "API_KEY_INVALID"}]}}], 4, "API key not valid", "key", 1),
    "google region": (
        400, {"error": {"code": 400, "message": "User location is not supported for the API use.",
                        "status": "FAILED_PRECONDITION"}}, 5, "User location", "another network", 1),
    "json in a string": (
        500, {"error": {"message": '{"error": {"message": "the real reason", "code": "context_length_exceeded"}}'}}, 5,
        "the real reason", "shorten", 1),
    "nested twice": (400, {"error": {"error": {"message": "deep words"}}}, 5, "deep words", "see its message", 1),
    "nest": (400, {"statusCode": 400, "message": ["a is wrong", "b too"], "error": "Bad Request"}, 5, "a is wrong", "", 1),
    "a list of errors": (400, {"errors": [{"message": "one"}, {"message": "two"}]}, 5, "one; two", "", 1),
    "an error that is a flag": (400, {"error": True, "message": "words"}, 5, "words", "", 1),
    "oauth": (401, {"error": "invalid_token", "error_description": "It expired."}, 4, "It expired.", "key", 1),
    "s3": (403, "<?xml version='1.0'?><Error><Code>x</Code><Message>No such person</Message></Error>", 4, "No such person",
           "key", 1),
    "image, 500": (500, {"error": {"message": "image input is not supported - hint: mmproj"}}, 5, "image input",
                   "does not accept images", 1),
    "image, 400": (400, {"error": {"message": "This model does not support image inputs."}}, 5, "image", "does not accept images", 1),
    "image, 404": (404, {"error": {"message": "No endpoints found that support image input", "code": 404}}, 5, "image",
                   "does not accept images", 1),
    "no access to a model": (
        403, {"error": {"message": "Project `p` does not have access to model `m`", "code": "model_not_found"}}, 4,
        "does not have access", "may not use the model m: see which it may: missy models", 2),
    "invalid model": (400, {"error": {"message": "m: Invalid model name passed in model=m"}}, 5, "Invalid model",
                      "missy models", 1),
    "403 of a key": (403, {"error": {"message": "This key was disabled."}}, 4, "disabled", "key", 2),
    "402": (402, {"error": {"message": "Payment"}}, 7, "Payment", "billing", 2),
    "429 of a quota": (
        429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, 7, "quota", "billing", 2),
    "shared subscription": (
        429, {"error": {"message": "No more.", "code": "subscription_sharing_usage_limit_exceeded"}}, 7, "No more", "", 2),
    "azure filter": (
        400, {"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
                                   "policy.", "code": "content_filter"}}, 5, "filtered", "rephrase the prompt", 1),
    "413": (413, {"message": "Payload Too Large"}, 5, "Payload Too Large", "shorten the prompt", 1),
    "a client's fault": (500, {"error": {"message": "x", "type": "invalid_request_error"}}, 5, "x", "see its message", 1),
    "404 of a path": (404, {"detail": "Not Found"}, 5, "Not Found", "base_url", 1),
    "404 with a reason": (404, {"error": {"message": "The assistant is asleep."}}, 5, "asleep", "see its message", 1),
    "451": (451, {"message": "Not here."}, 5, "Not here.", "another network", 1),
    "401 page": (401, PAGE.format("Who?", "x"), 4, "Who?", "key", 2),
    "429 page": (429, PAGE.format("Slow", "x"), 7, "Slow", "wait", 2),
    "503 page": (503, PAGE.format("Service Unavailable", "x"), 5, "Service Unavailable", "down: try again later", 2),
    "522 page": (522, PAGE.format("origin timed out", "cloudflare"), 5, "522", "down: try again later", 2),
    "502 in text": (502, "error code: 502", 5, "502", "down: try again later", 2),
    "challenge": (503, PAGE.format("Just a moment...", "cloudflare"), 5, "blocked by Cloudflare", "another network", 1),
    "firewall": (403, PAGE.format("Access Denied", "x"), 5, "blocked in front of", "the key is not the cause", 1),
    "404 page": (404, PAGE.format("Not Found", "nginx"), 5, "web page", "base_url", 1),
    "413 page": (413, PAGE.format("Request Entity Too Large", "nginx"), 5, "Too Large", "shorten", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_words_and_codes_decide_before_the_status(asker: Asker, name: str):
    """Each with its exit code, the server's words, a next step that can help, and no request that cannot."""
    status, body, code, words, hint, asked = SAID[name]
    is_page = isinstance(body, str)
    kind = (HTML if "<html" in body else "text/plain") if is_page else JSON
    raw = http(body if is_page else json.dumps(body), kind, status=status)
    keys = ["sk-one-000000"] if code not in (4, 7) else ["sk-one-000000", "sk-two-000000"]
    got, err = replies(asker, raw, max_retries=1, api_keys=keys)
    assert (got, words in err, hint in err) == (code, True, True), err
    expected = {asked} if code not in (4, 7) else {asked, 2, 3}
    assert len(asker.origin.requests) in expected, err
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("place", ["whole", "stream", "after text", "before the end mark"])
@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"error": {"message": "m1", "code": "429"}}, 7, "m1"),
        ({"object": "error", "message": "m2", "code": 401}, 4, "m2"),
        ({"code": 1302, "msg": "too many requests"}, 7, "too many requests"),
        ({"error_message": "m3"}, 5, "m3"),
        ({"errors": [{"message": "m4"}]}, 5, "m4"),
        ({"base_resp": {"status_code": 2013, "status_msg": "m5"}}, 5, "m5"),
        ({"detail": "m6"}, 5, "m6"),
        ({"success": False, "message": "m7"}, 5, "m7"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m8"}}, 5, "m8"),
        ([{"error": {"message": "m9", "status": "RESOURCE_EXHAUSTED"}}], 7, "m9"),
        ({"status": 402, "message": "m10"}, 7, "m10"),
        ({"error": {"message": "m11", "status_code": 400}}, 5, "m11"),
        ({"response": {"error": {"message": "m12"}}}, 5, "m12"),
        ({"object": "error", "message": "m13", "usage": {"total_tokens": 1}}, 5, "m13"),
    ],
)
def test_a_complaint_in_place_of_an_answer_is_told(
    asker: Asker, place: str, body: Any, code: int, words: str
):
    """Under a status of success, whole, in a stream, or after a part of the answer; never as a wrong base_url."""
    text = json.dumps(body)
    hello = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
    raw = {
        "whole": http(text, JSON),
        "stream": http(data(text)),
        "after text": http(data(hello) + text + "\n"),
        "before the end mark": http(data(hello) + text + "\n" + data("[DONE]")),
    }[place]
    got, err = replies(asker, raw)
    assert (got, words in err, "base_url" in err) == (code, True, False), err


@pytest.mark.parametrize(
    "extra",
    [{"code": 0, "msg": "ok"}, {"base_resp": {"status_code": 0, "status_msg": "success"}}, {"error": None}],
)
def test_what_says_that_all_is_well_is_no_complaint(asker: Asker, extra: dict[str, Any]):
    """Some endpoints add a code of success to each chunk."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}], **extra}
    empty = {"choices": [], **extra}
    got, err = replies(asker, http(data(empty, chunk, "[DONE]")))
    assert (got, err) == (0, "")


def test_a_reply_without_a_complaint_asks_whether_base_url_is_right(asker: Asker):
    """JSON that is neither an answer nor a complaint is most likely another service."""
    got, err = replies(asker, http('{"hello": "world"}', JSON))
    assert (got, "base_url" in err) == (5, True)


def test_plain_words_in_place_of_a_stream_are_shown(asker: Asker):
    """A front that breaks down says so in a line of text."""
    got, err = replies(asker, http("upstream connect error: reset before headers\n"))
    assert (got, "upstream connect error" in err) == (5, True)


def test_a_key_that_a_complaint_echoes_is_masked_wherever_it_stands(asker: Asker):
    """The words of the server are shown, the key in them is not."""
    body = {"error": {"message": "no", "metadata": {"raw": "bad key sk-one-000000"}}}
    got, err = replies(asker, http(json.dumps(body), JSON, status=400), **KEYED)
    assert (got, "bad key ***" in err, "sk-one" in err) == (5, True, False)


def test_a_very_long_complaint_is_cut_and_kept_in_one_line(asker: Asker):
    """The words of a server do not flood the screen."""
    body = {"error": {"message": "word\n\x1b[31m " * 10_000}}
    _, err = replies(asker, http(json.dumps(body), JSON, status=400))
    assert len(err) < 2000
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    ("number", "words"), [(0, "refuses the region"), (1, "the issuer refuses the region")]
)
def test_a_region_is_no_question_of_the_login(asker: Asker, number: int, words: str):
    """Told by the backend, or by the issuer when the login is renewed: exit 5, and the login stays."""
    asker.serve(b"", codex=True)
    backend, token = read_case("region-of-a-login")[number], read_case("region-of-a-login")[2]
    asker.origin.script[:] = [backend, token]
    done = asker.missy.inside("ask", "hi", "--model", "x")
    assert (done.code, words in done.err, "the login is fine" in done.err) == (5, True, True), done.err


def test_a_field_of_a_message_that_is_refused_is_left_out(asker: Asker):
    """Some endpoints take no thinking back: the turn is sent again without it."""
    from missy import Done, Message, ToolCall

    refusal = {"error": {"message": "'messages.1' : property 'reasoning_content' is unsupported"}}
    answer = http(
        data({"choices": [{"index": 0, "delta": {"content": "It is 4."}, "finish_reason": "stop"}]}, "[DONE]")
    )
    asker.origin = asker._serve(http(json.dumps(refusal), JSON, status=400), answer)
    asker.missy.entry(asker.origin.url, "m")
    turn = Message("assistant", tool_calls=(ToolCall("c1", "add", {}),), reasoning="I must add.")
    came = asker.ask([Message("user", "2+2?"), turn, Message("tool", "4", tool_call_id="c1")])
    assert isinstance(came[-1], Done), came
    sent = asker.origin.bodies()
    assert ["I must add." in json.dumps(body) for body in sent] == [True, False]
