"""Requests and responses as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[bytes, bytes]]


class HttpRequest(NamedTuple):
    """One request. `headers` have no Host: it is made from the authorized target.

    `origin` is scheme, host and port; `target` is path and query as sent. `content` is bytes or an iterable of bytes;
    `repeatable` tells whether it can be sent a second time.
    """

    method: str
    origin: str
    target: bytes
    headers: Headers
    content: Any = None
    repeatable: bool = True


class HttpResponse(NamedTuple):
    """A response: its status, headers and unread body. Iterate over the body for raw bytes, and close it."""

    status: int
    raw_headers: Headers
    body: Any

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of several with the same name, the last."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}


def wire_headers(request: HttpRequest, authority: str) -> list[tuple[bytes, bytes]]:
    """Return all headers of a request to `authority` as sent, including those that no caller sets."""
    headers = [(b"Host", authority.encode()), *request.headers]
    if isinstance(request.content, bytes):
        headers.append((b"Content-Length", str(len(request.content)).encode()))
    return headers
