"""What a caller of the library may ask for."""

from __future__ import annotations

import pytest

from missy import AsyncMissy, Missy, UsageError
from tests.servers import chat_stream


@pytest.mark.parametrize(
    "option",
    [
        {"temperature": 2.5},
        {"temperature": float("nan")},
        {"max_tokens": 0},
        {"timeout": -1},
        {"deadline": 0},
        {"model": ""},
        {"temperature": "hot"},
        {"max_tokens": True},
        {"timeout": "soon"},
        {"images": b"abc"},
        {"stream": "no"},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_before_anything_is_sent(option, missy, serve):
    """The library refuses what the command line refuses, with what is allowed."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError) as raised:
        m.ask("hi", **option).text()
    assert raised.value.hint
    assert origin.connections == 0


def test_no_message_is_no_prompt(missy, serve):
    """An empty conversation is wrong use, as an empty prompt is."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError):
        m.ask([]).text()
    assert origin.connections == 0


@pytest.mark.parametrize("kind", [Missy, AsyncMissy])
def test_an_option_that_there_is_not_is_named_with_the_nearest_one(kind, missy, serve):
    """A misspelt option is a UsageError that names the right one, sync and async, and nothing is sent."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with pytest.raises(UsageError, match="temprature") as raised:
        kind.open().ask("hi", temprature=0.2)
    assert "temperature" in raised.value.hint
    with pytest.raises(UsageError) as raised:
        kind.open().ask("hi", zzz=1)
    assert "max_tokens" in raised.value.hint
    assert origin.connections == 0
