"""An httpx2 client for async code that reaches one origin, and holds its key: for a library that follows the server's words.

Whatever the library asks for, a request to another origin is refused before a name is looked up, and the key goes nowhere
else. Replies are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from missy.errors import BadReply, MissyError
from missy.net.door import client_headers, client_options
from missy.net.gate import Attribution
from missy.net.limits import Clock
from missy.net.transport import asend
from missy.policy import InvalidURL, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from missy.net.door import Door
    from missy.policy import Category
    from missy.secrets.redact import Secret

MAX_REPLY_BYTES = 4 << 20
MAX_STREAM_BYTES = 256 << 20  # of one stream of events


class OneOrigin(httpx2.AsyncBaseTransport):
    """The transport. `error` is the last error of a request: the library may replace it by one of its own."""

    def __init__(
        self,
        door: Door,
        url: str,
        *,
        category: Category,
        entry: str,
        timeout: float,
        key: Secret | None = None,
        credential: str = "none",
    ) -> None:
        self._door = door
        self._origin = parse(url)
        self._category = category
        self._entry = entry
        self._timeout = timeout
        self._key = key
        self._credential = credential if key is not None else "none"
        self.has_key: bool = key is not None
        self.error: MissyError | None = None
        self.status: int | None = None  # of the last reply

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, with an attribution and a clock of its own. Raises MissyError."""
        attribution = Attribution(
            Clock(self._timeout),
            category=self._category,
            entry=self._entry,
            credential=self._credential,
            live=True,
            may_stop=True,
        )
        try:
            self._require_origin(request, attribution)
            response = await asend(self._door.async_core(), self._with_key(request), attribution)
        except MissyError as error:
            self.error = error
            raise
        self.status = response.status_code
        kind = response.headers.get("content-type", "").lower()
        is_stream = kind.startswith("text/event-stream")
        response.stream = _Bounded(
            response.stream, MAX_STREAM_BYTES if is_stream else MAX_REPLY_BYTES, self._origin.host
        )
        return response

    def _require_origin(self, request: httpx2.Request, attribution: Attribution) -> None:
        url, gate = request.url, self._door.gate
        try:
            target = parse(f"{url.scheme}://{url.netloc.decode('latin-1')}")
        except InvalidURL as error:
            raise gate.invalid(str(error), attribution, host=url.host) from error
        if target != self._origin:
            attribution.credential = "none"
            raise gate.deny_outright(
                target, attribution, f"{self._entry} is at {self._origin}, not at {target}", rule="origin_only",
                hint="a server cannot send its client elsewhere", method=request.method,
                path=url.raw_path.decode("latin-1"),
            )  # fmt: skip

    def _with_key(self, request: httpx2.Request) -> httpx2.Request:
        headers = [one for one in request.headers.raw if one[0].lower() not in (b"authorization", b"cookie")]
        if self._key is not None:
            headers.append((b"authorization", b"Bearer " + self._key.reveal().encode("ascii")))
        return httpx2.Request(request.method, request.url, headers=headers, stream=request.stream)

    def client(self) -> httpx2.AsyncClient:
        """Return a client over this transport; the caller closes it."""
        return httpx2.AsyncClient(transport=self, headers=client_headers(), **client_options())


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: object, limit: int, host: str) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)
        self._stream = stream
        self._limit = limit
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > self._limit:
                raise BadReply(f"the reply of {self._host} is longer than {self._limit} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
