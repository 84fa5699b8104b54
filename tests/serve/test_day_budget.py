"""The budget of the day holds for what programs ask through the gateway, together with what is asked without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.command import Command
from tests.serve.conftest import Gateway, make_config
from tests.serve.crowd import ask_all
from tests.serve.test_limits import BODY, PRICE, USED
from tests.servers import Origin, chat_answer, chat_error

MakeKey = Callable[..., str]
Gateways = Callable[..., Gateway]
Serve = Callable[..., Origin]


def configure(
    missy: Command, origin: Origin, day_usd: float | None, entry: dict[str, Any] | None = None
) -> None:
    """Write a configuration of a gateway with this budget of the day."""
    make_config(missy, origin.url, {**PRICE, **(entry or {})})
    file = missy.home / "config.yaml"
    missy.config({**json.loads(file.read_text()), "budget": {"day_usd": day_usd}})


def spent(missy: Command) -> list[dict[str, Any]]:
    """Return what `missy usage` tells of today, by entry."""
    rows: list[dict[str, Any]] = missy("usage", "--by", "entry", "--json").json()["rows"]
    return rows


@pytest.mark.race
def test_a_crowd_cannot_pass_it(serve: Serve, missy: Command, make_key: MakeKey, gateways: Gateways):
    """Of 200 at once at two gateways, with keys that have no budget, as many pass as the day's budget has room for; then
    `missy ask` is refused too, and nothing of it is sent.
    """
    origin = serve(chat_answer("hello", usage=USED))
    configure(missy, origin, 0.04)
    one, two = gateways(), gateways()
    key = make_key("crowd")
    told = ask_all([one.port, two.port], key, 200, BODY, 50)
    assert told == {(200, "ok"): 40, (429, "budget_exceeded"): 160}
    assert len(origin.requests) == 40
    status, _, body = one.ask(key, **BODY)
    assert (status, json.loads(body)["error"]["code"]) == (429, "budget_exceeded")
    assert "budget.day_usd" in json.loads(body)["error"]["message"]
    ran = missy("ask", "--provider", "test", "--max-tokens", "1000", "hi")
    assert ran.code == 7, ran.err
    assert "$0.04" in ran.err
    assert len(origin.requests) == 40


def test_what_was_not_spent_comes_back(serve: Serve, missy: Command, make_key: MakeKey, gateways: Gateways):
    """A request that failed, or that its key's own limit refused, leaves nothing reserved; a small answer only its cost."""
    small = {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11}
    origin = serve(chat_error(500, "x"), chat_answer("hello", usage=small))
    configure(missy, origin, 0.0011)
    gateway = gateways()
    assert gateway.ask(make_key("k"), max_tokens=1000)[0] == 502
    poor = make_key("poor", "--budget", "0.0001")
    assert [gateway.ask(poor, max_tokens=1000)[0] for _ in range(3)] == [429] * 3
    rich = make_key("rich", "--budget", "1")
    assert [gateway.ask(rich, max_tokens=1000)[0] for _ in range(10)] == [200] * 10
    assert gateway.ask(rich, max_tokens=2000)[0] == 429
    assert [(row["key"], row["output_tokens"], row["cost_usd"]) for row in spent(missy)] == [
        ("test", 100, 0.0001)
    ]


def test_it_counts_what_was_spent_before_there_was_a_budget(
    serve: Serve, missy: Command, make_key: MakeKey, gateways: Gateways
):
    """Without a budget the gateway's spending is on record too, in one sum, so that a budget that comes later counts it."""
    origin = serve(chat_answer("hello", usage=USED))
    configure(missy, origin, None)
    gateway = gateways()
    key = make_key("k")
    assert [gateway.ask(key)[0] for _ in range(5)] == [200] * 5
    assert gateway.end()[0] == 0
    [row] = spent(missy)
    assert (row["key"], row["calls"], row["output_tokens"], row["cost_usd"]) == ("test", 1, 5000, 0.005)
    configure(missy, origin, 0.0055)
    status, _, body = gateways().ask(key, max_tokens=1000)
    assert (status, json.loads(body)["error"]["code"]) == (429, "budget_exceeded")
    assert len(origin.requests) == 5


def test_what_costs_nothing_passes(serve: Serve, missy: Command, make_key: MakeKey, gateways: Gateways):
    """An entry that costs nothing needs no room in the budget."""
    origin = serve(chat_answer("hello", usage=USED))
    configure(missy, origin, 0.000001, {"price": None})
    assert gateways().ask(make_key("k"))[0] == 200


def test_nothing_is_sent_where_the_budget_cannot_be_read(
    serve: Serve, missy: Command, make_key: MakeKey, gateways: Gateways
):
    """A record that cannot be used is 503 store_unavailable, and the endpoint sees nothing."""
    origin = serve(chat_answer("hello", usage=USED))
    configure(missy, origin, 1)
    gateway = gateways()
    key = make_key("k")
    (missy.home / "sessions.db").mkdir()
    status, _, body = gateway.ask(key)
    assert (status, json.loads(body)["error"]["code"]) == (503, "store_unavailable")
    assert origin.requests == []
