"""The session methods of Missy and AsyncMissy. SQLite is imported, and the database opened, on first use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from missy.errors import MissyError, UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.conversation.asession import AsyncSession
    from missy.conversation.collection import AsyncSessions, Sessions
    from missy.conversation.session import Session
    from missy.sessions.store import Store


class StoreHandle:
    """The store of MISSY_HOME, opened once, on first use."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._store: Store | None = None
        self._has_sessions = False  # whether a session was stored, or could have been

    def to_write(self) -> Store:
        """Return the store for sessions, created if it is missing."""
        self._has_sessions = True
        return self.to_record()

    def to_record(self) -> Store:
        """Return the store for what calls cost, created if it is missing."""
        from missy.sessions.store import Store

        with self._mutex:
            if self._store is None or self._store.path is None:
                self._store = Store.open()
            return self._store

    def to_read(self) -> Store:
        """Return the store; an empty one in memory if it is missing."""
        from missy.sessions.store import Store

        with self._mutex:
            if self._store is None or self._store.path is None:
                self._store = Store.open(make=False)
            return self._store

    @property
    def is_open(self) -> bool:
        """Whether it has been opened."""
        return self._store is not None

    def close(self, keep_days: int | None, notice: Callable[[str], None]) -> None:
        """Close it; first delete sessions unused for more than `keep_days` days, and tell `notice` how many."""
        with self._mutex:
            store, self._store = self._store, None
        if store is None:
            return
        try:
            if keep_days is not None and self._has_sessions and store.path is not None:
                _expire(store, keep_days, notice)
        except MissyError as error:  # not an error of the user's command; it is tried again the next time
            notice(error.message)
        finally:
            store.close()


def _expire(store: Store, keep_days: int, notice: Callable[[str], None]) -> None:
    from missy.sessions import delete, find

    ids = find.older_than(store, keep_days * 86_400)
    if ids:
        gone = delete.delete(store, ids)
        notice(f"deleted, as sessions.keep_days says: {counted(gone, 'session')}")


def _in_memory(wanted: str | None) -> Store:
    from missy.sessions.store import Store

    if wanted is not None:
        raise UsageError("a session that is not saved has no name", hint="leave out the name, or save it")
    return Store(None)


class SessionMethods:
    """`m.session(...)` and `m.sessions`."""

    _keeping: StoreHandle

    def session(self, id_or_name: str | None = None, *, save: bool = True) -> Session:
        """Return a conversation by id, the first characters of an id, or name; else a new one. Raises UsageError.

        With `save=False` nothing is written to the disk.
        """
        from missy.conversation.session import Session
        from missy.sessions import find

        store = self._keeping.to_write() if save else _in_memory(id_or_name)
        return Session(self, store, find.find_or_new(store, id_or_name))

    @property
    def sessions(self) -> Sessions:
        """All stored conversations."""
        from missy.conversation.collection import Sessions

        return Sessions(self._keeping.to_read)


class AsyncSessionMethods:
    """The same for async code."""

    _keeping: StoreHandle

    def session(self, id_or_name: str | None = None, *, save: bool = True) -> AsyncSession:
        """Return a conversation; see Missy.session. `await` it to load it at once, or ask it directly."""
        from missy.conversation.asession import AsyncSession

        opener = self._keeping.to_write if save else lambda: _in_memory(id_or_name)
        return AsyncSession(self, opener, id_or_name)

    @property
    def sessions(self) -> AsyncSessions:
        """All stored conversations."""
        from missy.conversation.collection import AsyncSessions

        return AsyncSessions(self._keeping.to_read)
