"""Two answers of one process share what the endpoint said about waiting."""

from __future__ import annotations

import time

import missy
from tests.servers import chat_answer, chat_error


def test_a_second_answer_waits_for_the_pause_that_the_first_was_told(entry_at, serve):
    """The endpoint asks the first answer to wait a second; the second one, of another Missy, is not sent before that."""
    slow = chat_error(429, "slow down", ("Retry-After", "1"))
    server = serve(slow, chat_answer("fine"))
    entry_at(server.url)
    with missy.Missy.open() as first, missy.Missy.open() as second:
        try:
            first.ask("one", stream=False).text()
        except missy.LimitError:
            refused_at = time.monotonic()
        assert second.ask("two", stream=False).text() == "fine"
    assert server.requests[1].at - refused_at >= 0.9


def test_a_longer_pause_than_the_timeout_is_left_to_the_endpoint(entry_at, serve):
    """A pause that is longer than an answer's own timeout is not waited for: the endpoint is asked, and decides."""
    limited = chat_error(429, "come back tomorrow", ("Retry-After", "3600"))
    server = serve(limited, chat_answer("fine"))
    entry_at(server.url)
    with missy.Missy.open() as m:
        try:
            m.ask("one", stream=False).text()
        except missy.LimitError:
            pass
        assert m.ask("two", stream=False).text() == "fine"


def test_an_answer_that_used_up_the_limit_holds_the_next_one(entry_at, serve):
    """`x-ratelimit-remaining-requests: 0` and its reset of 800 ms hold the next request for that time."""
    told = (("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "800ms"))
    server = serve(chat_answer("one", "stop", *told), chat_answer("two"))
    entry_at(server.url)
    with missy.Missy.open() as m:
        assert m.ask("one", stream=False).text() == "one"
        answered_at = time.monotonic()
        assert m.ask("two", stream=False).text() == "two"
    assert server.requests[1].at - answered_at >= 0.6
