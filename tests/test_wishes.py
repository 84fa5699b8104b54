"""What a caller of the library may wish for."""

from __future__ import annotations

import pytest

from missy import Missy, UsageError
from tests.servers import chat_stream


@pytest.mark.parametrize(
    "wish",
    [
        {"temperature": 2.5},
        {"temperature": float("nan")},
        {"max_tokens": 0},
        {"timeout": -1},
        {"deadline": 0},
        {"model": ""},
    ],
    ids=str,
)
def test_an_impossible_wish_is_refused_before_anything_is_sent(wish, missy, serve):
    """The library refuses what the command line refuses, with what is allowed."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError) as raised:
        m.ask("hi", **wish).text()
    assert raised.value.hint
    assert origin.connections == 0


def test_no_message_is_no_prompt(missy, serve):
    """An empty conversation is wrong use, as an empty prompt is."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError):
        m.ask([]).text()
    assert origin.connections == 0
