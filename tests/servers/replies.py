"""The bytes of replies: whole responses, event streams in chunks, and the captures of real servers.

A reply is `bytes`, or a list of pieces that are sent one after the other: bytes, a Gate to wait for, or CUT to break the
connection right there.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.servers.origin import Piece

CAPTURES = Path(__file__).parent.parent / "captures"
CUT = object()
END = b"0\r\n\r\n"


def response(
    status: int = 200, body: bytes = b"", *headers: tuple[str, str], kind: str = "text/plain"
) -> bytes:
    """Build a whole response of a known length."""
    reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Odd"
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_response(value: Any, status: int = 200, *headers: tuple[str, str]) -> bytes:
    """Build a response whose body is `value` as JSON."""
    return response(status, json.dumps(value).encode(), *headers, kind="application/json")


def chat_error(status: int, message: str, *headers: tuple[str, str], **fields: Any) -> bytes:
    """Build an error in the shape of the Chat Completions API; `fields` are type, code, param."""
    return json_response({"error": {"message": message, **fields}}, status, *headers)


def chunk(data: bytes) -> bytes:
    """Frame `data` as one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def sse(*events: Any) -> bytes:
    """Write server-sent events: a string or bytes is the data itself, anything else is written as JSON."""
    datas = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {data}\n\n" for data in datas).encode()


def event_stream(
    *pieces: Piece, end: bool = True, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> list[Piece]:
    """Frame pieces as a chunked event stream, a chunk a piece; without `end` the last chunk never comes."""
    head = [f"HTTP/1.1 {status} OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
    head += [f"{name}: {value}" for name, value in headers]
    framed: list[Piece] = ["\r\n".join(head).encode() + b"\r\n\r\n"]
    framed += [chunk(piece) if isinstance(piece, bytes) else piece for piece in pieces if piece != b""]
    return framed + ([END] if end else [CUT])


def chat_chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Build one `chat.completion.chunk`; a string is a delta of content."""
    if isinstance(delta, str):
        delta = {"content": delta}
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **fields,
    }


def tool_delta(
    index: int | None, call_id: str | None, name: str | None, arguments: str | None
) -> dict[str, Any]:
    """Build the delta of one tool call; what is None is left out."""
    function = {k: v for k, v in {"name": name, "arguments": arguments}.items() if v is not None}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [{k: v for k, v in call.items() if v is not None}]}


def chat_stream(
    *deltas: Any,
    finish: str | None = "stop",
    usage: dict[str, Any] | None = None,
    done: bool = True,
    headers: tuple[tuple[str, str], ...] = (),
    **fields: Any,
) -> list[Piece]:
    """Build a whole chat stream from deltas (strings, delta objects); bytes and Gates pass through as they are."""
    pieces: list[Piece] = [
        sse(chat_chunk(delta, **fields)) if isinstance(delta, str | dict) else delta for delta in deltas
    ]
    if finish is not None:
        pieces.append(sse(chat_chunk({}, finish, **fields)))
    if usage is not None:
        pieces.append(sse({**chat_chunk(**fields), "choices": [], "usage": usage}))
    if done:
        pieces.append(sse("[DONE]"))
    return event_stream(*pieces, headers=headers)


def chat_answer(
    text: str | None = "hello",
    finish: str | None = "stop",
    *headers: tuple[str, str],
    message: Any = None,
    **fields: Any,
) -> bytes:
    """Build a whole `chat.completion`, as it comes without streaming."""
    content = {"role": "assistant", "content": text, **(message or {})}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    choices = [{"index": 0, "message": content, "finish_reason": finish}]
    return json_response({**body, "choices": choices, **fields}, 200, *headers)


def replay(server: str, name: str) -> bytes:
    """Return the bytes of a captured response, to be sent as they are."""
    return (CAPTURES / server / f"{name}.response.http").read_bytes()
