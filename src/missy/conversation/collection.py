"""All conversations: `m.sessions.list()`, `.search(words)`, `.delete(ids)`. It never creates the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.sessions import delete, find, listing, search
from missy.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.sessions.listing import Listed
    from missy.sessions.search import Hit
    from missy.sessions.store import Store

    Listing = list[Listed]
    Hits = list[Hit]


class Sessions:
    """The stored conversations."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open = open_store

    def list(self, limit: int = 50) -> Listing:
        """Return the most recently used sessions, newest first."""
        return listing.listing(self._open(), limit)

    def search(self, words: str, limit: int = 20) -> Hits:
        """Return the newest matches that contain all the words. Raises UsageError."""
        return search.search(self._open(), words, limit)

    def delete(self, *wanted: str) -> int:
        """Delete sessions securely; return how many.

        Raises UsageError; Remains if a reader prevents the last bytes from being cleared.
        """
        store = self._open()
        return delete.delete(store, [find.require(store, one).id for one in wanted])


class AsyncSessions:
    """The same for async code."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._sync = Sessions(open_store)

    async def list(self, limit: int = 50) -> Listing:
        """See Sessions.list."""
        return await in_thread(self._sync.list, limit)

    async def search(self, words: str, limit: int = 20) -> Hits:
        """See Sessions.search."""
        return await in_thread(self._sync.search, words, limit)

    async def delete(self, *wanted: str) -> int:
        """See Sessions.delete."""
        return await in_thread(self._sync.delete, *wanted)
