"""Lent clients of a ChatGPT login: the login is renewed for them as for an answer of Missy's own."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

import missy as library
from tests.providers.chatgpt import MODEL, RESPONSES, Subscriber
from tests.simulator import Fault

HELLO = "Hello from the simulator."

ASK: dict[str, Any] = {
    "model": MODEL,
    "instructions": "x",
    "input": [{"role": "user", "content": "hi"}],
    "store": False,
    "stream": True,
}


def ask(way: str, *, calls: int = 1, between: Any = None) -> list[str]:
    """Ask that often with one client, and return the texts; `between` is called after the first."""
    if way == "async":
        return asyncio.run(_ask(calls, between))
    texts = []
    with library.Missy.open() as missy:
        client = missy.openai_client("openai-codex")
        for _ in range(calls):
            events = client.responses.create(**ASK)
            texts.append("".join(e.delta for e in events if e.type == "response.output_text.delta"))
            if between is not None:
                between()
    return texts


async def _ask(calls: int, between: Any) -> list[str]:
    texts = []
    async with library.AsyncMissy.open() as missy:
        client = missy.openai_client("openai-codex")
        for _ in range(calls):
            events = [event async for event in await client.responses.create(**ASK)]
            texts.append("".join(e.delta for e in events if e.type == "response.output_text.delta"))
            if between is not None:
                between()
    return texts


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """Both ways."""
    return str(request.param)


def test_a_token_near_its_end_is_renewed_first(way, person):
    """One renewal, one request, and the account goes with it."""
    person.signs_in(lifetime=30)
    assert ask(way) == [HELLO]
    assert (person.posts, person.simulator.renewals) == (1, 1)
    sent = [request for request in person.simulator.journal if request.path == RESPONSES][-1]
    assert set(sent.headers) >= {"authorization", "chatgpt-account-id"}


def test_a_client_outlives_its_first_token(way, person):
    """The backend refuses the token between two calls: the second renews it and is answered."""
    assert ask(way, calls=2, between=person.forget_token) == [HELLO, HELLO]
    assert (person.posts, person.simulator.renewals) == (3, 1)


def test_a_refusal_that_stays_costs_one_more_request(way, person):
    """Nothing is tried for ever: the server's own 401 is told by the package."""
    for _ in range(4):
        person.simulator.backend_faults.add(RESPONSES, Fault(401, {"detail": "no"}))
    with pytest.raises(openai.AuthenticationError):
        ask(way)
    assert (person.posts, person.simulator.renewals) == (2, 1)


def test_without_a_login_the_client_says_what_to_type(way, missy, simulator):
    """CredentialError, exit code 4, and nothing is sent."""
    Subscriber(missy, simulator)
    with pytest.raises(library.CredentialError) as caught:
        ask(way)
    assert "missy auth login" in caught.value.hint
    assert simulator.journal == []
