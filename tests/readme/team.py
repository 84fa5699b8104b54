"""The server of one's own that README.md sets up: it insists on a header."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Team(BaseHTTPRequestHandler):
    """Answers any prompt with Paris, or with what fits the README's schema; without the header with 401."""

    token = "..."  # as the page exports it

    def do_GET(self) -> None:
        """List one model."""
        self._reply({"object": "list", "data": [{"id": "any", "object": "model"}]})

    def do_POST(self) -> None:
        """Answer, in pieces if it was asked so."""
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        text = '{"name": "Ada", "born": 1815}' if "response_format" in asked else "Paris"
        if not asked.get("stream"):
            whole = {"message": {"role": "assistant", "content": text}, "index": 0, "finish_reason": "stop"}
            self._reply({"object": "chat.completion", "model": "any", "choices": [whole]})
            return
        piece = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
        self._reply(f"data: {json.dumps(piece)}\n\ndata: [DONE]\n\n".encode())

    def _reply(self, body: Any) -> None:
        status = 200 if self.headers.get("x-team") == self.token else 401
        if status == 401:
            body = {"error": {"message": "the header x-team is missing"}}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header(
            "content-type", "text/event-stream" if isinstance(body, bytes) else "application/json"
        )
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def server(port: int) -> ThreadingHTTPServer:
    """Return it, listening on a port of this machine."""
    return ThreadingHTTPServer(("127.0.0.1", port), Team)
