"""Real servers on 127.0.0.1 that tests talk to: an origin, a CONNECT proxy, and the bytes that they send."""

from tests.servers.crowd import Crowd
from tests.servers.origin import Gate, Origin, Request, Wire
from tests.servers.proxy import Proxy
from tests.servers.replies import (
    CUT,
    chat_answer,
    chat_chunk,
    chat_error,
    chat_stream,
    chunk,
    event_stream,
    json_response,
    replay,
    response,
    sse,
    tool_delta,
)

__all__ = [
    "CUT",
    "Crowd",
    "Gate",
    "Origin",
    "Proxy",
    "Request",
    "Wire",
    "chat_answer",
    "chat_chunk",
    "chat_error",
    "chat_stream",
    "chunk",
    "event_stream",
    "json_response",
    "replay",
    "response",
    "sse",
    "tool_delta",
]
