"""Who is refused, with what, and that the endpoint sees nothing of it."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from tests.command import Command
from tests.serve.conftest import ENTRY_KEY, Gateway, read_all
from tests.servers import Origin

Start = Callable[..., tuple[Gateway, Origin]]
MakeKey = Callable[..., str]


def code_of(body: bytes) -> str:
    """Return the code of an error."""
    return str(json.loads(body)["error"]["code"])


def test_only_a_valid_key_gets_through(start: Start, make_key: MakeKey, missy: Command):
    """No key, a wrong one, a revoked, an expired and a rotated one are 401, from the next request on."""
    gateway, origin = start()
    revoked, rotated, expired = make_key("a"), make_key("b"), make_key("c", "--expires", "1h")
    assert gateway.ask(revoked)[0] == 200
    assert missy("keys", "revoke", "a").code == 0
    fresh = missy("keys", "rotate", "b").text.strip()
    with sqlite3.connect(missy.home / "serve.db") as store:
        store.execute("UPDATE api_key SET expires = 1 WHERE name = 'c'")
    for key in (None, "mk-" + "A" * 43, ENTRY_KEY, revoked, rotated, expired, revoked + "x"):
        status, _, body = gateway.ask(key)
        assert (status, code_of(body)) == (401, "invalid_api_key")
    assert gateway.request("GET", "/v1/models")[0] == 401
    assert len(origin.requests) == 1
    assert gateway.ask(fresh)[0] == 200


def test_a_key_is_stored_as_a_hash_and_shown_once(make_key: MakeKey, missy: Command, start: Start):
    """The key is in no file and in no listing, and the database is readable by its owner alone."""
    gateway, _ = start()
    key = make_key("editor", "--budget", "5/month", "--admin")
    gateway.ask(key)
    shown = [missy("keys", "list", "--json"), missy("keys", "show", "editor"), missy("keys", "list")]
    assert all(result.code == 0 for result in shown)
    assert all(key not in result.text for result in shown)
    gateway.end()
    for path in missy.home.iterdir():
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("options", "model", "code"),
    [
        (("--models", "fast"), "test", "model_not_allowed"),
        (("--models", "test/m2"), "test/other", "model_not_allowed"),
        ((), "nothing", "model_not_found"),
        ((), "openai/gpt-4o", "model_not_found"),
    ],
)
def test_a_model_that_a_key_may_not_use_is_refused(
    start: Start, make_key: MakeKey, options: tuple[str, ...], model: str, code: str
):
    """A key's models and the served entries bound what it can ask for; the endpoint sees no refused request."""
    gateway, origin = start()
    status, _, body = gateway.ask(make_key("k", *options), model=model)
    assert (status, code_of(body)) == (404 if code == "model_not_found" else 403, code)
    assert origin.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "evil.example:8484")],
        [("Host", "")],
        [("Origin", "http://evil.example")],
        [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
    ],
    ids=["rebinding", "no-host", "page", "null-origin", "fetch"],
)
def test_browsers_and_rebinding_are_refused(start: Start, make_key: MakeKey, headers: list[tuple[str, str]]):
    """A request to another name, or from a web page, is refused although its key is right."""
    gateway, origin = start()
    key = make_key()
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
        status, _, body = gateway.request(method, path, key, b"{}", *headers)
        assert (status, code_of(body)) == (403, "policy_refused")
    assert origin.requests == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_loopback_has_several_names(start: Start, make_key: MakeKey, name: str):
    """Each name of loopback is this gateway's own."""
    gateway, _ = start()
    assert gateway.ask(make_key(), ("Host", f"{name}:{gateway.port}"))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"\xff\xfe", b'"x"', b"{}", b'{"model": "test"}', b'{"model": "test", "messages": []}',
        b'{"model": 1, "messages": [{}]}', b'{"model": "test", "messages": [{}], "n": -1}',
        b'{"model": "test", "messages": [{}], "max_tokens": 1e99}', b'{"model": "test", "messages": [{}], "stream": 1}',
        b'{"model": "test", "messages": ["\\ud800"]}', b"[" * 100_000, b'{"model": "test", "messages": [NaN]}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_400(start: Start, make_key: MakeKey, body: bytes):
    """Broken JSON, other JSON and impossible values are the caller's error; nothing is sent on, and the gateway lives."""
    gateway, origin = start()
    key = make_key()
    assert gateway.request("POST", "/v1/chat/completions", key, body)[0] == 400
    assert gateway.ask(key)[0] == 200
    assert len(origin.requests) == 1


