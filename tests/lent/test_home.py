"""A lent client reaches its entry's own scheme, host and port, and nothing else; its credential goes nowhere else."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

import missy as package
from tests.lent.conftest import ASK, KEY
from tests.servers import chat_answer, response


@pytest.fixture
def other(serve) -> Any:
    """A server that is not the entry's."""
    return serve(chat_answer("stolen"))


@pytest.fixture
def home_server(serve) -> Any:
    return serve(chat_answer("hello"))


def raw(client: Any) -> Any:
    """The HTTP client under the package's."""
    return client._client


def foreign_client(client: Any, other: Any) -> Any:
    kind = openai.AsyncOpenAI if isinstance(client, openai.AsyncOpenAI) else openai.OpenAI
    return kind(api_key=client.api_key, base_url=other.url, http_client=raw(client), max_retries=0)


def set_base_url(client: Any, other: Any) -> Any:
    client.base_url = other.url
    return client.chat.completions.create(**ASK)


def follow(client: Any, other: Any) -> Any:
    raw(client).follow_redirects = True
    return client.chat.completions.create(**ASK)


WAYS_OUT = {
    "with_options": lambda c, o: c.with_options(base_url=o.url).chat.completions.create(**ASK),
    "copy": lambda c, o: c.copy(base_url=o.url).chat.completions.create(**ASK),
    "copy of a copy": lambda c, o: c.copy(timeout=3).copy(base_url=o.url).models.list(),
    "base_url set": set_base_url,
    "absolute URL": lambda c, o: c.post(f"{o.url}/chat/completions", cast_to=object, body=ASK),
    "another port": lambda c, o: c.get(f"http://127.0.0.1:{o.port}/v1/models", cast_to=object),
    "another name of it": lambda c, o: c.get(f"http://localhost:{c.base_url.port}/v1/models", cast_to=object),
    "https": lambda c, o: c.get(f"https://127.0.0.1:{c.base_url.port}/v1/models", cast_to=object),
    "another host": lambda c, o: c.get("https://api.openai.com/v1/models", cast_to=object),
    "the HTTP client": lambda c, o: raw(c).post(f"{o.url}/chat/completions", json=ASK),
    "the HTTP client in another package's hand": lambda c, o: foreign_client(c, o).chat.completions.create(**ASK),
    "a data residency": lambda c, o: c.with_options(data_residency="eu").models.list(),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS_OUT)
