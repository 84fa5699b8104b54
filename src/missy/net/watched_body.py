"""The body of a reply on its way to a lent client: its errors in the client's own shape, and no cut stream ends in silence.

Every byte is handed on as it comes. Nothing is held back but the end of a stream that was none.
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

MAX_DRAIN_SECONDS = 0.05  # seconds to take the end of the body, so that the connection can serve again


class _Watched:
    """A reply's body on its way to the client: errors as its user expects them, and no cut stream that ends in silence."""

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
        """Take the end of the bytes. Raises what is wrong with it."""
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
        """Tell whether the reader has all that it wanted, and give what is left only a moment."""
        if self._over or self._chunks is None or self._ending is None or not self._ending.whole:
            return False
        self._body.ended()
        self._body.hurry(MAX_DRAIN_SECONDS)
        return True


class SyncWatched(_Watched, httpx2.SyncByteStream):
    """The body for sync code."""

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
        """End the reply; a stream that is whole is read to the end of its body first, if that is there."""
        if self._is_to_drain():
            with suppress(MissyError, ValueError):
                for _ in self._chunks:
                    pass
        self._body.close()


class AsyncWatched(_Watched, httpx2.AsyncByteStream):
    """The body for async code."""

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
