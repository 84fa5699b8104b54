"""How a gateway starts and ends."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command, read_until
from tests.serve.conftest import Gateway, make_config, read_all
from tests.servers import Gate, Origin, chat_chunk, event_stream, sse

Start = Callable[..., tuple[Gateway, Origin]]
MakeKey = Callable[..., str]


def half(gate: Gate) -> list[Any]:
    """A stream that waits in its middle."""
    last = [sse(chat_chunk("second")), sse(chat_chunk({}, "stop")), sse("[DONE]")]
    return event_stream(sse(chat_chunk("first")), gate, *last)


def begin(gateway: Gateway, key: str, until: bytes = b"first") -> Any:
    """Begin a stream over a raw connection, and read its first part."""
    sock = gateway.connect()
    body = json.dumps(
        {"model": "test", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {key}\r\n"
    sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    seen = b""
    while until not in seen:
        seen += sock.recv(4096)
    return sock


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_answers_end(start: Start, make_key: MakeKey, number: int):
    """At a signal no new connection is taken, the answer under way comes to its end, and the exit code is 0."""
    gate = Gate()
    gateway, _ = start(half(gate))
    sock = begin(gateway, make_key())
    gateway.process.send_signal(number)
    _wait_refused(gateway)
    gate.open()
    assert b"data: [DONE]" in read_all(sock)
    sock.close()
    code, err = gateway.end()
    assert (code, "Traceback" in err) == (0, False)


def test_a_second_signal_ends_answers_with_an_error(start: Start, make_key: MakeKey):
    """At a second signal what is under way gets an error and no [DONE], its end is on record, and the exit code is 143."""
    gate = Gate()
    gateway, _ = start(half(gate))
    sock = begin(gateway, make_key())
    gateway.process.send_signal(signal.SIGTERM)
    _wait_refused(gateway)
    gateway.process.send_signal(signal.SIGTERM)
    said = read_all(sock)
    assert b"event: error" in said
    assert b"shutting_down" in said
    assert b"[DONE]" not in said
    sock.close()
    gate.open()
    assert gateway.process.wait(30) == 143
    assert gateway.usage()["editor"]["incomplete"] == 1


def _wait_refused(gateway: Gateway) -> None:
    """Wait until no new connection is taken. The server looks ten times a second whether it is to end."""
    for _ in range(600):
        try:
            gateway.connect().close()
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("it goes on listening")


def test_a_port_in_use_is_said(start: Start, missy: Command):
    """A port that another program has is exit 1, in one line."""
    gateway, _ = start()
    result = missy("serve", "--port", str(gateway.port))
    assert result.code == 1
    assert f"cannot listen on 127.0.0.1:{gateway.port}" in result.err


def test_tls_is_served(
    start: Start, make_key: MakeKey, missy: Command, authority: Any, tmp_path: Any, gateways: Any
):
    """With a certificate it speaks TLS, and then may listen on any address."""
    start()
    cert = authority.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    options = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    gateway = gateways("--host", "0.0.0.0", *options)
    assert gateway.url.startswith("https://")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with gateway.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as sock:
        sock.sendall(
            f"GET /healthz HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert read_all(sock).endswith(b'{"ok": true}')
    result = missy("serve", "--tls-cert", str(tmp_path / "cert.pem"))
    assert result.code == 2


def test_a_change_of_the_file_holds_from_the_next_request(start: Start, make_key: MakeKey, missy: Command):
    """An alias that is written while it runs is served; a broken file changes nothing."""
    gateway, origin = start()
    key = make_key()
    assert gateway.ask(key, model="new")[0] == 404
    make_config(missy, origin.url, aliases={"new": "test/other"})
    os.utime(missy.home / "config.yaml", ns=(1, 1))
    assert gateway.ask(key, model="new")[0] == 200
    assert origin.last.json()["model"] == "other"
    (missy.home / "config.yaml").write_text("providers: [")
    assert gateway.ask(key, model="new")[0] == 200


def test_status_says_what_runs(start: Start, make_key: MakeKey, missy: Command):
    """`serve status` names the address and the keys that can be used, and sees that it ended."""
    gateway, _ = start()
    make_key("a")
    make_key("b")
    missy("keys", "revoke", "b")
    found = missy("serve", "status", "--json").json()
    assert (found["running"], found["url"], found["keys"]) == (True, gateway.url, 1)
    gateway.end()
    assert missy("serve", "status", "--json").json()["running"] is False


def test_the_database_may_come_and_go(start: Start, make_key: MakeKey, missy: Command):
    """While serve.db cannot be used, requests are 503; once it can, they pass without a restart."""
    gateway, origin = start()
    key = make_key("k", "--rpm", "1000")
    assert gateway.ask(key)[0] == 200
    blocker = sqlite3.connect(missy.home / "serve.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    status, _, body = gateway.ask(key)
    assert (status, json.loads(body)["error"]["code"]) == (503, "store_unavailable")
    blocker.execute("ROLLBACK")
    blocker.close()
    assert gateway.ask(key)[0] == 200
    assert len(origin.requests) == 2
    gateway.end()
    assert gateway.usage()["k"]["requests"] == 2


def test_the_address_is_printed_alone(start: Start, missy: Command):
    """Without --json the base URL is the one line of stdout."""
    start()
    process = missy.start("serve", "--port", "0")
    try:
        line = read_until(process.stdout, b"\n")
        assert line.startswith(b"http://127.0.0.1:")
        assert line.endswith(b"/v1\n")
    finally:
        process.send_signal(signal.SIGTERM)
        rest, err = process.communicate(timeout=30)
    assert rest == b""
    assert b"serving test" in err


def test_the_doctor_walks_the_gateway(start: Start, make_key: MakeKey, missy: Command):
    """`doctor` names what the gateway lacks: a key, TLS on an open address, a store; and says nothing if none is served."""
    _, origin = start()

    def found() -> dict[str, str]:
        checks = missy("doctor", "--json").json()["checks"]
        return {check["name"]: check["status"] for check in checks if check["name"].startswith("serve")}

    assert found() == {"serve: address": "ok", "serve: keys": "warn"}
    make_key()
    assert found() == {"serve: address": "ok", "serve: keys": "ok"}
    make_config(missy, origin.url, listen="0.0.0.0:8484", store="$NOT_SET")
    assert found() == {"serve: address": "warn", "serve: store": "fail"}
    make_config(missy, origin.url, entries=[], aliases={})
    assert found() == {}


@pytest.mark.flood
def test_slow_readers_take_no_memory(start: Start, make_key: MakeKey):
    """Two hundred callers that do not read long streams leave the gateway's memory flat, and others are served."""
    part = sse(chat_chunk("x" * 32_000))
    gateway, _ = start(event_stream(*[part] * 100, sse("[DONE]")))
    key = make_key()

    def memory() -> int:
        text = (Path("/proc") / str(gateway.process.pid) / "status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0])

    first = begin(gateway, key, b"xxx")
    before = memory()
    slow = [begin(gateway, key, b"HTTP/1.1 200") for _ in range(200)]
    assert gateway.request("GET", "/v1/models", key)[0] == 200
    # Each has its buffers of the socket and of one part, and not the 3 MB of its answer.
    assert memory() - before < 200 * 700
    for sock in (first, *slow):
        sock.close()
