"""What may be asked: the body of a Chat Completions request, as far as the gateway reads it. Pure.

Everything else in the body is passed on unread: messages, tools, images, `logprobs` and what endpoints add of their own.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from missy.net.limits import read_json
from missy.providers.payload import read_object
from missy.serve.faults import invalid
from missy.spending.estimate import MAX_IMAGE_TOKENS, tokens

MAX_BODY = 8 << 20  # bytes of a request
MAX_CHOICES = 128
MAX_OUTPUT_TOKENS = 1 << 24
_LIMITS = ("max_completion_tokens", "max_tokens")


class Asked(NamedTuple):
    """A request as the caller wrote it. `output_tokens` is its own limit of an answer; None without one."""

    model: str
    stream: bool
    wants_usage: bool
    choices: int
    output_tokens: int | None
    input_tokens: int
    body: dict[str, Any]

    def content(self, model: str) -> bytes:
        """Return the body to send: for the model of the entry, and with the usage at the end of a stream."""
        body = {**self.body, "model": model}
        if self.stream:
            given = body.get("stream_options")
            body["stream_options"] = {**(given if isinstance(given, dict) else {}), "include_usage": True}
        try:
            return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except ValueError:  # half of a character, NaN
            raise invalid("the body holds text or a number that cannot be sent on") from None


def read_request(data: bytes) -> Asked:
    """Read a request. Raises Refused for what is no Chat Completions request."""
    try:
        body = read_json(data)
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON that can be read") from None
    if not isinstance(body, dict):
        raise invalid("the body is not a JSON object")
    model = body.get("model")
    if not isinstance(model, str) or not model or len(model) > 256 or not model.isprintable():
        raise invalid("`model` must be the name of a model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("`messages` must be a list of messages")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise invalid("`stream` must be true or false")
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    choices = _whole(body, "n", 1, MAX_CHOICES) or 1
    limits = [_whole(body, name, 1, MAX_OUTPUT_TOKENS) for name in _LIMITS]
    output = max((limit for limit in limits if limit is not None), default=None)
    return Asked(model, bool(stream), wants_usage, choices, output, _input_tokens(messages, len(data)), body)


def _whole(body: dict[str, Any], name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(f"`{name}` must be a whole number from {least} to {most}")
    return value


def _input_tokens(messages: list[Any], size: int) -> int:
    """Return an upper estimate of the tokens of a request: half of its bytes, and for images what they can count."""
    pictures = 0
    for message in messages:
        parts = message.get("content") if isinstance(message, dict) else None
        for part in parts if isinstance(parts, list) else ():
            image = part.get("image_url") if isinstance(part, dict) else None
            url = image.get("url") if isinstance(image, dict) else image
            if not isinstance(url, str):
                continue
            is_inline = url.startswith("data:")
            size -= len(url) if is_inline else 0
            pictures += min(tokens(len(url)), MAX_IMAGE_TOKENS) if is_inline else MAX_IMAGE_TOKENS
    return tokens(max(0, size)) + pictures


def read_answer(data: bytes) -> dict[str, Any]:
    """Read a whole answer, a JSON object with a list `choices`, which may be empty. Raises BadReply for anything else."""
    value = read_object(data)
    if not isinstance(value.get("choices"), list):
        value = {**value, "choices": []}
    return value
