"""What real servers sent, and what Missy must make of it: one table, read off the captures by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.command import Command
from tests.servers import replay
from tests.servers.replies import CAPTURES

PYTHON, LLAMA, LITELLM, QWEN = (
    "llama-cpp-python-0.3.36",
    "xllamacpp-2026.10.11549",
    "litellm-proxy-1.106.2",
    "xllamacpp-qwen-tool-template",
)
FOUR = "The answer to this classic math problem is 4."
FRANCE = '{\n  "country": "FRANCE",\n  "capital": "PAISSEUR"\n}'
WRITING = "Hello there! I'm here to help with any kind of creative writing project"
PARIS_PYTHON = (
    "Paris, the City of Light. The weather in Paris is quite unique and unpredictable. The city's climate is influenced by "
    "the Mediterranean, with a mix of hot summers and mild winters. The average high temperature in July can reach up to "
    "38°C (100°F), while the average low temperatures"
)
PARIS_LLAMA = (
    "Paris, the City of Light, the capital of art and culture. The weather in Paris is indeed quite unique. The city is "
    "known for its warm and sunny days, with temperatures ranging from 22°C to 28°C (72°F to 82°F), making it a"
)
PARIS_QWEN = (
    "The weather in Paris is quite unique. Paris is a city known for its vibrant culture and art, and it's also a major "
    "tourist destination. The weather in Paris is quite varied, with different types of weather and climate.\n\nThe weather "
    "in Paris is quite varied, with different types of weather and climate. The"
)
SNOW = (
    "<tool_response>\nsnow\n</tool_response>\n\nThe weather in Paris is mostly sunny, with a moderate amount of rain. The "
    "weather is quite hot, with a high of 32°C. The sun shines brightly, and the air is filled with "
)
WEATHER = {
    "id": "call__0_get_weather_cmpl-cc7067b0-c806-4b56-9edf-82b8f99fbf09",
    "name": "get_weather",
    "arguments": {"city": "Paris"},
}
JSON_OBJECT_PYTHON = (
    '{\n  "a.user": {\n    "b.name": "Mali",\n    "c.email": "mali@example.com"\n  },\n"d.users": [1, 2]\n}'
)
JSON_OBJECT_LLAMA = "{\n" + '    "a.b.c.d": {\n' * 3 + '    "a.b.c.d": {'
OVERFLOW_LLAMA = "request (6031 tokens) exceeds the available context size (2048 tokens)"
PEG = "The model produced output that does not match the expected peg-native format"

Tokens = tuple[int, int, int, int | None, int | None]  # input, output, total, cached, reasoning


@dataclass(frozen=True)
class Answer:
    """A reply that carries an answer, whole (stop, tool_calls) or cut at the length (exit 6)."""

    text: str
    usage: Tokens | None
    finish: str = "stop"
    model: str = "smollm2-135m"
    tools: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """A reply that is an error: exit code, HTTP status (None under a 200), and words that the error must hold."""

    code: int
    status: int | None
    words: str
    text: str = ""


def plain(*counts: int) -> Tokens:
    """Usage without details: what was not said is null."""
    return (counts[0], counts[1], counts[2], counts[3] if len(counts) > 3 else None, None)


REFUSED_PYTHON = Failure(4, 401, "Invalid API key")
REFUSED_LLAMA = Failure(4, 401, "Invalid API Key")

TABLE: dict[tuple[str, str], Answer | Failure] = {
    # llama-cpp-python: usage never in a stream, validation errors as 500, an empty 200 on overflow
    (PYTHON, "chat"): Answer(FOUR, plain(37, 11, 48)),
    (PYTHON, "chat_content_parts"): Failure(5, 500, "can only concatenate str"),
    (PYTHON, "chat_developer_role"): Failure(5, 500, "validation errors"),
    (PYTHON, "chat_image_part"): Failure(5, 500, "can only concatenate str"),
    (PYTHON, "chat_length"): Answer("The story of a", plain(35, 4, 39), "length"),
    (PYTHON, "chat_logprobs"): Answer("Hello!", plain(31, 2, 33), "length"),
    (PYTHON, "chat_max_completion_tokens"): Answer(FOUR, plain(37, 11, 48)),
    (PYTHON, "chat_n2"): Answer(WRITING + ". What can I do for you?", plain(33, 23, 56)),
    (PYTHON, "chat_stop"): Answer("The answer to this classic ", plain(37, 6, 43)),
    (PYTHON, "chat_system_multi"): Answer("2 + 2 = 4", plain(40, 7, 47)),
    (PYTHON, "err_404"): Failure(5, 404, "Not Found"),
    (PYTHON, "err_bad_json"): Failure(5, 500, "Internal Server Error"),
    (PYTHON, "err_bad_response_format"): Failure(5, 500, "Input should be 'text' or 'json_object'"),
    (PYTHON, "err_bad_role"): Failure(5, 500, "validation errors"),
    (PYTHON, "err_bad_schema"): Failure(5, 500, "Input should be 'text' or 'json_object'"),
    (PYTHON, "err_context_overflow"): Failure(5, 400, "maximum context length is 2048 tokens"),
    (PYTHON, "err_context_overflow_stream"): Failure(5, None, ""),
    (PYTHON, "err_empty_messages"): Answer("The impact of the", plain(4, 4, 8), "length"),
    (PYTHON, "err_messages_type"): Failure(5, 500, "Input should be a valid list"),
    (PYTHON, "err_method"): Failure(5, 405, "Method Not Allowed"),
    (PYTHON, "err_missing_model"): Answer("Hello there! How", plain(31, 4, 35), "length", "smollm2.gguf"),
    (PYTHON, "err_models_no_key"): REFUSED_PYTHON,
    (PYTHON, "err_negative_max_tokens"): Answer(WRITING, plain(33, 16, 49)),
    (PYTHON, "err_no_key"): REFUSED_PYTHON,
    (PYTHON, "err_no_messages"): Answer("A: In the", plain(4, 4, 8), "length"),
    (PYTHON, "err_temperature"): Answer("Hello there! How", plain(31, 4, 35), "length"),
    (PYTHON, "err_temperature_type"): Failure(5, 500, "Input should be a valid number"),
    (PYTHON, "err_tool_choice_no_tools"): Answer("Welcome to our community", plain(31, 4, 35), "length"),
    (PYTHON, "err_unknown_model"): Answer("Hello! How can", plain(31, 4, 35), "length", "no-such-model"),
    (PYTHON, "err_wrong_key"): REFUSED_PYTHON,
    (PYTHON, "json_object"): Answer(JSON_OBJECT_PYTHON, plain(38, 48, 86), "length"),
    (PYTHON, "json_schema"): Failure(5, 500, "Input should be 'text' or 'json_object'"),
    (PYTHON, "json_schema_stream"): Failure(5, 500, "Input should be 'text' or 'json_object'"),
    (PYTHON, "stream"): Answer(FOUR, None),
    (PYTHON, "stream_usage"): Answer(FOUR, None),
    (PYTHON, "tools_auto"): Answer(PARIS_PYTHON, plain(37, 64, 101), "length"),
    (PYTHON, "tools_named"): Answer("", plain(37, 8, 45), "tool_calls", tools=[WEATHER]),
    (PYTHON, "tools_required"): Answer(PARIS_PYTHON, plain(37, 64, 101), "length"),
    (PYTHON, "tools_required_stream"): Answer(PARIS_PYTHON, None, "length"),
    (PYTHON, "tools_result_turn"): Failure(5, 500, "validation errors"),
    # llama.cpp's server: content null first, usage in a last chunk without choices, errors inside a 200 stream
    (LLAMA, "chat"): Answer(FOUR, plain(37, 12, 49, 0)),
    (LLAMA, "chat_content_parts"): Answer(FOUR, plain(37, 12, 49, 24)),
    (LLAMA, "chat_developer_role"): Answer(
        "Hello! I'm here to help with any math or science-related tasks. What can I help with?",
        plain(18, 23, 41, 3),
    ),
    (LLAMA, "chat_image_part"): Failure(5, 500, "image input is not supported"),
    (LLAMA, "chat_length"): Answer("The story of a", plain(35, 4, 39, 24), "length"),
    (LLAMA, "chat_logprobs"): Answer("Hello there", plain(31, 2, 33, 24), "length"),
    (LLAMA, "chat_max_completion_tokens"): Answer(
        "The answer to this classic", plain(37, 5, 42, 36), "length"
    ),
    (LLAMA, "chat_n2"): Failure(5, 400, "Field 'n'"),
    (LLAMA, "chat_stop"): Answer("The answer to this classic ", plain(37, 6, 43, 36)),
    (LLAMA, "chat_system_multi"): Answer("2 + 2 = 4", plain(40, 8, 48, 4)),
    (LLAMA, "err_404"): Failure(5, 404, "File Not Found"),
    (LLAMA, "err_bad_json"): Failure(5, 400, "parse error at line 1"),
    (LLAMA, "err_bad_response_format"): Failure(5, 400, "response_format type must be one of"),
    (LLAMA, "err_bad_role"): Answer("wow! ", plain(32, 4, 36, 22), "length"),
    (LLAMA, "err_bad_schema"): Failure(5, 400, "unrecognized type nope"),
    (LLAMA, "err_context_overflow"): Failure(5, 400, OVERFLOW_LLAMA),
    (LLAMA, "err_context_overflow_stream"): Failure(5, 400, OVERFLOW_LLAMA),
    (LLAMA, "err_empty_messages"): Answer("The answer is ", plain(4, 4, 8, 1), "length"),
    (LLAMA, "err_messages_type"): Failure(5, 400, "Expected 'messages' to be an array"),
    (LLAMA, "err_method"): Failure(5, 404, "File Not Found"),
    (LLAMA, "err_missing_model"): Answer("hello there, welcome", plain(31, 4, 35, 30), "length"),
    (LLAMA, "err_models_no_key"): REFUSED_LLAMA,
    (LLAMA, "err_negative_max_tokens"): Failure(5, 400, "Field 'max_tokens'"),
    (LLAMA, "err_no_key"): REFUSED_LLAMA,
    (LLAMA, "err_no_messages"): Failure(5, 400, "'messages' is required"),
    (LLAMA, "err_temperature"): Answer("Welcome to your adventure", plain(31, 4, 35, 22), "length"),
    (LLAMA, "err_temperature_type"): Failure(5, 400, "type must be number, but is string"),
    (LLAMA, "err_tool_choice_no_tools"): Answer("Hello, it's", plain(31, 4, 35, 30), "length"),
    (LLAMA, "err_unknown_model"): Answer("Hello! How can", plain(31, 4, 35, 24), "length"),
    (LLAMA, "err_wrong_key"): REFUSED_LLAMA,
    (LLAMA, "json_object"): Answer(JSON_OBJECT_LLAMA, plain(38, 48, 86, 24), "length"),
    (LLAMA, "json_schema"): Answer(FRANCE, plain(40, 22, 62, 24)),
    (LLAMA, "json_schema_stream"): Answer(FRANCE, None),
    (LLAMA, "stream"): Answer(FOUR, None),
    (LLAMA, "stream_usage"): Answer(FOUR, plain(37, 12, 49, 36)),
    (LLAMA, "tools_auto"): Answer(PARIS_LLAMA, plain(37, 64, 101, 26), "length"),
    (LLAMA, "tools_named"): Answer(PARIS_LLAMA, plain(37, 64, 101, 36), "length"),
    (LLAMA, "tools_required"): Answer(PARIS_LLAMA, plain(37, 64, 101, 36), "length"),
    (LLAMA, "tools_required_stream"): Answer(PARIS_LLAMA, plain(37, 64, 101, 36), "length"),
    (LLAMA, "tools_result_turn"): Answer(
        "The weather in Paris is indeed sunny, with a temperature of 21 degrees Celsius.",
        plain(55, 19, 74, 37),
    ),
    # the same with a chat template that knows tools: a call that the server itself gives up on in mid-stream
    (QWEN, "toolcall_auto_stream"): Answer("<tool_response>\nsnow", None),
    (QWEN, "toolcall_bias"): Answer("<tool" * 19, plain(204, 40, 244, 203), "length"),
    (QWEN, "toolcall_bias_stream"): Answer("<tool" * 19, None, "length"),
    (QWEN, "toolcall_prefill"): Failure(5, 500, PEG),
    (QWEN, "toolcall_prefill_ok"): Failure(5, 500, PEG),
    (QWEN, "toolcall_prefill_ok_stream"): Failure(5, None, PEG),
    (QWEN, "toolcall_prefill_stream"): Failure(5, None, PEG),
    (QWEN, "toolcall_required"): Answer(SNOW + "a sweet scent", plain(351, 60, 411, 196), "length"),
    (QWEN, "toolcall_required_stream"): Answer(SNOW + "the scent of", plain(351, 60, 411, 350), "length"),
    (QWEN, "tools_auto"): Answer(PARIS_QWEN, plain(204, 64, 268, 0), "length"),
    (QWEN, "tools_named"): Answer(PARIS_QWEN, plain(204, 64, 268, 203), "length"),
    (QWEN, "tools_required"): Answer(PARIS_QWEN, plain(204, 64, 268, 203), "length"),
    (QWEN, "tools_required_stream"): Answer(PARIS_QWEN, plain(204, 64, 268, 203), "length"),
    (QWEN, "tools_result_turn"): Answer(
        "<tool_response>\nsunny, 21 C\n</tool_response>", plain(264, 20, 284, 204)
    ),
    # LiteLLM: usage in a last chunk with an empty choice, error codes as strings, a wrong key as 400, no key as 500
    (LITELLM, "chat"): Answer(FOUR, plain(37, 12, 49, 0)),
    (LITELLM, "chat_n2"): Failure(5, 400, "Field 'n'"),
    (LITELLM, "err_404"): Failure(5, 404, "Not Found"),
    (LITELLM, "err_bad_json"): Failure(5, 400, "Invalid JSON payload"),
    (LITELLM, "err_context_overflow"): Failure(5, 400, OVERFLOW_LLAMA),
    (LITELLM, "err_context_overflow_stream"): Failure(5, 400, OVERFLOW_LLAMA),
    (LITELLM, "err_no_key"): Failure(5, 500, "Internal Server Error"),
    (LITELLM, "err_no_messages"): Failure(5, 400, "Missing required parameter: 'messages'"),
    (LITELLM, "err_temperature_type"): Failure(5, 400, "type must be number, but is string"),
    (LITELLM, "err_unknown_model"): Answer(
        "Hello there! How", plain(31, 4, 35, 24), "length", "no-such-model"
    ),
    (LITELLM, "err_wrong_key"): Failure(4, 400, "No connected db."),
    (LITELLM, "json_schema"): Answer(FRANCE, plain(40, 22, 62, 24)),
    (LITELLM, "stream"): Answer(FOUR, None),
    (LITELLM, "stream_usage"): Answer(FOUR, (37, 12, 49, 36, 0)),
}

# the captures of GET /v1/models and of what is not there: the ids, or the error
LISTS: dict[tuple[str, str], list[str] | Failure] = {
    (PYTHON, "models"): ["smollm2-135m"],
    (PYTHON, "cors"): ["smollm2-135m"],
    (PYTHON, "cors_preflight"): Failure(5, None, ""),  # "OK" in plain text is no list of models
    (PYTHON, "health"): Failure(5, 404, "Not Found"),
    (PYTHON, "model_one"): Failure(5, 404, "Not Found"),
    (LLAMA, "models"): ["smollm2-135m"],
    (LLAMA, "cors"): ["smollm2-135m"],
    (LLAMA, "cors_preflight"): Failure(5, None, ""),
    (LLAMA, "health"): Failure(5, None, ""),
    (LLAMA, "model_one"): Failure(5, 404, "File Not Found"),
    (LITELLM, "models"): ["openai/smollm2-135m"],
    (QWEN, "cors"): ["smollm2-135m"],
    (QWEN, "cors_preflight"): Failure(5, None, ""),
}


def test_no_capture_is_left_out():
    """Every capture has its row, and every row its capture."""
    names = {
        (path.parent.name, path.name.removesuffix(".response.http"))
        for path in CAPTURES.glob("*/*.response.http")
    }
    assert set(TABLE) | set(LISTS) == names
    assert not set(TABLE) & set(LISTS)


def check_answer(row: Answer, got: dict[str, Any], code: int) -> None:
    """Compare an answer with its row."""
    usage = got["usage"] and tuple(
        got["usage"][name]
        for name in ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
    )
    calls = [{name: call[name] for name in ("id", "name", "arguments")} for call in got["tool_calls"]]
    assert (got["text"], got["finish_reason"], usage, calls, got["model"]) == (
        row.text,
        row.finish,
        row.usage,
        row.tools,
        row.model,
    )
    if row.finish == "length":
        assert (code, got["complete"], got["error"]["type"]) == (6, False, "incomplete")
    else:
        assert (code, got["complete"], got["error"]) == (0, True, None)


@pytest.mark.parametrize(("server", "name"), TABLE)
def test_a_captured_reply_is_read_right(server, name, serve, missy: Command):
    """Text, usage, finish reason, tool calls or error and exit code are what the server's bytes say."""
    row, reply = TABLE[server, name], replay(server, name)
    origin = serve(reply)
    missy.entry(origin.url, model="smollm2-135m", api_key="sk-test-000000")
    streamed = b"event-stream" in reply or name.endswith("_stream")
    ran = missy.inside("ask", "hi", "--json", *([] if streamed else ["--no-stream"]))
    got = ran.json()
    assert origin.last.json()["messages"] == [{"role": "user", "content": "hi"}]
    if isinstance(row, Answer):
        check_answer(row, got, ran.code)
    else:
        assert (ran.code, got["complete"], got["text"], got["tool_calls"]) == (row.code, False, row.text, [])
        assert row.status in {None, got["error"]["status"]}
        assert row.words in got["error"]["message"]
        assert got["error"]["hint"]


@pytest.mark.parametrize(("server", "name"), LISTS)
def test_a_captured_list_of_models_is_read_right(server, name, serve, missy: Command):
    """`models` prints the ids that the server named, and nothing for a reply that is no list."""
    row = LISTS[server, name]
    missy.entry(serve(replay(server, name)).url)
    ran = missy.inside("models")
    if isinstance(row, list):
        assert (ran.code, [line.split()[0] for line in ran.text.splitlines()]) == (0, row)
    else:
        assert (ran.code, ran.text) == (row.code, "")
        assert row.words in ran.err
