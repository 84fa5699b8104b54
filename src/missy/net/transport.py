"""httpx2 transports over `missy.net.core`: for lent clients, and for libraries that make their own requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

from missy.net.messages import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from missy.net.core import AsyncCore, Core
    from missy.net.gate import Attribution, Gate

BODY = "missy.body"  # the response extension with the body: iterate for raw bytes, `ended()` for the audit


def _converted(request: httpx2.Request, gate: Gate, attribution: Attribution) -> HttpRequest:
    """Copy the request, so that the caller cannot change it after authorization. Raises PolicyError."""
    url = request.url
    netloc = url.netloc.decode("latin-1")
    if url.userinfo:
        raise gate.invalid("credentials before the host in a URL", attribution, host=url.host)
    if request.headers.get("host", "").lower() != netloc.lower():
        raise gate.invalid(f"the Host header is not {url.host}", attribution, host=url.host)
    headers = [header for header in request.headers.raw if header[0].lower() != b"host"]
    repeatable = isinstance(request.stream, httpx2.ByteStream)  # unlike a file or a generator
    return HttpRequest(
        request.method, f"{url.scheme}://{netloc}", url.raw_path, headers, request.stream, repeatable
    )


def _response(response: HttpResponse, stream: Any) -> httpx2.Response:
    # Already decompressed: httpx2 must not do it again, without a limit. Cookies are dropped: endpoints would share them.
    left_out = (b"content-encoding", b"set-cookie")
    headers = [(name, value) for name, value in response.raw_headers if name.lower() not in left_out]
    made = httpx2.Response(response.status, headers=headers, stream=stream, extensions={BODY: response.body})
    made.encoding = "utf-8"  # the server's charset could name any codec, even bz2 or idna
    return made


class _SyncStream(httpx2.SyncByteStream):
    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        self._body.close()


class _AsyncStream(httpx2.AsyncByteStream):
    def __init__(self, body: Any) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        await self._body.aclose()


def send(core: Core, request: httpx2.Request, attribution: Attribution) -> httpx2.Response:
    """Send one request on the account of `call`, if the policy allows. Raises MissyError of the fitting kind."""
    response = core.send(_converted(request, core.gate, attribution), attribution)
    return _response(response, _SyncStream(response.body))


async def asend(core: AsyncCore, request: httpx2.Request, attribution: Attribution) -> httpx2.Response:
    """Like `send`, for async code."""
    response = await core.send(_converted(request, core.gate, attribution), attribution)
    return _response(response, _AsyncStream(response.body))


class Transport(httpx2.BaseTransport):
    """The transport of an httpx2 client. `attribution_of` returns a request's attribution and starts its clock."""

    def __init__(self, core: Core, attribution_of: Callable[[httpx2.Request], Attribution]) -> None:
        self._core = core
        self._attribution_of = attribution_of

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; see `send`."""
        return send(self._core, request, self._attribution_of(request))


class AsyncTransport(httpx2.AsyncBaseTransport):
    """The same for async code."""

    def __init__(self, core: AsyncCore, attribution_of: Callable[[httpx2.Request], Attribution]) -> None:
        self._core = core
        self._attribution_of = attribution_of

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; see `send`."""
        return await asend(self._core, request, self._attribution_of(request))
