"""A long-lived Missy and an edited configuration file."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from missy import AsyncMissy, ConfigError, Missy, Notice, UsageError
from missy.policy import parse
from tests.command import Command
from tests.configuration import edit
from tests.servers import Gate, Origin, chat_stream, json_response


def write(missy: Command, *servers: Origin, **more: Any) -> Path:
    """Write a config with an entry a server, named a, b, ..."""
    names = zip("abc", servers, strict=False)
    entries = {
        name: {"base_url": server.url, "model": f"m-{name}", "max_retries": 0} for name, server in names
    }
    return missy.config({"providers": entries, **more})


@pytest.fixture
def a(serve) -> Origin:
    return serve(chat_stream("one"))


@pytest.fixture
def b(serve) -> Origin:
    return serve(chat_stream("two"))


def test_an_edit_holds_from_the_next_answer_on(missy, a, b):
    """Model, endpoint and default: what a command or an editor writes is what the next answer uses."""
    path = write(missy, a)
    with Missy.open() as m:
        assert m.ask("hi").text() == "one"
        edit.set_value(path, ["providers", "a", "model"], "new")
        assert m.ask("hi").text() == "one"
        assert [body["model"] for body in a.bodies()] == ["m-a", "new"]
        assert a.connections == 1  # the same endpoint: the connection lives on
        write(missy, a, b, default_provider="b")
        assert m.ask("hi").text() == "two"
        assert m.ask("hi", provider="a").text() == "one"
        write(missy, a)
        assert m.ask("hi").text() == "one"
        with pytest.raises(UsageError):
            m.ask("hi", provider="b")


def test_a_file_that_comes_later_is_seen(missy, a):
    """A Missy that was opened without any configuration finds the one that is made."""
    with Missy.open() as m:
        with pytest.raises(UsageError):
            m.ask("hi")
        write(missy, a)
        assert m.ask("hi").text() == "one"


@pytest.mark.parametrize(
    "broken", ["providers: [", "providers: {a: {timout: 5}}", None, "providers: {a: {}}"]
)
def test_a_broken_edit_keeps_the_old_one_and_says_so_once(missy, a, broken):
    """The file and line are named once; the old one answers until the file is right again."""
    path = write(missy, a)
    said: list[str] = []
    with Missy.open(notice=said.append) as m:
        assert m.ask("hi").text() == "one"
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)
            if "timout" not in broken and "[" not in broken:
                path.chmod(0o666)
        for _ in range(3):
            assert [event for event in m.ask("hi") if isinstance(event, Notice)] == []
        assert len(said) == 1
        assert str(path) in said[0]
        assert "still holds" in said[0]
        path.unlink(missing_ok=True)
        write(missy, a)
        edit.set_value(path, ["providers", "a", "model"], "mended")
        m.ask("hi").text()
        assert a.bodies()[-1]["model"] == "mended"
        assert len(said) == 1


def test_without_a_listener_the_next_answer_says_it(missy, a):
    """One Notice, before the answer; the one after that has none."""
    path = write(missy, a)
    with Missy.open() as m:
        path.write_text("providers: [")
        first, second = list(m.ask("hi")), list(m.ask("hi"))
        assert isinstance(first[0], Notice)
        assert f"{path}:" in first[0].text
        assert [event for event in [*first[1:], *second] if isinstance(event, Notice)] == []


def test_an_answer_under_way_ends_as_it_began(missy, serve, b):
    """Its endpoint is taken out of the file meanwhile: it comes whole, and then its connection is closed."""
    gate = Gate()
    slow = serve(chat_stream("be", gate, "gun"))
    write(missy, slow)
    with Missy.open() as m:
        answer = m.ask("hi")
        events = iter(answer)
        next(events)
        write(missy, b)
        assert m.ask("hi").text() == "two"
        gate.open()
        assert len(list(events)) >= 1
        assert answer.so_far == "begun"
        with pytest.raises(UsageError):
            m.ask("hi", provider="b")
    assert slow.connections == 1


def test_a_rule_that_is_taken_back_holds_at_once(missy, serve):
    """What the file no longer allows is refused, although a connection is open."""
    server = serve(json_response({"data": [{"id": "m"}]}))
    path = write(missy, server)
    with Missy.open() as m:
        assert m.models() == ["m"]
        edit.set_value(path, ["providers", "a", "enabled"], value=False)
        with pytest.raises(UsageError, match="disabled"):
            m.models("a")
        assert not m.door().gate.policy.decide(parse(server.url)).allowed


def test_old_connections_are_closed_when_nobody_is_on_them(missy, serve, b):
    """After the first answer over the new configuration, the old door is shut."""
    closed = threading.Event()

    def reply(_request, wire):
        wire.send_all(chat_stream("one"))
        if wire.wait_closed():
            closed.set()

    write(missy, serve(reply))
    with Missy.open() as m:
        assert m.ask("hi").text() == "one"
        door = m.door()
        write(missy, b)
        assert m.ask("hi").text() == "two"
        assert closed.wait(30)
        assert m.door() is not door


def test_a_client_that_was_lent_goes_on(missy, serve, b):
    """`openai_client` gives a client that lives as long as the Missy and its entry do."""
    models = {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]}
    old = serve(json_response(models))
    write(missy, old)
    with Missy.open() as m:
        client = m.openai_client()
        write(missy, old, b, default_provider="b")
        assert m.ask("hi").text() == "two"
        assert [model.id for model in client.models.list()] == ["m"]


def test_async_sees_it_too(missy, a, b):
    """The same for AsyncMissy, with an answer under way."""

    async def run() -> list[str]:
        path = write(missy, a)
        async with AsyncMissy.open() as m:
            texts = [await m.ask("hi").text()]
            write(missy, b)
            texts.append(await m.ask("hi").text())
            path.write_text("providers: [")
            events = [event async for event in m.ask("hi")]
            assert isinstance(events[0], Notice)
            texts.append(await m.ask("hi").text())
            return texts

    assert asyncio.run(run()) == ["one", "two", "two"]


def test_nothing_is_read_where_nothing_changed(missy, a):
    """A look costs one stat: the file may even be unreadable, as long as it is the same."""
    path = write(missy, a)
    with Missy.open() as m:
        m.ask("hi").text()
        before = path.stat().st_atime_ns
        m.ask("hi").text()
        assert path.stat().st_atime_ns == before


def test_a_configuration_that_is_in_no_file_stays(missy, a):
    """One that was made by hand is not looked for."""
    from tests.configuration import Config, entry

    config = Config(missy.home / "config.yaml", providers={"x": entry("x", model="m", base_url=a.url)})
    with Missy(config) as m:
        write(missy, a)
        assert m.ask("hi").provider == "x"


def test_open_raises_for_a_file_that_is_broken_from_the_start(missy):
    """There is no old one to keep."""
    missy.config("providers: [")
    with pytest.raises(ConfigError):
        Missy.open()
    assert os.path.exists(missy.home)
