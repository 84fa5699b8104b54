"""The same promises with a PostgreSQL server that two gateways share."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.command import SAFETY, Command
from tests.serve.conftest import ASK, ENTRY_KEY, Gateway, make_config
from tests.serve.crowd import ask_all
from tests.serve.database import PASSWORD, Database, find
from tests.servers import Gate, Origin, chat_answer

pytest.importorskip("asyncpg", reason="asyncpg is not installed: the extra serve-team")
pytestmark = [
    pytest.mark.race,
    pytest.mark.skipif(find("initdb") is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(
        os.geteuid() == 0 and shutil.which("setpriv") is None,
        reason="PostgreSQL refuses root, and there is no setpriv",
    ),
]
PRICE = {"price": {"input": 0, "output": 1}}
BODY: dict[str, Any] = {"model": "test", "max_tokens": 1000, **ASK}
USED = {"prompt_tokens": 1, "completion_tokens": 1000, "total_tokens": 1001}


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    """One PostgreSQL server."""
    made = Database()
    yield made
    made.remove()


@pytest.fixture
def database(server: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database, which the variable MISSY_STORE names."""
    if server.process is None:
        server.start()
    server.query("DROP SCHEMA public CASCADE")
    server.query("CREATE SCHEMA public")
    monkeypatch.setenv("STORE_OF_THE_TEAM", server.url)
    return server


@pytest.fixture
def pair(
    database: Database, missy: Command, serve: Callable[..., Origin], gateways: Callable[..., Gateway]
) -> Callable[..., tuple[Gateway, Gateway, Origin]]:
    """Two gateways in front of one origin."""

    def begin(*script: Any, **section: Any) -> tuple[Gateway, Gateway, Origin]:
        origin = serve(*script)
        make_config(missy, origin.url, PRICE, store="$STORE_OF_THE_TEAM", **section)
        return gateways(), gateways(), origin

    return begin


def test_five_hundred_at_once_over_two_replicas(pair: Any, make_key: Any, database: Database):
    """Of 500 parallel requests to two replicas, on a budget for 100, 100 pass."""
    one, two, origin = pair(chat_answer("hello", usage=USED))
    key = make_key("crowd", "--budget", "0.1/month")
    assert ask_all([one.port, two.port], key, 500, BODY) == {(200, "ok"): 100, (429, "budget_exceeded"): 400}
    assert len(origin.requests) == 100
    for gateway in (one, two):
        gateway.end()
    row = one.usage()["crowd"]
    assert (row["requests"], row["refused"], row["output_tokens"], row["cost_usd"]) == (
        100,
        400,
        100_000,
        0.1,
    )
    assert database.query("SELECT used, reserved FROM counter") == "100000|0"


@pytest.mark.slow
def test_a_killed_replica(pair: Any, make_key: Any, database: Database):
    """A replica killed with 50 in flight: the ledger equals the endpoint's count within those, and they come back."""
    one, two, origin = pair(chat_answer("hello", usage=USED))
    key = make_key("k", "--budget", "0.1")
    assert ask_all([one.port, two.port], key, 20, BODY) == {(200, "ok"): 20}
    gate = Gate()
    origin.script[:] = [[gate]]
    body = json.dumps(BODY).encode()
    socks = []
    for _ in range(50):
        sock = one.connect()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nAuthorization: Bearer {key}\r\n"
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        socks.append(sock)
    origin.wait_requests(70)
    assert database.query("SELECT used, reserved FROM counter") == "20000|50000"
    one.process.kill()
    one.process.wait(SAFETY)
    gate.open()
    ends = time.monotonic() + SAFETY
    while database.query("SELECT used, reserved FROM counter") != "20000|0":
        assert time.monotonic() < ends
        time.sleep(0.2)
    origin.script[:] = [chat_answer("hello", usage=USED)]
    assert ask_all([two.port], key, 90, BODY) == {(200, "ok"): 80, (429, "budget_exceeded"): 10}
    for sock in socks:
        sock.close()


def test_while_the_database_is_down(pair: Any, make_key: Any, database: Database):
    """Without the database requests are 503 and reach no endpoint; once it is back they pass, without a restart."""
    one, _, origin = pair(chat_answer("hello", usage=USED))
    key = make_key("k", "--budget", "1")
    assert one.ask(key)[0] == 200
    database.stop()
    status, head, body = one.ask(key)
    assert (status, json.loads(body)["error"]["code"]) == (503, "store_unavailable")
    assert "retry-after" in head.lower()
    assert one.request("GET", "/readyz")[0] == 503
    assert one.request("GET", "/healthz")[0] == 200
    assert len(origin.requests) == 1
    database.start()
    began = time.monotonic()
    while one.ask(key)[0] != 200:
        assert time.monotonic() - began < 5
    assert one.request("GET", "/readyz")[0] == 200


def test_requests_may_pass_without_the_database(pair: Any, make_key: Any, database: Database):
    """With on_store_failure: allow, keys that were seen pass while it is down, and are recorded once it is back."""
    one, _, _ = pair(chat_answer("hello", usage=USED), on_store_failure="allow")
    seen, unseen = make_key("seen"), make_key("unseen")
    assert one.ask(seen)[0] == 200
    database.stop()
    assert one.ask(seen)[0] == 200
    assert one.ask(unseen)[0] == 503
    database.start()
    one.end()
    assert one.usage()["seen"]["requests"] == 2


def test_the_password_of_the_database_is_shown_nowhere(
    pair: Any, make_key: Any, database: Database, missy: Command
):
    """Errors while it is down, and the listings of the configuration, do not hold the URL's password."""
    one, _, _ = pair(chat_answer("hello", usage=USED))
    key = make_key("k")
    database.stop()
    said = "".join(one.ask(key)[1:2]) + missy("keys", "list").err + missy("--debug", "keys", "list").err
    code, err = one.end()
    database.start()
    missy.config(
        {
            "providers": {
                "test": {"name": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": ENTRY_KEY}
            },
            "serve": {"entries": ["test"], "store": database.url},
        }
    )
    shown = missy("config", "show")
    assert code == 0
    assert PASSWORD not in said + err + shown.text + shown.err


def test_replicas_that_start_together_make_the_tables_once(
    database: Database, missy: Command, serve: Callable[..., Origin]
):
    """Several first starts at the same time all succeed, and a newer database is refused."""
    make_config(missy, serve(chat_answer("x")).url, store="$STORE_OF_THE_TEAM")
    running = [missy.start("keys", "create", f"k{n}") for n in range(4)]
    assert [process.wait(SAFETY) for process in running] == [0] * 4
    for process in running:
        process.communicate()
    assert len(missy("keys", "list", "--json").json()) == 4
    database.query("UPDATE missy_schema SET version = 99")
    result = missy("keys", "list")
    assert result.code == 1
    assert "newer Missy" in result.err
