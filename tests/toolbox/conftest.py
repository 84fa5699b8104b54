"""A workspace, and a model that does what a test scripts: tool calls in one answer, text in the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from missy import Missy, Toolbox
from tests.command import Command
from tests.servers import chat_stream, tool_delta

Call = tuple[str, Any]


def calls(*wanted: Call, text: str = "", finish: str = "tool_calls") -> Any:
    """Build an answer that asks for tools; arguments that are a string are sent as they are."""
    deltas: list[Any] = [text] if text else []
    for number, (name, arguments) in enumerate(wanted):
        body = arguments if isinstance(arguments, str) else json.dumps(arguments)
        deltas.append(tool_delta(number, f"call-{number}", name, body))
    return chat_stream(
        *deltas, finish=finish, usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    )


def results(request: Any) -> list[str]:
    """Return what the model was told of its calls, in a request that came."""
    return [message["content"] for message in request.json()["messages"] if message["role"] == "tool"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder to work in, which is not the home folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    return folder


@pytest.fixture
def use(missy: Command, serve: Callable[..., Any], workspace: Path) -> Callable[..., Any]:
    """Run one answer of the library over scripted rounds: `use(calls(...), calls(...), use=[...])`.

    Returns the results of the last round, as the model was told them.
    """

    def run(*script: Any, approve: Any = None, **settings: Any) -> list[str]:
        origin = serve(*script, chat_stream("done"))
        missy.entry(origin.url)
        box = Toolbox(**{"workspace": str(workspace), **settings})
        with Missy.open() as m:
            answer = m.ask("go", toolbox=box, approve=approve)
            assert answer.text().endswith("done")
        told = results(origin.last)
        run.answer, run.origin = answer, origin  # type: ignore[attr-defined]
        return told

    return run
