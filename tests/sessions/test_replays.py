"""What an endpoint sealed goes back to it alone: the same kind, host, account and model; to everybody else goes the text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

import missy as library
from missy.events import Message, Notice, Replay
from tests.cases.conftest import data, http
from tests.command import Command
from tests.providers.chatgpt import MODEL, RESPONSES, Subscriber
from tests.servers import chat_stream
from tests.sessions.conftest import texts
from tests.simulator import Account, Fault, Say, Script, Simulator, Think

OTHER = "gpt-6-luna"
SEALED = Think(("Hm",))
REFUSALS = {
    "its code": {
        "error": {
            "code": "invalid_encrypted_content",
            "message": "The encrypted content could not be verified.",
        }
    },
    "its words": {
        "error": {
            "message": "Item 'rs_123' of type 'reasoning' was provided without its required following item."
        }
    },
    "a detail": {"detail": "Unsupported encrypted_content"},
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The two servers of a subscription."""
    with Simulator() as one:
        yield one


@pytest.fixture
def person(missy: Command, simulator: Simulator) -> Subscriber:
    """Somebody who is logged in; each answer is sealed thinking and a text."""
    one = Subscriber(missy, simulator)
    one.signs_in()
    simulator.backend.scripts.extend([Script((SEALED, Say(("the ", "answer"))))] * 4)
    return one


def kinds(person: Subscriber) -> list[str]:
    """The types of the items of the last request."""
    return [item["type"] for item in person.body["input"]]


def ask(missy: Command, *args: str) -> None:
    """Ask in the session `s`."""
    ran = missy.inside("ask", "--session", "s", *args)
    assert ran.code == 0, ran.err


def test_the_same_issuer_gets_back_what_it_sealed(person, missy):
    """Over processes: the second request holds the sealed thinking and the message with its id, before the question."""
    ask(missy, "one")
    ask(missy, "two")
    sent = person.body["input"]
    assert kinds(person) == ["message", "reasoning", "message", "message"]
    assert sent[1]["encrypted_content"] == SEALED.encrypted
    assert sent[2]["id"]
    assert "status" not in sent[1]


def test_another_model_gets_the_text_alone(person, missy):
    """A switch of the model in mid-conversation sends what was said; back on the first one, its own is sent again."""
    ask(missy, "one", "--model", MODEL)
    ask(missy, "two", "--model", OTHER)
    assert kinds(person) == ["message"] * 3
    assert person.body["input"][1]["content"] == [{"type": "output_text", "text": "the answer"}]
    ask(missy, "three", "--model", MODEL)
    assert kinds(person) == ["message", "reasoning", "message", "message", "message", "message"]


def test_another_account_gets_the_text_alone(person, missy):
    """After a login to another account nothing that the first one's backend sealed is sent."""
    ask(missy, "one")
    person.signs_in(account=Account(id="7e2c2a6e-0000-4000-8000-000000000009", email="eve@example.com"))
    ask(missy, "two")
    assert kinds(person) == ["message"] * 3


def test_another_kind_of_endpoint_gets_the_text_alone(person, missy, serve):
    """From the subscription to Chat Completions: user, assistant, user, and nothing sealed."""
    ask(missy, "one")
    origin = serve(chat_stream("hello"))
    config = json.loads((missy.home / "config.yaml").read_text())
    config["providers"]["other"] = {"name": "openai", "model": "m", "base_url": origin.url}
    missy.config(config)
    ask(missy, "two", "--provider", "other")
    assert texts(origin.last) == [("user", "one"), ("assistant", "the answer"), ("user", "two")]
    assert SEALED.encrypted not in origin.last.body.decode()


def test_details_of_chat_go_back_to_the_same_model_alone(missy, serve):
    """The details of the thinking that an endpoint gave go back with the next question, and not to another model of it."""
    details = [{"type": "reasoning.encrypted", "data": "ENC", "index": 0}]
    deltas = [{"reasoning_details": details}, {"content": "four"}]
    choices = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    origin = serve(lambda _request, wire: wire.send(http(data(*choices, "[DONE]"))))
    missy.entry(origin.url, "m")
    ask(missy, "one")
    ask(missy, "two")
    assert origin.last.json()["messages"][1] == {
        "role": "assistant",
        "content": "four",
        "reasoning_details": details,
    }
    ask(missy, "three", "--model", "other")
    assert [set(message) for message in origin.last.json()["messages"]] == [{"role", "content"}] * 5


