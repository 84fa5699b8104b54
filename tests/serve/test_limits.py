"""Budgets and rates hold, whoever asks at the same time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from tests.command import Command
from tests.serve.conftest import ASK, Gateway
from tests.serve.crowd import ask_all
from tests.servers import Gate, Origin, chat_answer, chat_error

Start = Callable[..., tuple[Gateway, Origin]]
MakeKey = Callable[..., str]
PRICE = {"price": {"input": 0, "output": 1}}  # a dollar for a million tokens of output
BODY: dict[str, Any] = {"model": "test", "max_tokens": 1000, **ASK}
USED = {"prompt_tokens": 1, "completion_tokens": 1000, "total_tokens": 1001}  # a thousandth of a dollar


@pytest.mark.race
def test_five_hundred_at_once_on_a_budget_for_a_hundred(start: Start, make_key: MakeKey):
    """Of 500 parallel requests on a budget for 100, 100 pass, the endpoint sees 100, and the rest are refused for it."""
    gateway, origin = start(chat_answer("hello", usage=USED), entry=PRICE)
    key = make_key("crowd", "--budget", "0.1")
    assert ask_all([gateway.port], key, 500, BODY) == {(200, "ok"): 100, (429, "budget_exceeded"): 400}
    assert len(origin.requests) == 100
    assert ask_all([gateway.port], key, 5, BODY) == {(429, "budget_exceeded"): 5}
    gateway.end()
    row = gateway.usage()["crowd"]
    assert (row["requests"], row["refused"], row["output_tokens"], row["cost_usd"]) == (
        100,
        405,
        100_000,
        0.1,
    )


@pytest.mark.race
def test_replicas_on_one_machine_share_a_budget(
    start: Start, make_key: MakeKey, gateways: Callable[..., Gateway]
):
    """Two gateways with one serve.db let as many pass together as one would."""
    one, origin = start(chat_answer("hello", usage=USED), entry=PRICE)
    two = gateways()
    key = make_key("crowd", "--budget", "0.1/day")
    assert ask_all([one.port, two.port], key, 300, BODY, 100) == {
        (200, "ok"): 100,
        (429, "budget_exceeded"): 200,
    }
    assert len(origin.requests) == 100


def test_what_was_reserved_and_not_used_comes_back(start: Start, make_key: MakeKey, missy: Command):
    """A request is settled to what it took, so a budget for one reservation serves many small answers."""
    small = {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11}
    gateway, _ = start(chat_answer("hello", usage=small), entry=PRICE)
    key = make_key("k", "--budget", "0.0011")
    assert [gateway.ask(key, max_tokens=1000)[0] for _ in range(10)] == [200] * 10
    assert missy("keys", "show", "k", "--json").json()["spent_usd"] == 0.0001
    assert gateway.ask(key, max_tokens=2000)[0] == 429


def test_a_refused_request_reserves_nothing(start: Start, make_key: MakeKey):
    """A failure of the endpoint gives back all that was reserved, of the budget and of the tokens."""
    gateway, _ = start(chat_error(500, "x"), chat_answer("x", choices=[]), entry=PRICE)
    key = make_key("k", "--budget", "0.001", "--tpm", "100000")
    for _ in range(5):
        assert gateway.ask(key, max_tokens=900)[0] == 502
    gateway.end()
    assert gateway.usage()["k"]["failed"] == 5


def test_a_model_of_unknown_price_has_no_budget(start: Start, make_key: MakeKey, missy: Command):
    """A key with a budget cannot use a model whose price is not known; the refusal names the line to write."""
    missy.config(
        {
            "providers": {
                "test": {
                    "name": "openai",
                    "model": "m",
                    "base_url": "https://unknown.example/v1",
                    "api_key": "k",
                }
            },
            "serve": {"entries": ["test"]},
        }
    )
    gateway = Gateway(missy)
    try:
        status, _, body = gateway.ask(make_key("k", "--budget", "5"))
    finally:
        gateway.end()
    told = json.loads(body)["error"]
    assert (status, told["code"]) == (429, "budget_exceeded")
    assert "price:" in told["message"]


@pytest.mark.parametrize(
    ("options", "body", "passed"),
    [(("--rpm", "3"), {}, 3), (("--tpm", "2500"), {"max_tokens": 1000, "messages": [{"role": "user", "content": "x"}]}, 2)],
    ids=["requests", "tokens"],
)  # fmt: skip
def test_rates_hold_in_each_minute(
    start: Start, make_key: MakeKey, options: tuple[str, ...], body: dict[str, Any], passed: int
):
    """Requests and tokens over a key's rate are 429 with Retry-After, until the minute ends."""
    gateway, _ = start(chat_answer("hello", usage=USED))
    key = make_key("k", *options)
    results = [gateway.ask(key, **body) for _ in range(10)]
    statuses = [status for status, _, _ in results]
    # A minute of the clock may end in between.
    assert passed <= statuses.count(200) <= 2 * passed
    refused = next(one for one in results if one[0] == 429)
    assert json.loads(refused[2])["error"]["code"] == "rate_limit_exceeded"
    assert "retry-after" in refused[1].lower()


@pytest.mark.slow
def test_a_killed_gateway_gives_back_what_it_had_reserved(
    start: Start, make_key: MakeKey, gateways: Callable[..., Gateway], missy: Command
):
    """After a kill with requests in flight, another gateway gives their reservations back within its lease."""
    gate = Gate()
    one, origin = start([gate], entry=PRICE)
    key = make_key("k", "--budget", "0.01")
    socks = []
    data = json.dumps(BODY).encode()
    for _ in range(10):
        sock = one.connect()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nAuthorization: Bearer {key}\r\n"
        sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        socks.append(sock)
    origin.wait_requests(10)
    assert one.ask(key, max_tokens=1000)[0] == 429
    one.process.kill()
    gate.open()
    origin.script[:] = [chat_answer("hello", usage=USED)]
    two = gateways()
    for _ in range(600):
        if two.ask(key, max_tokens=1000)[0] == 200:
            break
        _pause()
    else:
        raise AssertionError("the reservations did not come back")
    for sock in socks:
        sock.close()
    for _ in range(600):  # the leases end one by one
        with sqlite3.connect(missy.home / "serve.db") as store:
            if store.execute("SELECT used, reserved FROM counter").fetchall() == [(1000, 0)]:
                return
        _pause()
    raise AssertionError("not all of the reservations came back")


def _pause() -> None:
    import time

    time.sleep(0.05)  # nothing tells that a lease has ended
