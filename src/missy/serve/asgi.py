"""The small part of ASGI that the gateway speaks: reading a bounded body, and sending a reply."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from missy.serve.faults import Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]
    Headers = Sequence[tuple[bytes, bytes]]

MAX_BODY_SECONDS = 60.0  # for the whole body of a request
MAX_STALL_SECONDS = 60.0  # that a caller may not read while bytes wait for it
JSON = b"application/json"


class Gone(Exception):
    """The caller closed the connection, or does not read."""


def header(scope: Any, name: bytes) -> str:
    """Return a header of a request, "" without it. Raises Refused if it was sent twice: then nobody knows which holds."""
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise invalid(f"the header {name.decode()} was sent more than once")
    return found[0].decode("latin-1") if found else ""


async def read_body(scope: Any, receive: Receive, most: int) -> bytes:
    """Return the body of a request. Raises Refused for one that is too long or too slow, Gone."""
    length = header(scope, b"content-length")
    if length.isdecimal() and int(length) > most:
        raise _too_long(most)
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > most:
                    raise _too_long(most)
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise invalid("the body did not come in time", 408) from None


def _too_long(most: int) -> Refused:
    return invalid(f"the body is longer than {most >> 20} MiB", 413)


async def gone(receive: Receive) -> None:
    """Wait until the caller closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Reply:
    """The reply to one request. `started` says whether any of it was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started: bool = False

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of a reply whose length is not known."""
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *_ALWAYS]})

    async def write(self, data: bytes) -> None:
        """Send a part of it, and wait while the caller is slow. Raises Gone if it does not read at all."""
        try:
            async with asyncio.timeout(MAX_STALL_SECONDS):
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            raise Gone from None

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part. A reply that is not finished breaks the connection: the caller sees that it is cut."""
        await self._send({"type": "http.response.body", "body": data})

    async def whole(
        self, status: int, body: bytes, kind: bytes = JSON, headers: Headers = (), *, close: bool = False
    ) -> None:
        """Send a whole reply."""
        more = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *headers]
        await self.start(status, [*more, *([(b"connection", b"close")] if close else [])])
        await self.finish(body)


_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