@pytest.mark.parametrize("known", [True, False], ids=["another entry's", "nobody's"])
def test_no_way_leads_to_another_origin(name, known, borrow, home_server, other, records, tried):
    """PolicyError, which is the package's error too; on record under the entry; no socket, no lookup, not a byte."""
    borrower = borrow(home_server.url, *([other.url] if known else []))
    client = borrower.client("a")
    with pytest.raises(package.PolicyError) as caught:
        borrower.run(WAYS_OUT[name], client.with_options(max_retries=3), other)
    assert isinstance(caught.value, openai.OpenAIError)
    assert (caught.value.exit_code, caught.value.rule) == (3, "entry_only")
    assert caught.value.hint
    assert (tried(), other.connections, home_server.connections) == ([], 0, 0)
    assert [(line["event"], line["entry"], line["rule"]) for line in records()] == [
        ("refused", "a", "entry_only")
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("known", [True, False])
def test_redirects_that_the_caller_follows_end_at_the_door(status, known, borrow, serve, other, records):
    """Whoever switches them on is refused at the second origin, which hears nothing."""
    first = serve(response(status, b"moved", ("Location", f"{other.url}/chat/completions")))
    borrower = borrow(first.url, *([other.url] if known else []))
    with pytest.raises(package.PolicyError):
        borrower.run(follow, borrower.client("a"), other)
    assert (other.connections, len(first.requests)) == (0, 1)
    assert records()[-1]["event"] == "refused"


REFUSED = {
    "a Host header": {"headers": {"Host": "evil.example"}},
    "two Host headers": {"headers": [("Host", "127.0.0.1"), ("Host", "evil.example")]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_changed_host_header_is_refused(name, borrow, home_server, records, tried):
    """What the connection says and what the request says must be one place."""
    borrower = borrow(home_server.url)
    client = borrower.client()
    with pytest.raises(package.PolicyError):
        borrower.run(
            lambda: raw(client).post(f"{home_server.url}/chat/completions", json=ASK, **REFUSED[name])
        )
    assert (tried(), [line["event"] for line in records()]) == ([], ["refused"])


def test_a_host_header_of_the_packages_own_is_refused(borrow, home_server, tried):
    """The same by `extra_headers` and `default_headers`."""
    borrower = borrow(home_server.url)
    client, host = borrower.client(), {"Host": "evil.example"}
    for call in (
        lambda: client.chat.completions.create(**ASK, extra_headers=host),
        lambda: client.with_options(default_headers=host).chat.completions.create(**ASK),
    ):
        with pytest.raises(package.PolicyError):
            borrower.run(call)
    assert tried() == []


def test_user_and_password_in_a_url_are_refused(borrow, home_server, records, tried):
    """They go nowhere, also where the host is the entry's own."""
    borrower = borrow(home_server.url)
    client = borrower.client()
    for host in (f"user:{KEY}@127.0.0.1", "127.0.0.1@evil.example"):
        url = f"http://{host}:{home_server.port}/v1/models"
        with pytest.raises((package.PolicyError, httpx2.InvalidURL)):
            borrower.run(lambda url=url: client.get(url, cast_to=object))
    assert tried() == []
    assert all(line["event"] == "refused" for line in records())


@pytest.mark.parametrize("option", ["http_client", "provider", "workload_identity"])
@pytest.mark.parametrize("by", ["copy", "with_options"])
def test_what_would_pass_the_door_by_is_refused(option, by, borrow, home_server, way):
    """Another HTTP client and another way to sign in have connections of their own."""
    borrower = borrow(home_server.url)
    client = borrower.client()
    given = httpx2.Client() if way == "sync" else httpx2.AsyncClient()
    value = given if option == "http_client" else object()
    with pytest.raises(package.UsageError, match=option) as caught:
        getattr(client, by)(**{option: value})
    assert isinstance(caught.value, openai.OpenAIError)
    assert caught.value.hint
    with pytest.raises(package.UsageError):
        type(client)(api_key="x")


def test_the_client_holds_no_key(borrow, home_server):
    """Whoever prints it, copies it or looks into its requests finds a stand-in; the server gets the entry's key."""
    borrower = borrow(home_server.url)
    client = borrower.client()
    seen: list[httpx2.Request] = []

    async def look_async(request: httpx2.Request) -> None:
        seen.append(request)

    hook = seen.append if borrower.way == "sync" else look_async
    raw(client).event_hooks = {"request": [hook]}
    assert borrower.ask(client) == "hello"
    assert home_server.last.header("authorization") == f"Bearer {KEY}"
    held = [client.api_key, str(vars(client)), *(str(request.headers.raw) for request in seen)]
    assert not any(KEY in text for text in held)


def test_a_key_of_the_callers_own_is_sent_as_such(borrow, home_server, records):
    """It goes to the entry's endpoint instead of the entry's, and the record does not call it the entry's."""
    borrower = borrow(home_server.url)
    borrower.ask(borrower.client().with_options(api_key="sk-mine"))
    assert home_server.last.header("authorization") == "Bearer sk-mine"
    sent = [line for line in records() if line["event"] == "request"]
    assert [line["credential"] for line in sent] == ["caller"]


def test_a_copy_is_as_good_as_the_client(borrow, serve, home_server, monkeypatch):
    """Headers, account and anonymity survive `with_options`, and the environment gets no say in it."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-canary: 1")
    monkeypatch.setenv("OPENAI_ORG_ID", "canary")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://canary.example")
    borrower = borrow(home_server.url)
    client = borrower.client().with_options(timeout=9, default_headers={"x-own": "1"}).copy(max_retries=1)
    assert borrower.ask(client, extra_headers={"x-more": "2"}) == "hello"
    names = {name.lower(): value for name, value in home_server.last.headers}
    assert (names["x-own"], names["x-more"], names["authorization"]) == ("1", "2", f"Bearer {KEY}")
    assert names["user-agent"].startswith("missy/")
    assert not any("stainless" in name or "canary" in name + value for name, value in names.items())


def test_a_keyless_entry_sends_no_key_by_a_copy_either(borrow, home_server):
    """The package's stand-in for a key stays at home."""
    borrower = borrow(home_server.url, api_key=None)
    assert borrower.ask(borrower.client().with_options(timeout=9)) == "hello"
    assert home_server.last.header("authorization") is None


def test_websockets_are_refused(borrow, home_server, records):
    """Their address is asked for by every call that opens one, and that is where it ends, on record."""
    borrower = borrow(home_server.url)
    for client in (borrower.client(), borrower.client().copy(timeout=3)):
        with pytest.raises(package.PolicyError, match="websocket"):
            _ = client.websocket_base_url
    assert [line["rule"] for line in records()] == ["websocket"] * 2
    assert home_server.connections == 0
