"""Missy beside the `openai` package, on the same server with the same options: the same request, the same answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest

from tests.command import Command
from tests.servers import chat_answer, chat_stream, replay, tool_delta

KEY = "sk-test-000000"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SYSTEM = {"role": "system", "content": "Be brief."}
LLAMA, LITELLM, PYTHON = "xllamacpp-2026.10.11549", "litellm-proxy-1.106.2", "llama-cpp-python-0.3.36"
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 20,
    "total_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CALL = {"id": "a", "type": "function", "function": {"name": "w", "arguments": '{"city": "Paris"}'}}


@pytest.fixture
def sdk():
    """Make the package's own client for a server; it is closed afterwards."""
    clients: list[openai.OpenAI] = []

    def make(url: str) -> openai.OpenAI:
        clients.append(openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=30))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def user(text: str = "hi") -> dict[str, Any]:
    """Return the user's message as the package takes it."""
    return {"role": "user", "content": text}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "no-stream"])
@pytest.mark.parametrize(
    ("args", "options"),
    [
        ([], {"messages": [user()]}),
        (["--system", "Be brief."], {"messages": [SYSTEM, user()]}),
        (["--temperature", "0.25"], {"messages": [user()], "temperature": 0.25}),
        (["--temperature", "0"], {"messages": [user()], "temperature": 0}),
        (["--max-tokens", "77"], {"messages": [user()], "max_tokens": 77}),
        (["--model", "other"], {"messages": [user()], "model": "other"}),
        (
            ["--system", "Be brief.", "--temperature", "1.5", "--max-tokens", "1", "--model", "é"],
            {"messages": [SYSTEM, user()], "temperature": 1.5, "max_tokens": 1, "model": "é"},
        ),
    ],
    ids=["bare", "system", "temperature", "temperature-0", "max-tokens", "model", "all"],
)
def test_the_same_options_make_the_same_request(stream, args, options, missy: Command, serve, sdk):
    """Method, path, key, content type and the JSON of the body are those of the package."""
    origin = serve(chat_stream("hello") if stream else chat_answer("hello"))
    missy.entry(origin.url, api_key=KEY)
    assert missy.inside("ask", "hi", "--json", *args, *([] if stream else ["--no-stream"])).code == 0
    streamed = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    reply = sdk(origin.url).chat.completions.create(**{"model": "m", **options, **streamed})
    if stream:
        list(reply)
    ours, theirs = origin.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    for name in ("authorization", "content-type", "host"):
        assert ours.header(name) == theirs.header(name)
    assert ours.json() == theirs.json()


def test_an_image_is_sent_as_the_package_sends_it(missy: Command, serve, sdk, tmp_path):
    """Text and image parts have the package's shape."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url, api_key=KEY)
    (tmp_path / "dot.png").write_bytes(PNG)
    assert missy.inside("ask", "What is it?", "--attach", str(tmp_path / "dot.png")).code == 0
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    list(
        sdk(origin.url).chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": content}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    ours, theirs = origin.bodies()
    assert ours == theirs


@pytest.mark.parametrize(
    "text", ["hi", "åäö € 🦀", "a\nb\tc\r\n", '"quotes" \\ and </script>', "\u2028\u2029\x7f"]
)
def test_any_text_is_encoded_to_the_same_value(text, missy: Command, serve, sdk):
    """Whatever the letters, both bodies decode to the same prompt."""
    origin = serve(chat_answer("hello"))
    missy.entry(origin.url, api_key=KEY)
    assert missy.inside("ask", text, "--no-stream").code == 0
    sdk(origin.url).chat.completions.create(model="m", messages=[user(text)])
    ours, theirs = origin.bodies()
    assert ours == theirs


def tokens(usage: Any) -> dict[str, int | None] | None:
    """Return the package's usage under our names."""
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": prompt.cached_tokens if prompt else None,
        "reasoning_tokens": completion.reasoning_tokens if completion else None,
    }


