"""How many tokens a call may have, from above: before it is sent, or where its end did not come. Pure.

There is no tokenizer here: two bytes are counted as one token, which is more than any text in a common script has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.events import Attachment, Image, ToolCall
    from missy.providers.base import Request

BYTES_PER_TOKEN = 2
DEFAULT_OUTPUT_TOKENS = 4096  # where no limit of the answer's length is given
MAX_IMAGE_TOKENS = 50_000  # what OpenAI counts for an image at most (gpt-4o-mini, 8 tiles of 512 pixels)


def input_tokens(request: Request) -> int:
    """Return an upper estimate of the tokens that a request is read as."""
    size, files = len((request.system or "").encode("utf-8", "replace")), 0
    for message in request.messages:
        size += len(message.text.encode("utf-8", "replace")) + len(
            message.reasoning.encode("utf-8", "replace")
        )
        size += sum(call_bytes(call) for call in message.tool_calls)
        size += sum(len(json.dumps(item)) for item in message.replay or ())
        size += 16  # the frame of a message
        sent: list[Image | Attachment] = [*message.images, *message.attachments]
        for file in sent:
            is_image = file.media_type.startswith("image/")
            files += min(tokens(len(file.data)), MAX_IMAGE_TOKENS) if is_image else tokens(len(file.data))
    size += sum(
        len(json.dumps(tool.parameters)) + len(tool.description) + len(tool.name) for tool in request.tools
    )
    if request.schema is not None:
        size += 2 * len(json.dumps(request.schema.body))  # in the request, or as an instruction
    return tokens(size) + files


def call_bytes(call: ToolCall) -> int:
    """Return an upper estimate of the bytes of a tool call: non-ASCII characters count as they are escaped."""
    return len(json.dumps(call.arguments)) + len(json.dumps(call.name))


def output_tokens(request: Request) -> int:
    """Return the tokens that an answer is expected to have at most."""
    return request.max_tokens or DEFAULT_OUTPUT_TOKENS


def tokens(size: int) -> int:
    """Return an upper estimate of the tokens of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)