@pytest.mark.parametrize("words", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_of_it_is_answered_by_the_text_once(words, person, missy, simulator):
    """A 400 about what was sealed: once more with the text alone, and one line says so; the conversation lives on."""
    ask(missy, "one")
    simulator.backend_faults.add(RESPONSES, Fault(400, words))
    ran = missy.inside("ask", "--session", "s", "two")
    assert ran.code == 0, ran.err
    assert ran.err.count("sealed") == 1
    assert kinds(person) == ["message"] * 3
    simulator.backend_faults.add(RESPONSES, Fault(400, words), 2)
    posts = person.posts
    assert missy.inside("ask", "--session", "s", "three").code == 5
    assert person.posts == posts + 2


def test_a_400_about_something_else_is_no_reason(person, missy, simulator):
    """Another error is not tried again."""
    ask(missy, "one")
    simulator.backend_faults.add(RESPONSES, Fault(400, {"detail": "Unsupported parameter: banana"}))
    posts = person.posts
    assert missy.inside("ask", "--session", "s", "two").code == 5
    assert person.posts == posts + 1


def test_the_library_does_the_same(person, simulator):
    """`Done.replay` says whose it is; a Message of another issuer, or of nobody, is told as text; sync and async."""
    with library.Missy.open() as m:
        answer = m.ask("one", model=MODEL)
        answer.text()
        replay = answer.done.replay
        assert isinstance(replay, Replay)
        assert (replay.kind, replay.host, replay.model) == ("openai-codex", "127.0.0.1", MODEL)
        assert replay.account == simulator.issuer.account.id
        for change, expected in (
            ({}, "reasoning"), ({"host": "elsewhere"}, "message"), ({"account": "x"}, "message"), ({"model": "x"}, "message"),
            ({"kind": "openai"}, "message"),
        ):  # fmt: skip
            changed = Replay(**{**replay.as_dict(), **change})
            turns = [
                Message("user", "one"),
                Message("assistant", "the answer", replay=changed),
                Message("user", "two"),
            ]
            preview = m.preview(turns, model=MODEL)
            assert json.loads(preview.body)["input"][1]["type"] == expected, change
        bare = Message("assistant", "the answer", replay=replay.items)
        assert bare.replay is None

    async def again() -> list[object]:
        simulator.backend_faults.add(RESPONSES, Fault(400, REFUSALS["its code"]))
        async with library.AsyncMissy.open() as m:
            turns = [
                Message("user", "one"),
                Message("assistant", "the answer", replay=replay),
                Message("user", "two"),
            ]
            return [event async for event in m.ask(turns, model=MODEL)]

    events = asyncio.run(again())
    assert [type(event) for event in events].count(Notice) == 1
    assert kinds(person) == ["message"] * 3


def test_a_conversation_keeps_its_place_in_the_cache(person, missy, simulator):
    """One `prompt_cache_key`, and the same `session-id`, for all requests of a session; none without one."""
    for name in ("s", "s", "t"):
        assert missy.inside("ask", "--session", name, "hi").code == 0
    assert missy.inside("ask", "hi").code == 0
    requests = [request for request in simulator.journal if request.path == RESPONSES]
    keys = [request.json().get("prompt_cache_key") for request in requests]
    headers = [request.headers.get("session-id") for request in requests]
    assert keys == headers
    assert keys[0] == keys[1] is not None
    assert keys[2] not in (None, keys[0])
    assert keys[3] is None
    ids = [row["id"] for row in missy.inside("sessions", "--json").json()]
    assert not [id_ for id_ in ids if id_ in keys[0]]


def test_a_key_is_in_no_session(missy, serve, home):
    """Keys, headers and what resolves to them are never stored."""
    key = "sk-never-in-a-session"
    missy.entry(serve(chat_stream("x")).url, api_key=key)
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    for path in home.glob("sessions.db*"):
        assert key.encode() not in path.read_bytes()
