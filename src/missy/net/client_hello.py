"""The server name in a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3). Pure, and bounded."""

from __future__ import annotations

MAX_HELLO_BYTES = 32 << 10
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _ENCRYPTED_HELLO = 22, 1, 0, 0xFE0D


class BadHello(ValueError):
    """What came is no ClientHello with one plain server name."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise BadHello("it is cut off")
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        return _Reader(self.take(self.number(size)))

    def text(self) -> str:
        try:
            return self.take(self.rest).decode("ascii").lower().removesuffix(".")
        except UnicodeDecodeError:
            raise BadHello("its server name is not ASCII") from None

    @property
    def rest(self) -> int:
        return len(self._data) - self._at


def is_complete(data: bytes) -> bool:
    """Tell whether the records that came hold the whole ClientHello. Raises BadHello for something else."""
    try:
        _hello(data)
    except EOFError:
        if len(data) > MAX_HELLO_BYTES:
            raise BadHello("it is too long") from None
        return False
    return True


def _hello(data: bytes) -> bytes:
    """Join the handshake message from its records. Raises EOFError while more is to come."""
    message, at = b"", 0
    while True:
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return message
        head = data[at : at + 5]
        if head and head[0] != _HANDSHAKE:
            raise BadHello("it does not begin with a TLS handshake")
        if len(head) < 5 or len(data) < at + 5 + int.from_bytes(head[3:5], "big"):
            raise EOFError
        message += data[at + 5 : at + 5 + int.from_bytes(head[3:5], "big")]
        if message[:1] and message[0] != _CLIENT_HELLO:
            raise BadHello("it is no ClientHello")
        at += 5 + int.from_bytes(head[3:5], "big")


def server_name(data: bytes) -> str | None:
    """Return the one plain server name of a whole ClientHello, None without any. Raises BadHello.

    An encrypted ClientHello could name another server: it is refused.
    """
    hello = _Reader(_hello(data)[4:])
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session
    hello.vector(2)  # ciphers
    hello.vector(1)  # compression
    if not hello.rest:
        return None
    extensions = hello.vector(2)
    name: str | None = None
    while extensions.rest:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _ENCRYPTED_HELLO:
            raise BadHello("its server name is encrypted")
        if kind != _SERVER_NAME:
            continue
        names = body.vector(2)
        if name is not None or names.number(1) != 0:
            raise BadHello("it has more than one server name")
        name = names.vector(2).text()
        if names.rest:
            raise BadHello("it has more than one server name")
    return name
