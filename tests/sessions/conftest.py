"""What tests of conversations share: a server that answers each prompt in its own way, and a look into the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.servers import Origin, chat_stream
from tests.sessions.worker import LENGTH, answer_of


def said(request: Any, _wire: Any) -> Any:
    """Answer with what `answer_of` says to the last prompt, in pieces."""
    prompt = request.json()["messages"][-1]["content"]
    words = answer_of(prompt)
    size = -(-len(words) // LENGTH)
    pieces = [words[start : start + size] for start in range(0, len(words), size)]
    return chat_stream(*pieces, usage={"prompt_tokens": 3, "completion_tokens": 4})


@pytest.fixture
def origin(serve: Callable[..., Origin], missy: Command) -> Origin:
    """The server of the entry `test`, which is configured."""
    one = serve(said)
    missy.entry(one.url)
    return one


class Database:
    """The file as SQLite has it, past all of ours."""

    def __init__(self, home: Path) -> None:
        self.path = home / "sessions.db"

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query in a connection of its own."""
        db = sqlite3.connect(self.path, timeout=20)
        try:
            found = db.execute(query, values).fetchall()
            db.commit()
            return found
        finally:
            db.close()

    def turns(self) -> list[tuple[Any, ...]]:
        """Prompt, state and answer of every turn, in order."""
        return self.rows("SELECT prompt, state, answer FROM turn ORDER BY id")


@pytest.fixture
def database(home: Path) -> Database:
    """The database of MISSY_HOME."""
    return Database(home)


def texts(request: Any) -> list[tuple[str, str]]:
    """Role and text of each message that a server got."""
    return [(message["role"], message["content"]) for message in request.json()["messages"]]


def as_json(text: bytes) -> Any:
    """Read one JSON value."""
    return json.loads(text)
