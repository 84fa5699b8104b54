"""The second simulator is strict too: what OpenAI's pages refuse, it refuses, so that a green test means something."""

from __future__ import annotations

import http.client  # noqa: TID251  (by hand, and only in tests)
import json
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.simulator import Fault
from tests.simulator.browser import get
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_backend import MODELS, RESPONSES, SIWC_ROWS
from tests.simulator.siwc_issuer import AUTHORIZE, PLAN_SCOPE, RESOURCE, SCOPES, TOKEN, _s256

BODY = {"model": "gpt-6-sol", "input": [{"role": "user", "content": "hi"}], "store": False, "stream": True}
VERIFIER = "v" * 64
PAGE = {
    "client_id": "dynamic_agent_client", "agent_name_hint": "Missy", "response_type": "code", "scope": " ".join(SCOPES),
    "ext_agent_host_id": "urn:uuid:00000000-0000-4000-8000-000000000000", "resource": RESOURCE, "state": "s" * 43,
    "redirect_uri": "http://127.0.0.1:43210/auth/callback", "nonce": "n" * 43, "code_challenge_method": "S256",
    "code_challenge": _s256(VERIFIER),
}  # fmt: skip


@pytest.fixture
def siwc(tmp_path) -> Iterator[SiwcSimulator]:
    with SiwcSimulator(tmp_path) as one:
        yield one


def post(siwc: SiwcSimulator, path: str, body: object, **headers: str) -> tuple[int, str]:
    """One request by hand: a dict of text is a form for the issuer, anything else JSON for the API."""
    origin = siwc.issuer_origin if path.startswith("/api/accounts") else siwc.backend_origin
    is_form = origin is siwc.issuer_origin and isinstance(body, dict)
    raw = urlencode(body).encode() if is_form else json.dumps(body).encode()
    kind = "application/x-www-form-urlencoded" if is_form else "application/json"
    context = ssl.create_default_context(cafile=str(siwc.ca_bundle))
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", origin.port, timeout=30, context=context)  # noqa: TID251
    try:
        connection.request("POST", path, raw, {"content-type": kind, **headers})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def page(siwc: SiwcSimulator, **changes: str | None) -> tuple[int, dict[str, str]]:
    """Open the sign-in page with changes; None leaves a field out. Returns the status and what the callback gets."""
    fields = {name: value for name, value in {**PAGE, **changes}.items() if value is not None}
    status, headers, _ = get(
        siwc.local(f"https://auth.openai.com{AUTHORIZE}?{urlencode(fields)}"), roots=siwc.ca_bundle
    )
    found = parse_qs(urlsplit(headers.get("location", "")).query)
    return status, {name: values[0] for name, values in found.items()}


def test_the_sign_in_page_wants_every_field_and_no_other(siwc):
    """Leaving one out, another redirect, a scope less, a field more: a page that says no."""
    assert page(siwc)[0] == 302
    for name in PAGE:
        assert page(siwc, **{name: None})[0] == 400, name
    for change in (
        {"redirect_uri": "http://localhost:43210/auth/callback"}, {"redirect_uri": "https://127.0.0.1:43210/auth/callback"},
        {"redirect_uri": "http://127.0.0.1:43210/callback"}, {"scope": "openid"}, {"client_id": "oaiapp_unknown"},
        {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}, {"originator": "missy"}, {"prompt": "login"}, {"login_hint": "a@b"},
        {"ext_agent_host_id": "my-laptop"}, {"agent_name_hint": "Codex"}, {"nonce": "s" * 43}, {"force_reconsent": "true"},
    ):  # fmt: skip
        assert page(siwc, **change)[0] == 400, change


