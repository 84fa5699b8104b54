"""The callback listener of a sign-in on 127.0.0.1, on the first of some ports that is free; port 0 is any.

One thread serves all connections, each limited in bytes and time, so no client can block another. It never asks
another program to release the port, and shows no token and no query in any page.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from missy.auth.callback import PATH, CallbackResult, NotOurs, judge
from missy.auth.pages import landing, make_response, page_text, parse_request
from missy.auth.pkce import new_state
from missy.errors import CredentialError

PORTS = (1455, 1457)  # the only ports that the issuer of the ChatGPT backend accepts
ANY_PORT = (0,)
HEAD_LIMIT = 16 * 1024
DRAIN_LIMIT = 1 << 20
CONNECTION_LIMIT = 64
HEAD_SECONDS = 10.0
DRAIN_SECONDS = 2.0
PAGE_SECONDS = 1.0


class PortsTaken(CredentialError):
    """Other programs use all ports to which the issuer would redirect."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        names = " and ".join(str(port) for port in ports)
        super().__init__(
            f"the callback ports {names} on 127.0.0.1 are in use, perhaps by another sign-in",
            hint="finish or stop the other sign-in, or use: missy auth login --paste",
        )


class _Connection:
    __slots__ = ("answered", "buffer", "deadline", "drained", "sock")

    def __init__(self, sock: socket.socket, patience: float) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.deadline = time.monotonic() + patience
        self.answered = False
        self.drained = 0


class Listener:
    """Listens from construction until `close`; calls `on_answer` once, from its own thread, with the first valid result."""

    def __init__(
        self,
        state: str,
        on_answer: Callable[[CallbackResult], None],
        ports: tuple[int, ...] = PORTS,
        patience: float = HEAD_SECONDS,
    ) -> None:
        self._state = state
        self._patience = patience
        self._on_answer = on_answer
        self._answer: CallbackResult | None = None
        self._forward: tuple[str, str] | None = None
        self._shown = threading.Event()
        self._stopping = False
        self._socket = _bind(ports)
        self.port: int = self._socket.getsockname()[1]
        self._connections: dict[socket.socket, _Connection] = {}
        self._waker, self._wakened = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="sign-in callback", daemon=True)
        self._thread.start()

    @property
    def redirect_uri(self) -> str:
        """The redirect URI for the issuer, with the port that was free."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def forward_once(self, address: str) -> str:
        """Return an address here that leads a browser to `address`, once.

        For an address that holds a token: a browser is started with its address in its arguments, which every user of
        the machine can read.
        """
        path = f"/open/{new_state()}"
        self._forward = (path, address)
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Stop listening. A browser that was just redirected gets a moment to fetch its page first."""
        if self._stopping:
            return
        if self._answer is not None:
            self._shown.wait(PAGE_SECONDS)
        self._stopping = True
        with suppress(OSError):  # the thread may have stopped already
            self._waker.send(b"x")
        self._thread.join()
        self._waker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._pause()):
                    self._attend(key.fileobj)
                self._expire()
        finally:
            for connection in list(self._connections.values()):
                self._drop(connection)
            for one in (self._socket, self._wakened, self._selector):
                one.close()

    def _pause(self) -> float | None:
        if not self._connections:
            return None
        return max(0.0, min(one.deadline for one in self._connections.values()) - time.monotonic())

    def _attend(self, sock: object) -> None:
        if sock is self._socket:
            self._accept()
        elif isinstance(sock, socket.socket) and sock in self._connections:
            try:
                self._read(self._connections[sock])
            except OSError:
                self._drop(self._connections[sock])

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except OSError:
            return
        if (
            len(self._connections) >= CONNECTION_LIMIT
        ):  # close the oldest connection, so that the browser can connect
            self._drop(min(self._connections.values(), key=lambda one: one.deadline))
        sock.setblocking(False)
        self._connections[sock] = _Connection(sock, self._patience)
        self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, connection: _Connection) -> None:
        data = connection.sock.recv(8192)
        if not data:
            self._drop(connection)
        elif connection.answered:
            # unread input would reset the connection and lose our response
            connection.drained += len(data)
            if connection.drained > DRAIN_LIMIT:
                self._drop(connection)
        else:
            connection.buffer += data
            end = connection.buffer.find(b"\r\n\r\n")
            if end > HEAD_LIMIT or (end < 0 and len(connection.buffer) > HEAD_LIMIT):
                self._reply(connection, make_response(431, "The request is too large."))
            elif end >= 0:
                self._reply(connection, self._respond(bytes(connection.buffer[:end])))

    def _reply(self, connection: _Connection, response: bytes) -> None:
        connection.answered = True
        connection.buffer.clear()
        connection.deadline = time.monotonic() + DRAIN_SECONDS
        connection.sock.send(response)  # a few hundred bytes always fit into an empty send buffer
        connection.sock.shutdown(socket.SHUT_WR)

    def _expire(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._connections.values() if one.deadline <= now]:
            try:
                if not connection.answered:
                    connection.sock.send(make_response(408, "The request took too long."))
            except OSError:
                pass
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection.sock]
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _respond(self, head: bytes) -> bytes:
        """Answer one request. Only a GET of exactly the callback path with our own Host can be the sign-in's result."""
        request = parse_request(head)
        if request is None:
            return make_response(400, "This is not a request.")
        method, path, query, host = request
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return make_response(421, "This is not the host of this server.")
        if method != "GET":
            return make_response(405, "Only GET is allowed here.", body=method != "HEAD")
        if path == PATH:
            return self._call_back(query)
        if self._forward is not None and not query and path == self._forward[0]:
            address, self._forward = self._forward[1], None
            return make_response(302, "The sign-in page opens.", location=address)
        if self._answer is not None and not query and path == landing(self._answer):
            self._shown.set()
            return make_response(200, page_text(self._answer))
        return make_response(404, "There is nothing here.")

    def _call_back(self, query: str) -> bytes:
        try:
            answer = judge(query, self._state)
        except NotOurs as error:
            return make_response(400, f"This is not the result of the current sign-in: {error}.")
        if (
            self._answer is None
        ):  # only the first valid result counts; a reload shows the same page and does nothing
            self._answer = answer
            self._on_answer(answer)
        # redirect at once, so that the browser does not show the address with the code
        return make_response(302, page_text(self._answer), location=landing(self._answer))


def _bind(ports: tuple[int, ...]) -> socket.socket:
    for port in ports:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only connections that are closing
            sock.bind(("127.0.0.1", port))
            sock.listen(CONNECTION_LIMIT)
            sock.setblocking(False)
            return sock
        except OSError:
            sock.close()
    raise PortsTaken(ports)
