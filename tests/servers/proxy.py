"""A CONNECT proxy on 127.0.0.1: the way in which tests give hosts names, since no name but localhost resolves here."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from tests.servers.listener import Listener


class Proxy:
    """Tunnels `host:port` to a local port by its table, refuses the rest with 403, and keeps every CONNECT line."""

    def __init__(self, routes: dict[str, int], *, status: int = 200) -> None:
        self.routes = routes
        self.status = status
        self.connects: list[str] = []
        self.heads: list[bytes] = []
        self._listener = Listener(self._tunnel)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What `network.proxy` takes."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _tunnel(self, client: socket.socket, _number: int) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = client.recv(1)
                if not data:
                    return
                head += data
            method, target = head.split(b" ", 2)[:2]
            name = target.decode("latin-1")
            self.connects.append(name)
            self.heads.append(head)
            port = self.routes.get(name)
            if method != b"CONNECT" or port is None or self.status != 200:
                status = self.status if self.status != 200 else 403
                client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
                return
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
