"""A model server that breaks off: it answers on http://127.0.0.1:8765/v1 and hangs up in mid-sentence.

Run it (`python examples/cut_server.py`) and ask it, to see what a client makes of half an answer. Ctrl-C ends it.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ("Take ", "the ", "blue ", "pill, ", "and ", "never ")


class HalfAnswer(BaseHTTPRequestHandler):
    """Streams the beginning of an answer, then closes the connection without saying that it is the end."""

    def do_POST(self) -> None:
        """Answer any prompt with the same half sentence. HTTP/1.0: the end of the body is the end of the connection."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for word in WORDS:
            event = {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 8765), HalfAnswer) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
