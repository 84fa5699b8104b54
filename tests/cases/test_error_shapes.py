"""Complaints that nobody has seen yet: the known causes in shapes, places and names that are made up."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missy.errors import CredentialError, LimitError, MissyError, ProviderError
from missy.net.error_body import ErrorBody, complains
from missy.net.limits import Clock
from missy.providers.attempts import Attempts, KeyPool
from missy.providers.faults import from_answer, from_response
from missy.secrets.resolve import Credential
from tests.cases.conftest import Asker, http

WORDS = st.text("abcdefghij klmnop", min_size=3, max_size=40).map(
    lambda text: f"q{' '.join(text.split())}z"  # a message is shown with single blanks
)
MESSAGE = st.sampled_from(
    [
        "message",
        "msg",
        "error_message",
        "errorMessage",
        "error_msg",
        "Message",
        "detail",
        "status_msg",
        "description",
    ]
)
CODE = st.sampled_from(["code", "status", "status_code", "statusCode", "http_status", "error_code"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["error", "errors", "message", "code", "status", "detail", "metadata", "raw", "loc", "param", "x"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


def wrapped(table: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return the places where endpoints put what went wrong."""
    return st.sampled_from(
        [
            {"error": table}, {"Error": table}, {"errors": [table]}, [{"error": table}], {"detail": table}, {"error": {"error": table}},
            {"error": json.dumps(table)}, {"error": {"message": json.dumps(table)}}, {"base_resp": table}, {"fault": table},
            {"error": {"message": "from behind", "metadata": {"raw": json.dumps(table), "provider_name": "P"}}}, {"success": False, **table},
        ]
    )  # fmt: skip


@given(st.data(), WORDS, MESSAGE, CODE, st.sampled_from([429, 402, 401, 503, 400]), st.booleans())
def test_words_and_status_are_found_wherever_they_stand(data, words, message, code, status, as_text):
    """In place of an answer: the server's words are shown, and the status in the body decides."""
    body = data.draw(wrapped({message: words, code: str(status) if as_text else status}))
    assert complains(body)
    error = from_answer(body, host="h", request_id=None)
    kind = {429: LimitError, 402: LimitError, 401: CredentialError}.get(status, ProviderError)
    assert words in error.message
    assert (type(error), error.status) == (kind, status)


@given(JSON_VALUES, st.sampled_from([None, 200, 400, 401, 403, 404, 413, 422, 429, 500, 503]))
def test_any_json_becomes_one_typed_error_of_two_lines(value, status):
    """Nothing raises, whatever a server sends; each error has words, a hint and a fitting exit code."""
    complains(value)
    raw = json.dumps(value).encode()
    error = (
        from_answer(value, host="h", request_id=None)
        if status in (None, 200)
        else from_response(status, {"content-type": "application/json"}, raw, host="h")
    )
    assert isinstance(error, MissyError)
    assert error.exit_code in (4, 5, 7)
    assert error.hint
    assert "\n" not in error.message + error.hint
    assert len(error.message) < 800
    if status == 401:
        assert error.exit_code in (4, 5, 7)
    if status == 429:
        assert error.exit_code in (4, 5, 7)


@given(st.binary(max_size=300), st.sampled_from([400, 401, 403, 429, 500, 503]))
def test_any_bytes_become_one_typed_error(raw, status):
    """Not only JSON comes with an error status."""
    error = from_response(status, {}, raw, host="h")
    assert error.exit_code in (4, 5, 7)
    assert error.status == status


def test_a_very_deep_complaint_is_read_to_a_bound():
    """Nesting costs nothing."""
    value: Any = "the end"
    for _ in range(300):
        value = {"error": value}
    assert isinstance(ErrorBody(value).message, str)
    deep = b'{"error":' * 5000 + b"1" + b"}" * 5000
    assert from_response(500, {}, deep, host="h").exit_code == 5


SPARE = ["stream_options", "temperature", "reasoning_effort", "store", "parallel_tool_calls", "tool_choice"]


