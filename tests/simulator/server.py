"""HTTP on 127.0.0.1 in a thread: requests in, replies out, everything that came in kept in a journal."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


class Cut(Exception):
    """The connection ends here, in the middle of whatever it was."""


@dataclass(frozen=True)
class Request:
    """One request as it came: `origin` is the server's name, header names are in lower case."""

    origin: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def fields(self) -> dict[str, str]:
        """The body as the flat table it is, form-encoded or JSON; a field sent twice counts as none."""
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
            names = [name for name, _ in pairs]
            return {name: value for name, value in pairs if names.count(name) == 1}
        value = self.json()
        return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


@dataclass
class Response:
    """What goes out; `body` may be pieces, each sent when it is made. A piece may raise Cut."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200, **headers: str) -> Response:
    """A JSON reply."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


class Origin:
    """A server on a free port of 127.0.0.1 that answers with `answer`; with `tls` it speaks HTTPS."""

    def __init__(
        self, name: str, answer: Callable[[Request], Response], tls: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self.journal: list[Request] = []
        self._answer = answer
        self._tls = tls
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.tls = tls
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Response:
        self.journal.append(request)
        return self._answer(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(60)
        if self.tls is None:
            return super().finish_request(request, client_address)
        try:  # here and not at accept: a client that is slow in its handshake must not hold up the others
            wrapped = self.tls.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as error:
            sys.stderr.write(f"the simulator's handshake failed: {error!r}\n")
            return None
        with wrapped:
            return super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of many tests."""


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 0

        def log_message(self, *_args: Any) -> None:
            pass

        def handle_any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(origin.name, self.command, path, query, headers, self.rfile.read(size))
            try:
                self._send(origin.answer(request))
            except (Cut, OSError):
                self.close_connection = True

        def _send(self, response: Response) -> None:
            whole = response.body if isinstance(response.body, bytes) else None
            lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('-',))[0]}"]
            lines += [f"{name}: {value}" for name, value in response.headers.items()]
            lines.append("transfer-encoding: chunked" if whole is None else f"content-length: {len(whole)}")
            self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (whole or b""))
            if whole is None:
                for piece in response.body:
                    if piece:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = handle_any  # noqa: N815

    return Handler