def test_what_is_too_large_is_refused(start: Start, make_key: MakeKey):
    """A body of 10 MB, 1,000 headers and a head of 100 kB are 4xx, and the gateway lives."""
    gateway, origin = start()
    key = make_key()
    many = [(f"X-{n}", "y") for n in range(1000)]
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {key}\r\n"
    big = head + f"Content-Length: {10_000_000}\r\n\r\n"
    chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
    assert b" 413 " in gateway.send(big.encode()).splitlines()[0]
    with gateway.connect() as sock:
        sock.sendall(chunked.encode())
        try:
            for _ in range(160):
                sock.sendall(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
        except OSError:
            pass  # refused while it was being sent
        said = read_all(sock)
        assert b" 413 " in said.splitlines()[0] if said else True
    assert gateway.request("GET", "/healthz", None, b"", *many)[0] == 400
    assert gateway.request("GET", "/healthz", None, b"", ("X", "y" * 100_000))[0] == 400
    assert gateway.ask(key)[0] == 200
    assert len(origin.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : 127.0.0.1:{port}\r\n\r\n",
        b"GET /../v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    ],
    ids=["two-hosts", "smuggling", "two-lengths", "no-http", "space", "dots", "tls"],
)
def test_strange_requests_are_4xx(start: Start, raw: bytes):
    """What is no clean HTTP/1.1 is refused, and the gateway lives."""
    gateway, origin = start()
    with gateway.connect() as sock:
        sock.sendall(raw.replace(b"{port}", str(gateway.port).encode()))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).split(b" ")[1][:1] == b"4"
    assert gateway.request("GET", "/healthz")[0] == 200
    assert origin.requests == []


@pytest.mark.slow
def test_a_slow_head_is_ended(start: Start, make_key: MakeKey):
    """A caller that sends its head byte by byte is ended after some seconds, and others are served meanwhile."""
    gateway, _ = start()
    key = make_key()
    with gateway.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        assert gateway.ask(key)[0] == 200
        assert b" 408 " in read_all(sock)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405), ("POST", "/v1/embeddings", 404), ("GET", "/x", 404)],
)  # fmt: skip
def test_there_are_no_other_routes(start: Start, make_key: MakeKey, method: str, path: str, status: int):
    """Another path is 404 and another method 405, both in OpenAI's form."""
    gateway, _ = start()
    got, _, body = gateway.request(method, path, make_key(), b"{}")
    assert got == status
    assert code_of(body)


def test_an_open_address_needs_tls(missy: Command, start: Start):
    """Listening on other than loopback without TLS is refused with 3, before a port is opened."""
    start()
    result = missy("serve", "--host", "0.0.0.0", "--port", "0")
    assert result.code == 3
    assert "TLS" in result.err
    assert "--tls-cert" in result.err


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"entries": ["plan"]}, "never served"),
        ({"entries": ["codex"]}, "never served"),
        ({"entries": ["test"], "aliases": {"default": "codex/gpt-5"}}, "never served"),
        ({"entries": ["openai-codex"]}, "never served"),
        ({"entries": ["missing"]}, "names no entry"),
        ({"entries": []}, "nothing to serve"),
        ({"entries": ["test"], "aliases": {"a": "other/x"}}, "not in serve.entries"),
        ({"entries": ["test"], "store": "mysql://u:hunter2-pass@h/d"}, "postgresql"),
    ],
    ids=["chatgpt", "codex", "alias", "kind", "unknown", "nothing", "elsewhere", "store"],
)
def test_what_must_not_be_served_is_a_config_error(missy: Command, section: dict[str, Any], said: str):
    """An entry of a ChatGPT plan, an unknown one and none at all are configuration errors (2), by alias too."""
    entries = {
        "test": {"name": "openai", "base_url": "http://127.0.0.1:1/v1"},
        "other": {"name": "openai", "base_url": "http://127.0.0.1:1/v1"},
        "plan": {"name": "chatgpt"},
        "codex": {"name": "openai-codex"},
        "openai-codex": {"name": "openai-codex"},
    }
    missy.config({"providers": entries, "serve": section})
    result = missy("serve", "--port", "0")
    assert (result.code, said in result.err) == (2, True), result.err
    assert "hunter2-pass" not in result.err


def test_metrics_need_an_admin_key_and_hold_no_secret(start: Start, make_key: MakeKey):
    """The metrics count requests by key and model, for admin keys alone, and hold neither side's keys."""
    gateway, _ = start()
    user, admin = make_key("user"), make_key("boss", "--admin")
    gateway.ask(user)
    gateway.ask(user, model="nothing")
    assert gateway.request("GET", "/metrics")[0] == 401
    assert gateway.request("GET", "/metrics", user)[0] == 403
    status, _, body = gateway.request("GET", "/metrics", admin)
    assert status == 200
    assert b'missy_requests_total{key="user",model="test/m",result="ok"} 1' in body
    assert b'missy_requests_total{key="user",model="",result="model_not_found"} 1' in body
    for secret in (user, admin, ENTRY_KEY):
        assert secret.encode() not in body


def test_a_store_that_is_none_is_refused(missy: Command, start: Start):
    """`--store` takes what serve.store takes; what was written is not repeated, since it may hold a password."""
    start()
    result = missy("serve", "--port", "0", "--store", "mysql://u:hunter2-pass@h/d")
    assert result.code == 2
    assert "hunter2-pass" not in result.err
    assert "--store" in result.err