def _refusals(name: str) -> list[dict[str, Any]]:
    return [
        {"error": {"message": "no", "param": name}},
        {"error": {"message": "no", "code": "unknown_parameter", "param": f"{name}.inner"}},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "not here"}]},
        {"detail": [{"loc": ["body", name, "inner"], "msg": "not here"}]},
        {"error": {"message": f"Unsupported parameter: '{name}'"}},
        {"message": f"{name}: Extra inputs are not permitted"},
        {"errors": [{"message": "no", "field": name}]},
        {"error": {"message": "no", "details": [{"fieldViolations": [{"field": name}]}]}},
    ]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "x-error-json: " + base64.b64encode(b'{"error": {"code": "odd_workspace"}}').decode(),
            "odd_workspace",
        ),
        ("x-openai-authorization-error: odd_token", "odd_token"),
        ("x-error-json: no base64 at all", "nothing"),
    ],
)
def test_a_reason_that_stands_in_a_header_alone_is_shown(asker: Asker, header: str, words: str):
    """The backend of ChatGPT may answer with an empty body."""
    done = asker(http("", None, header, status=400), codex=True)
    assert (done.code, words in done.err) == (5, True), done.err


@pytest.mark.parametrize("name", SPARE)
@pytest.mark.parametrize("shape", range(8))
@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_parameter_is_recognised_however_it_is_named(name, shape, status):
    """By `param`, `loc`, a field or the words: it is left out once, and no more than it."""
    raw = json.dumps(_refusals(name)[shape]).encode()
    error = from_response(status, {"content-type": "application/json"}, raw, host="h")
    attempts = Attempts(
        KeyPool([Credential(None, "none", "none")]), max_retries=0, clock=Clock(5), omitted=()
    )
    assert attempts.next_delay(error, sent=[*SPARE, "model", "messages"], output_started=False) == 0.0
    assert attempts.omitted == {name}
    with pytest.raises(type(error)):
        attempts.next_delay(error, sent=[*SPARE, "model", "messages"], output_started=False)


@pytest.mark.parametrize(
    ("body", "status", "code", "hint"),
    [
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, 200, 7, "wait"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail: carry the API secret key"}}, 200, 4, "key"),
        ({"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, 200, 7, "wait"),
        ({"error": {"message": "Error code: 401 - {'error': 'no'}"}}, 500, 4, "key"),
        ({"error": {"message": "max_tokens is too large: 9. This model supports at most 4 tokens"}}, 400, 5, "lower --max-tokens"),
        ({"cloudflare_error": True, "error_code": 1010, "title": "Access denied", "status": 403}, 403, 5, "the key is not the cause"),
        ({"cloudflare_error": True, "title": "Error 522", "detail": "the origin is asleep"}, 522, 5, "522: error code: 522: Error 522: the origin is asleep"),
        ({"error": {"message": "no", "type": "authentication_error"}}, 500, 4, "key"),
        ({"error": {"message": "no", "status": "UNAUTHENTICATED"}}, 500, 4, "key"),
        ({"error": {"message": "Incorrect API key provided"}}, 500, 4, "key"),
        ({"error": {"message": "no", "code": "auth_unavailable"}}, 503, 5, "try again later"),
        ({"error": {"message": "unexpected token: invalid JSON from the backend"}}, 500, 5, "try again later"),
        ({"type": "error", "error": {"message": "Your credit balance is too low"}}, 400, 7, "billing"),
    ],
)  # fmt: skip
def test_what_vendors_say_is_understood(asker: Asker, body: Any, status: int, code: int, hint: str):
    """By the command: the exit code and the next step."""
    done = asker(http(json.dumps(body), "application/json", status=status), api_key="sk-one-000000")
    assert (done.code, hint in done.err) == (code, True), done.err


@pytest.mark.parametrize(
    "field",
    [{"name": "x"}, {"status": "ok"}, {"code": 200}, {"code": ""}, {"type": "message"}, {"status": None}],
)
def test_a_message_beside_no_bad_code_is_no_complaint(field):
    """An event of an endpoint's own that has a message and a field which says nothing bad is not taken for an error."""
    assert not complains({"id": "e1", "message": "one moment", **field})
    assert complains({"id": "e1", "message": "no", **field, "error_code": "quota"})
