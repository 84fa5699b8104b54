"""The listening half of a test's server: one thread that accepts, and that is really gone afterwards."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Listener:
    """Gives each connection and its number to `serve`, in a thread of its own, until it is closed.

    A thread that waits in accept(2) is not woken when another thread closes the socket, and it keeps the descriptor
    that Linux reserves before a connection comes. No list of open files shows that one; a thousand of them are EMFILE.
    """

    def __init__(self, serve: Callable[[socket.socket, int], None], host: str = "127.0.0.1") -> None:
        self._serve = serve
        self._closing = False
        self._socket = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that was free."""
        return self.address[1]

    def close(self) -> None:
        """Stop listening, and wait until the thread has ended. Connections that it accepted go on."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, 5).close()  # wakes accept(2) on every system
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._socket.accept()
                if self._closing:
                    sock.close()
                    return
                self.connections += 1
                threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()
