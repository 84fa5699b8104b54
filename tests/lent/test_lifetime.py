"""How long a lent client serves, and what it follows: the Missy that made it, its entry, its key."""

from __future__ import annotations

import gc
import threading
from typing import Any

import openai
import pytest

import missy as package
from tests.command import Command
from tests.lent.conftest import ASK
from tests.servers import chat_answer, chat_stream


@pytest.fixture
def origin(serve) -> Any:
    return serve(chat_answer("hello"))


def test_it_is_the_packages_own(borrow, origin):
    """Every isinstance of a framework holds."""
    borrower = borrow(origin.url)
    client = borrower.client()
    assert isinstance(client, openai.OpenAI if borrower.way == "sync" else openai.AsyncOpenAI)
    assert str(client.base_url) == f"{origin.url}/"
    assert not client.is_closed()


def test_it_ends_with_its_missy(borrow, origin, records):
    """After `close()` every client and copy says so, opens nothing, and calls itself closed."""
    borrower = borrow(origin.url)
    client = borrower.client()
    copy = client.with_options(timeout=5, max_retries=3)
    borrower.ask(client)
    borrower.close()
    lines = len(records())
    for one in (client, copy):
        assert one.is_closed()
        with pytest.raises(package.UsageError, match="closed") as caught:
            borrower.ask(one)
        assert isinstance(caught.value, openai.OpenAIError)
        assert caught.value.hint
    assert (len(origin.requests), len(records())) == (1, lines)


def test_closing_a_client_closes_that_one_alone(borrow, origin):
    """The door behind it goes on serving the others."""
    borrower = borrow(origin.url)
    first, second = borrower.client(), borrower.client()
    borrower.run(first.close)
    assert (first.is_closed(), second.is_closed()) == (True, False)
    assert borrower.ask(second) == "hello"


def test_a_missy_that_ends_leaves_no_connection(borrow, origin):
    """Kept connections of a lent client are closed with the rest."""
    borrower = borrow(origin.url)
    borrower.ask(borrower.client())
    borrower.close()
    gc.collect()
    assert origin.connections == 1


def rewrite(missy: Command, origin: Any, **fields: Any) -> None:
    """Write the entry `a` anew."""
    entry = {
        "name": "openai",
        "model": "m",
        "max_retries": 0,
        "timeout": 20,
        "base_url": origin.url,
        **fields,
    }
    missy.config({"providers": {"a": entry}})


def test_it_follows_its_entrys_key_and_timeout(borrow, origin, missy, serve):
    """What the file says now is what the next request goes out with."""
    borrower = borrow(origin.url)
    client = borrower.client()
    borrower.ask(client)
    rewrite(missy, origin, api_key="sk-new")
    borrower.ask(client)
    assert origin.last.header("authorization") == "Bearer sk-new"
    origin.script[:] = [lambda _request, wire: wire.wait_closed() and None]
    rewrite(missy, origin, api_key="sk-new", timeout=0.3)
    with pytest.raises(package.TimedOut):
        borrower.ask(client)


def test_it_does_not_follow_its_entry_to_another_origin(borrow, origin, serve, missy):
    """Its base URL is the old one, which no entry names any more: refused, and nothing is sent to either."""
    other = serve(chat_answer("other"))
    borrower = borrow(origin.url)
    client = borrower.client()
    rewrite(missy, other)
    with pytest.raises(package.PolicyError):
        borrower.ask(client)
    assert (origin.connections, other.connections) == (0, 0)
    assert borrower.ask(borrower.client()) == "other"


def test_an_entry_that_is_gone_is_gone(borrow, origin, serve, missy):
    """Taken out of the file or disabled, it serves no request."""
    borrower = borrow(origin.url)
    client = borrower.client()
    rewrite(missy, origin, enabled=False)
    with pytest.raises(package.UsageError, match="disabled"):
        borrower.ask(client)
    missy.config({"providers": {"b": {"base_url": origin.url, "model": "m", "name": "openai"}}})
    with pytest.raises(package.UsageError):
        borrower.ask(client)
    assert origin.connections == 0


def test_a_key_from_the_environment_is_read_again(borrow, origin, monkeypatch):
    """A variable that changed holds from the next request on."""
    monkeypatch.setenv("LENT", "sk-one")
    borrower = borrow(origin.url, api_key="$LENT")
    client = borrower.client()
    borrower.ask(client)
    monkeypatch.setenv("LENT", "sk-two")
    borrower.ask(client)
    sent = [request.header("authorization") for request in origin.requests]
    assert sent == ["Bearer sk-one", "Bearer sk-two"]


def test_close_waits_its_turn(missy, serve):
    """Closed by one thread while others ask: each call ends with an answer or an error of ours, and none comes after."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    for _ in range(5):
        opened = package.Missy.open()
        odd: list[object] = []
        client, begun = opened.openai_client(), threading.Barrier(5)

        def ask(client: Any = client, odd: Any = odd, begun: Any = begun) -> None:
            begun.wait()
            for _ in range(10):
                try:
                    list(client.chat.completions.create(**ASK, stream=True))
                except package.MissyError:
                    pass
                except BaseException as error:  # whatever it is, it is wrong
                    odd.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        opened.close()
        for thread in threads:
            thread.join()
        assert odd == []
        with pytest.raises(package.UsageError):
            client.models.list()
