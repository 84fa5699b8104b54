"""An HTTP/1.1 server on raw sockets: what a test scripts goes out byte for byte, what comes in is kept byte for byte."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.servers.listener import Listener
from tests.servers.replies import CUT

SAFETY = 60.0  # seconds; only a broken test ever waits so long


class Gate(threading.Event):
    """Holds back the rest of a reply until the test opens it; `arrived` says that the server stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()

    def pass_through(self) -> None:
        """Wait until it is opened."""
        self.arrived.set()
        if not self.wait(SAFETY):
            raise TimeoutError("nobody opened the gate")

    open = threading.Event.set


Piece = Any  # bytes | Gate | CUT
Reply = bytes | Sequence[Piece]


@dataclass(frozen=True)
class Request:
    """One request as it came; `headers` are in order and in the case that was sent."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    at: float  # time.monotonic() when it had come whole

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Wire:
    """The writing end that a handler is given."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        """Send these bytes now."""
        self._sock.sendall(data)

    def send_all(self, reply: Reply) -> bool:
        """Send a reply piece by piece; tell whether the connection may live on."""
        pieces = [reply] if isinstance(reply, bytes) else reply
        for piece in pieces:
            if piece is CUT:
                return False
            if isinstance(piece, Gate):
                piece.pass_through()
            else:
                self.send(piece)
        head = pieces[0].split(b"\r\n\r\n")[0].lower() if pieces and isinstance(pieces[0], bytes) else b""
        framed = b"content-length:" in head or b"chunked" in head
        return framed and b"connection: close" not in head

    def reset(self) -> None:
        """Close with a reset, as a machine in the middle does."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_closed(self) -> bool:
        """Wait until the client closes the connection; False if it does not."""
        with contextlib.suppress(OSError):
            self._sock.settimeout(SAFETY)
            while self._sock.recv(65536):
                pass
            return True
        return False


Handler = Callable[[Request, Wire], Reply | None]


class Origin:
    """A server that answers request after request with the items of its script; the last one repeats.

    An item is a reply (bytes or a list of pieces) or a handler, which returns a reply or writes to the wire itself
    and returns None, which ends the connection.
    """

    def __init__(
        self, *script: Reply | Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.ended = 0  # connections that came to an end without an error
        self.failures: list[BaseException] = []
        self._tls = tls
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._came = threading.Condition()
        self.host = host
        self._listener = Listener(self._talk, host)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL that an entry names."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/v1"

    @property
    def connections(self) -> int:
        """How many connections have come."""
        return self._listener.connections

    @property
    def last(self) -> Request:
        """The last request."""
        return self.requests[-1]

    def bodies(self) -> list[Any]:
        """Return the JSON bodies of all requests."""
        return [request.json() for request in self.requests]

    def wait_requests(self, count: int) -> None:
        """Wait until `count` requests have come."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, SAFETY):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came")

    def wait_ended(self, count: int) -> None:
        """Wait until so many connections have come to their end."""
        with self._came:
            if not self._came.wait_for(lambda: self.ended >= count, SAFETY):
                raise TimeoutError(f"{self.ended} of {count} connections ended")

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._listener.close()
        with self._lock:
            for sock in list(self._sockets):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _talk(self, sock: socket.socket, number: int) -> None:
        try:
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream = self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
                with stream:
                    with self._lock:
                        self._sockets.add(stream)
                    self._serve(stream, number)
                    with self._lock:
                        self._sockets.discard(stream)
                    with self._came:
                        self.ended += 1
                        self._came.notify_all()
        except (OSError, ValueError) as error:  # a client that goes away is part of many tests
            self.failures.append(
                error.with_traceback(None)
            )  # its frames would keep this server and its sockets

    def _serve(self, sock: socket.socket, number: int) -> None:
        # A reader that is left open keeps the socket open, and a kept failure keeps the reader.
        with sock.makefile("rb") as reader:
            while (request := _read(reader, number)) is not None:
                with self._came:
                    self.requests.append(request)
                    item = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                    self._came.notify_all()
                wire = Wire(sock)
                reply = item(request, wire) if callable(item) else item
                if reply is None or not wire.send_all(reply):
                    return


def _read(reader: Any, number: int) -> Request | None:
    """Read one request, or None at the end of the connection."""
    line = reader.readline()
    if not line.strip():
        return None
    method, path, _version = line.decode("latin-1").split(" ", 2)
    headers: list[tuple[str, str]] = []
    while (raw := reader.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = raw.partition(":")
        headers.append((name, value.strip()))
    low = {name.lower(): value for name, value in headers}
    if "chunked" in low.get("transfer-encoding", ""):
        body = b""
        while (size := int(reader.readline(), 16)) > 0:
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(low.get("content-length", "0")))
    return Request(method, path, tuple(headers), body, number, time.monotonic())
