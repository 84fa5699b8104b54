"""The simulator is strict: what the true servers refuse, it refuses, so that a green test means something."""

from __future__ import annotations

import json
import socket

import pytest

from tests.simulator import BACKEND_ROWS, Call, Fault, Say, Script, Simulator, Think
from tests.simulator.browser import get
from tests.simulator.issuer import CLIENT_ID

BODY = {
    "model": "gpt-6.1-sol",
    "instructions": "Help.",
    "input": [{"role": "user", "content": "hi"}],
    "store": False,
    "stream": True,
}


@pytest.fixture
def simulator():
    with Simulator() as one:
        yield one


def post(simulator: Simulator, body: object, *, token: str | None = None, **headers: str) -> tuple[int, str]:
    """One call of the responses endpoint, by hand."""
    tokens = simulator.issuer.sign_in()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "host": "127.0.0.1", "authorization": f"Bearer {token or tokens['access_token']}", "connection": "close",
        "chatgpt-account-id": simulator.issuer.account.id, "content-length": str(len(raw)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }  # fmt: skip
    head = "\r\n".join(
        ["POST /backend-api/codex/responses HTTP/1.1", *[f"{k}: {v}" for k, v in fields.items()], "", ""]
    )
    with socket.create_connection(("127.0.0.1", simulator.backend_origin.port), timeout=30) as sock:
        sock.sendall(head.encode() + raw)
        reply = b""
        while piece := sock.recv(65536):
            reply += piece
    top, _, rest = reply.partition(b"\r\n\r\n")
    return int(top.split()[1]), rest.decode("utf-8", "replace")


