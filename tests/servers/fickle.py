"""A server that closes a kept connection at the worst moment: while the next request is on its way, without a word."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import Self

from tests.servers.listener import Listener
from tests.servers.origin import SAFETY

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Fickle:
    """Answers `answers` requests on a connection; of the next it reads `reads` bytes (None: all) and closes.

    `first` is how many connections are treated so; those after them answer whatever comes. `rest` follows each reply at once,
    over TLS in a record of its own.
    """

    def __init__(
        self,
        reply: bytes,
        *,
        answers: int = 1,
        reads: int | None = None,
        reset: bool = False,
        silent: bool = False,
        first: int = 1,
        tls: ssl.SSLContext | None = None,
        rest: bytes = b"",
    ) -> None:
        self.reply = reply
        self.rest = rest
        self.requests = 0  # answered
        self.spoilt = 0  # not answered
        self._how = (answers, reads, reset, silent, first)
        self._tls = tls
        self._released = threading.Event()
        self._listener = Listener(self._talk)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._released.set()
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many connections have come."""
        return self._listener.connections

    @property
    def url(self) -> str:
        """The base URL that an entry names."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def _talk(self, sock: socket.socket, number: int) -> None:
        answers, reads, reset, silent, first = self._how
        with contextlib.suppress(OSError), sock:
            stream = self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
            with stream:
                while answers or number > first:
                    if not _read(stream, None):
                        return
                    self.requests += 1
                    _cork(stream, 1)  # so that both come in one read
                    stream.sendall(self.reply)
                    if self.rest:
                        stream.sendall(self.rest)
                    _cork(stream, 0)
                    answers -= 1
                if not _read(stream, reads):
                    return
                self.spoilt += 1
                if silent:
                    self._released.wait(SAFETY)
                if reset:
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _cork(stream: socket.socket, on: int) -> None:
    """Hold back what is sent, where the system can, or send it."""
    if hasattr(socket, "TCP_CORK"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


def _read(stream: socket.socket, most: int | None) -> int:
    """Read one request, or up to `most` bytes of it; return how many bytes that were, 0 at the end."""
    got = b""
    while most is None or len(got) < most:
        data = stream.recv(65536 if most is None else most - len(got))
        if not data:
            return 0
        got += data
        head, found, body = got.partition(b"\r\n\r\n")
        if most is None and found:
            lengths = [
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ]
            if len(body) >= sum(lengths):
                break
    return len(got)
