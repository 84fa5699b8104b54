"""What tests of the conversation share: a server that repeats what it was asked, and a person who talks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.person import CTRL_D, ENTER, Person
from tests.command import Command
from tests.servers import Origin, chat_stream

TALK = ("run",)


def echo(request: Any, _wire: Any) -> Any:
    """Answer with the last prompt, marked."""
    prompt = request.json()["messages"][-1]["content"]
    text = prompt if isinstance(prompt, str) else prompt[0]["text"]
    return chat_stream(f"re: {text}", usage={"prompt_tokens": 3, "completion_tokens": 4})


@pytest.fixture
def origin(serve: Callable[..., Origin], missy: Command) -> Origin:
    """The server of the entry `test`, which is configured."""
    one = serve(echo)
    missy.entry(one.url)
    return one


@pytest.fixture
def talk(missy: Command, origin: Origin) -> Iterator[Callable[..., Person]]:
    """Begin a conversation: `talk("--temp", columns=80)`."""
    people: list[Person] = []

    def start(*args: str, **options: Any) -> Person:
        people.append(Person(missy, "run", *args, **options))
        people[-1].__enter__()
        people[-1].see(">")
        return people[-1]

    yield start
    for one in people:
        one.__exit__()


def say(person: Person, text: str) -> None:
    """Type a message, and wait for the echo of it and the next prompt."""
    person.press(text, ENTER)
    person.see(f"re: {text}")
    ready(person)


def ready(person: Person) -> None:
    """Wait until the last line that is not the status is an empty prompt."""

    def is_ready() -> bool:
        lines = [line for line in person.terminal.shown().splitlines() if line and "·" not in line]
        return bool(lines) and lines[-1] in (">", "temp>")

    person.until(is_ready)


def leave(person: Person) -> None:
    """End the conversation as a person does."""
    person.press(CTRL_D)
    assert person.end() == 0
    assert person.modes() == person.before


def said(request: Any) -> list[tuple[str, str]]:
    """Role and text of each message of a request."""
    return [(message["role"], message["content"]) for message in request.json()["messages"]]