WRONG = [
    ({"store": True}, "Store must be set to false"), ({"store": None}, "Store must be set to false"),
    ({"stream": False}, "Stream must be set to true"), ({"input": "hi"}, "Input must be a list"),
    ({"instructions": " "}, "Instructions are required"), ({"instructions": None}, "Instructions are required"),
    ({"temperature": 1}, "Unsupported parameter: temperature"), ({"max_output_tokens": 5}, "Unsupported parameter"),
    ({"previous_response_id": "x"}, "Unsupported parameter"), ({"whatever": 1}, "Unsupported parameter: whatever"),
    ({"model": "gpt-4o"}, "The 'gpt-4o' model is not supported when using Codex"),
    ({"input": [{"role": "system", "content": "x"}]}, "System messages are not allowed"),
    ({"input": [{"type": "odd"}]}, "Invalid input item"),
    ({"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}, "Invalid message content"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "No tool call found"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "No tool output found"),
    ({"input": [{"type": "reasoning", "encrypted_content": "made up"}]}, "invalid_encrypted_content"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_body_that_breaks_a_rule_is_refused(simulator, change, said):
    """400, with the words of the true backend."""
    status, text = post(simulator, {**BODY, **change})
    assert (status, said in text) == (400, True), text
    assert simulator.backend.bodies == []


def test_only_the_current_token_of_the_right_account_is_let_in(simulator):
    """A foreign token, an old one, an ended one: 401; another account's header: 403."""
    assert post(simulator, BODY)[0] == 200
    old = simulator.issuer.sign_in()
    simulator.issuer._renew({"refresh_token": old["refresh_token"]})
    assert post(simulator, BODY, token="invented")[0] == 401
    assert "token_invalidated" in post(simulator, BODY, token=old["access_token"])[1]
    simulator.issuer.lifetime = -1
    assert "token_expired" in post(simulator, BODY, token=simulator.issuer.sign_in()["access_token"])[1]
    simulator.issuer.lifetime = 60
    assert post(simulator, BODY, chatgpt_account_id="other")[0] == 403


def test_a_websocket_and_the_old_endpoint_are_refused(simulator):
    """426 tells a client to use plain requests; Chat Completions is 403."""
    base = simulator.base_url
    assert get(f"{base}/responses", headers={"upgrade": "websocket", "connection": "upgrade"})[0] == 426
    assert get(f"{base}/chat/completions")[0] == 403
    assert post(simulator, BODY, content_encoding="br")[0] == 415


def test_the_models_have_an_etag_and_a_filter(simulator):
    """client_version is required and hides what is too new; the same list a second time is 304."""
    tokens = simulator.issuer.sign_in()
    headers = {
        "authorization": f"Bearer {tokens['access_token']}",
        "chatgpt-account-id": simulator.issuer.account.id,
    }
    url = f"{simulator.base_url}/models"
    assert get(url, headers=headers)[0] == 422
    status, found, text = get(f"{url}?client_version=0.200.0", headers=headers)
    assert status == 200
    assert [model["slug"] for model in json.loads(text)["models"]] == [
        "gpt-6-luna",
        "gpt-6.1-sol",
        "codex-auto-review",
    ]
    assert get(f"{url}?client_version=0.200.0", headers={**headers, "if-none-match": found["etag"]})[0] == 304


def test_a_renewal_works_once_in_either_encoding(simulator):
    """Form and JSON; the spent token is `reused`, and its family lives on."""
    first = simulator.issuer.sign_in()["refresh_token"]
    fields = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": first}
    form = "&".join(f"{name}={value}" for name, value in fields.items())
    for kind, raw, status in (
        ("application/x-www-form-urlencoded", form, 200),
        ("application/json", json.dumps(fields), 401),
    ):
        with socket.create_connection(("127.0.0.1", simulator.issuer_origin.port), timeout=30) as sock:
            head = f"POST /oauth/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {len(raw)}\r\n\r\n"
            sock.sendall((head + raw).encode())
            reply = b"".join(iter(lambda s=sock: s.recv(65536), b""))
        assert int(reply.split()[1]) == status, reply
    assert b"refresh_token_reused" in reply
    assert simulator.renewals == 2


@pytest.mark.parametrize("row", BACKEND_ROWS)
def test_every_error_row_can_be_switched_on(simulator, row):
    """Once, and then all is well again."""
    fault, _ = BACKEND_ROWS[row]
    simulator.backend_faults.add("/backend-api/codex/responses", fault)
    assert post(simulator, BODY)[0] == fault.status
    assert post(simulator, BODY)[0] == 200


def test_a_script_is_the_stream_that_it_says(simulator):
    """Interleaved items, odd framing, a cut: byte for byte, and the last event repeats nothing."""
    items = (
        Think(("a", "b")),
        Call("f", '{"x": 1}', "c1"),
        Call("g", "{}", "c2", pieces=0),
        Say(("é", "n", "d")),
    )
    script = Script(items, interleave=True, newline="\r\n", space=False, comments=True, strays=True, chunk=3)
    events = script.events("m")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"] == []
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert added == [0, 1, 2, 3]
    whole = b"".join(script.raw("m"))
    assert b"".join(script.stream("m")) == whole
    assert max(map(len, script.stream("m"))) == 3
    stopped = Script(items, stop=100)
    assert len(b"".join(stopped.stream("m"))) == 100
    simulator.backend.scripts.append(Script(cut=50))
    assert not post(simulator, BODY)[1].endswith("0\r\n\r\n")


def test_the_sign_in_page_wants_every_field(simulator):
    """Leaving one out, or a redirect that is not on the list, is a page that says no."""
    good = {
        "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": "http://localhost:1455/auth/callback",
        "code_challenge": "a" * 43, "code_challenge_method": "S256", "state": "s" * 43, "scope": "openid+offline_access",
        "id_token_add_organizations": "true", "codex_cli_simplified_flow": "true", "originator": "x",
    }  # fmt: skip

    def ask(fields):
        return get(
            f"{simulator.issuer_url}/oauth/authorize?" + "&".join(f"{k}={v}" for k, v in fields.items())
        )[0]

    assert ask(good) == 302
    for name in good:
        assert ask({k: v for k, v in good.items() if k != name}) == 400
    for uri in (
        "http://localhost:1456/auth/callback",
        "https://evil.example/auth/callback",
        "http://127.0.0.1:1455/other",
    ):
        assert ask({**good, "redirect_uri": uri}) == 400
    simulator.issuer_faults.add("/oauth/authorize", Fault(500))
    assert ask(good) == 500
