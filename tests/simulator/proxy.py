"""A CONNECT proxy that takes the true host names to the simulator's ports, and nothing anywhere else."""

from __future__ import annotations

import selectors
import socket
import socketserver
import sys
import threading


class Proxy:
    """Forwards `CONNECT host:443` by a table; keeps what it was asked for in `asked`, and refuses the rest with 403."""

    def __init__(self, table: dict[str, int]) -> None:
        self.table = table
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Tunnel)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of many tests; anything else should be seen."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


class _Tunnel(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(4096)
            if not piece or len(head) > 65536:
                return
            head += piece
        method, target, *_ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        proxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.asked.append(target)
        port = proxy.table.get(target) if method == "CONNECT" else None
        if port is None:
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _join(self.request, upstream)


def _join(left: socket.socket, right: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:  # select() itself takes no descriptor above 1023
        ready.register(left, selectors.EVENT_READ, right)
        ready.register(right, selectors.EVENT_READ, left)
        while found := ready.select(60):
            for key, _ in found:
                data = key.fileobj.recv(65536)
                if not data:
                    return
                key.data.sendall(data)
