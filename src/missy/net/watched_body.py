"""Response bodies for lent clients: errors have types that the client expects, and a truncated stream raises an error.

Every byte is passed on as it comes. Only the end of an incomplete stream is replaced, by an error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2

from missy.errors import ConnectionFailed, IncompleteError, MissyError
from missy.net.client_lease import translate_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from missy.net.client_lease import Lease

MAX_DRAIN_SECONDS = 0.05  # seconds to read the end of the body, so that the connection can be reused


class _Watched:
    """Common part of both bodies: translates errors, and raises an error for a truncated stream."""

    def __init__(self, body: Any, lease: Lease, request: httpx2.Request, response: httpx2.Response) -> None:
        self._body = body
        self._lease = lease
        self._request = request
        self._ending = lease.ending(response, request.url.path) if response.is_success else None
        self._chunks: Any = None
        self._over = False

    def _look(self, chunk: bytes) -> None:
        if self._ending is not None:
            self._ending.feed(chunk)

    def _ended(self, error: MissyError | None = None) -> None:
        """Handle the end of the bytes. Raises an error if the stream is not complete."""
        self._over = True
        if self._ending is None:
            if error is not None:
                raise translate_error(error, self._request, self._lease) from error
        elif self._ending.whole:
            self._body.ended()
        elif error is None or isinstance(error, ConnectionFailed):
            cut = IncompleteError("the answer is cut off: the stream ended early", hint="ask again")
            self._body.ended(cut)
            raise self._lease.explain(cut, self._request) from error
        else:
            raise self._lease.explain(error, self._request) from error

    def _is_to_drain(self) -> bool:
        """Tell whether the stream is complete, and if so limit the time for the rest."""
        if self._over or self._chunks is None or self._ending is None or not self._ending.whole:
            return False
        self._body.ended()
        self._body.hurry(MAX_DRAIN_SECONDS)
        return True


class SyncWatched(_Watched, httpx2.SyncByteStream):
    """The body of a lent client's response, for sync code."""

    def __iter__(self) -> Iterator[bytes]:
        if self._chunks is None:
            self._chunks = iter(self._body)
        else:
            self._is_to_drain()
        try:
            for chunk in self._chunks:
                self._look(chunk)
                yield chunk
        except MissyError as error:
            self._ended(error)
        else:
            self._ended()

    def close(self) -> None:
        """Close the response; if the stream is complete, its body is read to the end first, if that is available."""
        if self._is_to_drain():
            with suppress(MissyError, ValueError):
                for _ in self._chunks:
                    pass
        self._body.close()


class AsyncWatched(_Watched, httpx2.AsyncByteStream):
    """The body of a lent client's response, for async code."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._chunks is None:
            self._chunks = aiter(self._body)
        else:
            self._is_to_drain()
        try:
            async for chunk in self._chunks:
                self._look(chunk)
                yield chunk
        except MissyError as error:
            self._ended(error)
        else:
            self._ended()

    async def aclose(self) -> None:
        """Like `close` of the sync body."""
        if self._is_to_drain():
            with suppress(MissyError, RuntimeError):
                async for _ in self._chunks:
                    pass
        await self._body.aclose()