def read_stream(client: openai.OpenAI) -> dict[str, Any]:
    """Put the package's chunks together, as its documentation shows."""
    text, finish, usage, model = "", None, None, None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in client.chat.completions.create(
        model="m", messages=[user()], stream=True, stream_options={"include_usage": True}
    ):
        usage, model = chunk.usage or usage, model or chunk.model
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    made = [{**call, "arguments": json.loads(call["arguments"])} for call in calls.values()]
    return {"text": text, "finish_reason": finish, "usage": tokens(usage), "tool_calls": made, "model": model}


def read_whole(client: openai.OpenAI) -> dict[str, Any]:
    """Take the package's completion apart."""
    got = client.chat.completions.create(model="m", messages=[user()])
    message = got.choices[0].message
    made = [
        {"id": call.id, "name": call.function.name, "arguments": json.loads(call.function.arguments)}
        for call in message.tool_calls or ()
    ]
    text, finish = message.content or "", got.choices[0].finish_reason
    return {
        "text": text,
        "finish_reason": finish,
        "usage": tokens(got.usage),
        "tool_calls": made,
        "model": got.model,
    }


@pytest.mark.parametrize(
    "reply",
    [
        chat_stream("hel", "lo ✓", usage=USAGE),
        chat_stream("cut at the len", finish="length", usage=USAGE),
        chat_stream(
            tool_delta(0, "a", "w", ""),
            tool_delta(0, None, None, '{"city": '),
            tool_delta(0, None, None, '"Paris"}'),
            finish="tool_calls",
        ),
        chat_stream(
            "text first ",
            tool_delta(0, "a", "w", '{"n": 1}'),
            tool_delta(1, "b", "x", '{"n": 2}'),
            finish="tool_calls",
        ),
        replay(LLAMA, "stream"),
        replay(LLAMA, "stream_usage"),
        replay(LLAMA, "tools_required_stream"),
        replay(LITELLM, "stream_usage"),
        replay(PYTHON, "stream"),
    ],
    ids=[
        "text",
        "length",
        "tool-call",
        "text-and-tools",
        "llama",
        "llama-usage",
        "llama-tools",
        "litellm-usage",
        "python",
    ],
)
def test_a_stream_is_read_as_the_package_reads_it(reply, missy: Command, serve, sdk):
    """Text, finish reason, usage, tool calls and model are the same."""
    origin = serve(reply)
    missy.entry(origin.url, api_key=KEY)
    ours = missy.inside("ask", "hi", "--json").json()
    theirs = read_stream(sdk(origin.url))
    assert {name: ours[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    "reply",
    [
        chat_answer("hello ✓", usage=USAGE),
        chat_answer("cut at the len", "length"),
        chat_answer(None, "tool_calls", message={"tool_calls": [CALL]}),
        replay(LLAMA, "chat"),
        replay(LLAMA, "chat_length"),
        replay(LITELLM, "chat"),
        replay(PYTHON, "chat"),
        replay(PYTHON, "tools_named"),
        replay(LLAMA, "json_schema"),
    ],
    ids=[
        "text",
        "length",
        "tool-call",
        "llama",
        "llama-length",
        "litellm",
        "python",
        "python-tools",
        "llama-schema",
    ],
)
def test_a_whole_answer_is_read_as_the_package_reads_it(reply, missy: Command, serve, sdk):
    """The same without streaming."""
    origin = serve(reply)
    missy.entry(origin.url, api_key=KEY)
    ours = missy.inside("ask", "hi", "--json", "--no-stream").json()
    theirs = read_whole(sdk(origin.url))
    assert {name: ours[name] for name in theirs} == theirs


@pytest.mark.parametrize("name", ["models", "cors"])
def test_the_list_of_models_is_the_packages(name, missy: Command, serve, sdk):
    """`models` lists what the package lists, by the same request."""
    origin = serve(replay(LLAMA, name))
    missy.entry(origin.url, api_key=KEY)
    ours = missy.inside("models")
    theirs = [model.id for model in sdk(origin.url).models.list()]
    assert [line.split()[0] for line in ours.text.splitlines()] == theirs
    first, second = origin.requests
    assert (first.method, first.path, first.header("authorization")) == (
        second.method,
        second.path,
        second.header("authorization"),
    )
