"""Frameworks over lent clients. They live in an environment of their own (`make test-frameworks`); elsewhere none is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest

import missy as library
from tests.command import Command
from tests.servers import (
    Origin,
    Request,
    Wire,
    chat_answer,
    chat_stream,
    event_stream,
    json_response,
    sse,
    tool_delta,
)

collect_ignore_glob = [] if find_spec("instructor") else ["test_*.py"]

KEY = "sk-key-of-the-entry"
CITY = '{"city":"Oslo"}'


def _chat(request: Request, _wire: Wire) -> Any:
    """Answer as a model would that likes tools: call the one that is offered, then say what it returned."""
    body = request.json()
    returned = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if body.get("tools") and not returned:
        name = body["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": CITY}}
        if body.get("stream"):
            return chat_stream(tool_delta(0, "call_1", name, CITY), finish="tool_calls")
        return chat_answer(None, "tool_calls", message={"tool_calls": [call]})
    text = CITY if body.get("response_format") else "".join(map(str, returned)) or "Hello there"
    return chat_stream(*text.partition(" ")) if body.get("stream") else chat_answer(text)


def _responses(request: Request, _wire: Wire) -> Any:
    """Answer in the Responses format."""
    text = {"type": "output_text", "text": "Hello there", "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    done = {
        "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [message],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    if not request.json().get("stream"):
        return json_response(done)
    delta = {
        "type": "response.output_text.delta",
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hello",
    }
    events = [
        {**delta, "logprobs": [], "sequence_number": 1},
        {"type": "response.completed", "response": done, "sequence_number": 2},
    ]
    return event_stream(*(f"event: {event['type']}\n".encode() + sse(event) for event in events))


def _answer(request: Request, wire: Wire) -> Any:
    return (_responses if request.path.endswith("/responses") else _chat)(request, wire)


@pytest.fixture
def origin(missy: Command, serve: Callable[..., Origin]) -> Iterator[Origin]:
    """The entry's endpoint; afterwards all that it heard carried the entry's key, and nothing about this machine."""
    server = serve(_answer)
    missy.entry(server.url, api_key=KEY)
    yield server
    assert server.requests
    for request in server.requests:
        assert request.header("authorization") == f"Bearer {KEY}"
        assert not [name for name, _ in request.headers if name.lower().startswith("x-stainless")]


@pytest.fixture
def client(origin: Origin) -> Iterator[Any]:
    """A lent client for sync code."""
    with library.Missy.open() as m:
        yield m.openai_client()


@asynccontextmanager
async def lent() -> AsyncIterator[Any]:
    """A lent client for async code, which belongs to its event loop."""
    async with library.AsyncMissy.open() as m:
        yield m.openai_client()


@pytest.fixture
def run() -> Callable[[Any], Any]:
    """Run a function with a lent async client."""

    def inside(call: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            async with lent() as client:
                return await call(client)

        return asyncio.run(main())

    return inside
