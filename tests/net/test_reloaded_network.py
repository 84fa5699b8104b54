"""A long-lived Missy and an edited `network`: the next answer goes by the new rules, the new proxy and the new roots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from missy import AsyncMissy, ConnectionFailed, Missy, MissyError, PolicyError
from tests.servers import Origin, chat_stream, json_response

HOST = "api.example.com"
OWN = {"allowed_cidrs": ["127.0.0.1/32"]}
Steps = list[tuple[Callable[[], Any], type[MissyError] | None]]


def take(way: str, config: Path, steps: Steps) -> None:
    """Ask one long-lived Missy after each edit; the answer must come, or end as this error."""
    if way == "async":
        asyncio.run(_take(config, steps))
        return
    with Missy.open(config) as missy:
        for edit, error in steps:
            edit()
            if error is None:
                assert missy.ask("hi").text() == "hello"
            else:
                with pytest.raises(error):
                    missy.ask("hi").text()


async def _take(config: Path, steps: Steps) -> None:
    async with AsyncMissy.open(config) as missy:
        for edit, error in steps:
            edit()
            if error is None:
                assert await missy.ask("hi").text() == "hello"
            else:
                with pytest.raises(error):
                    await missy.ask("hi").text()


@pytest.fixture
def network(write_config) -> Callable[..., Callable[[], Path]]:
    """Return an edit that writes the same entry with another `network`: `network(url, proxy=..., ...)`."""

    def make(url: str, **section: Any) -> Callable[[], Path]:
        return lambda: write_config(url, network=section, api_key="sk-canary-0123456789")

    return make


@pytest.fixture
def secure(serve, certify) -> Origin:
    return serve(chat_stream("hello"), tls=certify(HOST))


def test_rules(way, network, serve, table):
    """What may be reached is what the file says now: taken away, given, and taken away again."""
    origin = serve(chat_stream("hello"))
    table.names["lan.example.com"] = ["127.0.0.1"]
    url = f"http://lan.example.com:{origin.port}/v1"
    given, taken = network(url, **OWN), network(url)
    take(way, given(), [(given, None), (taken, PolicyError), (given, None), (taken, PolicyError)])
    assert len(origin.requests) == 2


def test_proxy(way, network, secure, tunnel, table, ca_bundle):
    """The next answer goes through the proxy that is named now, and directly where none is."""
    table.names[HOST] = ["127.0.0.1"]
    place = f"{HOST}:{secure.port}"
    one, two = tunnel({place: secure.port}), tunnel({place: secure.port})
    url, common = f"https://{place}/v1", {"ca_bundle": str(ca_bundle), **OWN}
    seen: list[tuple[int, int, int]] = []

    def after(edit: Callable[[], Path]) -> Callable[[], None]:
        def step() -> None:
            seen.append((len(one.connects), len(two.connects), len(secure.requests)))
            edit()

        return step

    direct = network(url, **common)
    first, second = (network(url, proxy=proxy.url, **common) for proxy in (one, two))
    take(way, direct(), [(after(edit), None) for edit in (direct, first, second, direct, direct)])
    assert seen == [(0, 0, 0), (0, 0, 1), (1, 0, 2), (1, 1, 3), (1, 1, 4)]
    assert (len(one.connects), len(two.connects)) == (1, 1)


def test_roots(way, network, secure, table, ca_bundle):
    """A root that is taken out is trusted no more, a connection that it opened included; one that comes in is."""
    table.names[HOST] = ["127.0.0.1"]
    url = f"https://{HOST}:{secure.port}/v1"
    trusted, bare = network(url, ca_bundle=str(ca_bundle), **OWN), network(url, **OWN)
    steps: Steps = [(trusted, None), (bare, ConnectionFailed), (trusted, None), (bare, ConnectionFailed)]
    take(way, trusted(), steps)
    assert len(secure.requests) == 2


def test_an_edit_that_is_none_of_the_networks_keeps_the_connection(way, write_config, network, serve):
    """The other half: another model is no reason to connect anew."""
    origin = serve(chat_stream("hello"))
    edits = [network(origin.url), lambda: write_config(origin.url, model="another")]
    take(way, edits[0](), [(edit, None) for edit in edits])
    assert [body["model"] for body in origin.bodies()] == ["m", "another"]
    assert origin.connections == 1


def test_a_lent_client_goes_by_the_new_rules_too(write_config, network, serve):
    """What was lent lives as long as its Missy, and its next request goes through the door that holds now."""
    model = {"id": "m", "object": "model", "created": 1, "owned_by": "x"}
    listed = json_response({"object": "list", "data": [model]})
    origin = serve(listed, listed, chat_stream("hello"), listed)
    with Missy.open(network(origin.url)()) as missy:
        client = missy.openai_client()
        assert [model.id for model in client.models.list()] == ["m"]
        write_config(origin.url, network=OWN, model="another")
        assert [model.id for model in client.models.list()] == ["m"]
        assert missy.ask("hi").text() == "hello"
        assert [model.id for model in client.models.list()] == ["m"]
    lent = [request.connection for request in origin.requests if request.method == "GET"]
    assert lent == [1, 2, 2]