def test_a_code_and_a_refresh_token_work_once(siwc):
    """The form, the resource, the verifier and the redirect must fit; what is spent is told so."""
    _, callback = page(siwc)
    form = {
        "grant_type": "authorization_code", "client_id": callback["client_id"], "code": callback["code"],
        "code_verifier": VERIFIER, "redirect_uri": PAGE["redirect_uri"], "resource": RESOURCE,
    }  # fmt: skip
    assert post(siwc, TOKEN, json.loads("[]"))[0] == 400
    assert "invalid_target" in post(siwc, TOKEN, {**form, "resource": "https://chatgpt.com"})[1]
    assert "invalid_client" in post(siwc, TOKEN, {**form, "client_id": "dynamic_agent_client"})[1]
    status, text = post(siwc, TOKEN, form)
    assert status == 200
    assert "invalid_grant" in post(siwc, TOKEN, form)[1]
    siwc.pass_time(3590)
    renewal = {"grant_type": "refresh_token", "client_id": form["client_id"], "resource": RESOURCE}
    renewal["refresh_token"] = json.loads(text)["refresh_token"]
    assert "invalid_scope" in post(siwc, TOKEN, {**renewal, "scope": "openid"})[1]
    assert post(siwc, TOKEN, renewal)[0] == 200
    assert "refresh_token_reused" in post(siwc, TOKEN, renewal)[1]


def test_a_renewal_that_comes_too_early_ends_the_sign_in(siwc):
    """As one report says."""
    family, tokens = siwc.issuer.sign_in()
    form = {"grant_type": "refresh_token", "client_id": family.client_id, "resource": RESOURCE,
            "refresh_token": tokens["refresh_token"]}  # fmt: skip
    for _ in range(2):
        assert "invalid_grant" in post(siwc, TOKEN, form)[1]


def ask(siwc: SiwcSimulator, body: object = BODY, **headers: str) -> tuple[int, str]:
    """One call of the responses endpoint with a token of one's own."""
    _, tokens = siwc.issuer.sign_in()
    return post(siwc, RESPONSES, body, **{"authorization": f"Bearer {tokens['access_token']}", **headers})


@pytest.mark.parametrize(
    "change",
    [{"store": True}, {"stream": False}, {"input": "hi"}, {"temperature": 1}, {"max_output_tokens": 5}, {"metadata": {}},
     {"previous_response_id": "x"}, {"truncation": "auto"}, {"user": "x"}, {"parallel_tool_calls": True}, {"whatever": 1},
     {"tools": [{"type": "function", "name": "f"}]}, {"input": [{"role": "system", "content": "x"}]},
     {"input": [{"type": "additional_tools", "role": "user", "tools": []}]},
     {"input": [{"type": "reasoning", "encrypted_content": "made up"}]},
     {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}],
    ids=repr,
)  # fmt: skip
def test_a_body_that_breaks_a_rule_is_refused(siwc, change):
    """400, and nothing is answered."""
    assert ask(siwc, {**BODY, **change})[0] == 400
    assert siwc.backend.bodies == []
    assert ask(siwc)[0] == 200


def test_only_a_token_with_the_plan_is_let_in(siwc):
    """A foreign, an ended and one without the scope; the headers of the other backend; other routes."""
    assert ask(siwc, authorization="Bearer invented")[0] == 401
    for name in ("chatgpt-account-id", "originator", "session-id"):
        assert ask(siwc, **{name: "x"})[0] == 400
    siwc.issuer.declines = frozenset({PLAN_SCOPE})
    assert "chatpass_v2_scope_not_authorized" in ask(siwc)[1]
    siwc.issuer.declines = frozenset()
    siwc.issuer.lifetime = -1
    assert "invalid_token" in ask(siwc)[1]
    assert "route_not_supported" in post(siwc, "/v1/chat/completions", BODY)[1]
    assert "route_not_supported" in post(siwc, MODELS, {})[1]


@pytest.mark.parametrize("row", SIWC_ROWS)
def test_every_error_row_can_be_switched_on(siwc, row):
    """Once, and then all is well again."""
    fault: Fault = SIWC_ROWS[row][0]
    siwc.backend.faults.add(RESPONSES, fault)
    assert ask(siwc)[0] == fault.status
    assert ask(siwc)[0] == 200
