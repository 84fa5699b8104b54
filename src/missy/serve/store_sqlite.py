"""The store in MISSY_HOME: `serve.db`, for one machine. The only module of this room that uses SQLite.

Statements run on the event loop: each takes some ten microseconds, less than it takes to hand it to a thread. A commit is
not forced to the disk (WAL, synchronous=NORMAL): a crash of the program loses nothing, one of the machine the last moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from missy.serve.store import StoreDown, migrations, newer
from missy.sessions.files import journal, make_ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from missy.serve.store import Row

FILE = "serve.db"  # under MISSY_HOME
MAX_WAIT_SECONDS = 2.0  # for a lock that another process holds
_PAUSE_SECONDS = 0.002


class SqliteStore:
    """See missy.serve.store.Store. Not for use by several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """See Store."""
        make_ready(self._path)
        async with self.transaction() as transaction:
            ((version,),) = await transaction.run("PRAGMA user_version")
            steps = migrations()
            if version > steps[-1][0]:
                raise newer(version, str(self._path))
            for number, statements in steps:
                if number <= version:
                    continue
                for statement in statements:
                    await transaction.run(statement)
                await transaction.run(f"PRAGMA user_version = {number}")

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """See Store."""
        return await self._when_free(sql, args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Direct]:
        """See Store. Nothing may be waited for inside but its own statements, which do not wait."""
        await self._when_free("BEGIN IMMEDIATE", ())
        assert self._connection is not None
        connection = self._connection
        try:
            yield _Direct(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._down(error) from error
            raise

    async def _when_free(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run a statement; while another process holds the lock, try again without blocking the event loop."""
        ends = time.monotonic() + MAX_WAIT_SECONDS
        while True:
            try:
                return _execute(self._connected(), sql, args)
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
                if not is_busy or time.monotonic() > ends:
                    raise self._down(error) from error
                await asyncio.sleep(_PAUSE_SECONDS)
            except sqlite3.Error as error:
                raise self._down(error) from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            made = sqlite3.connect(self._path, isolation_level=None, timeout=0)
            made.execute(f"PRAGMA journal_mode = {journal(self._path.parent)}")
            for name, value in (
                ("synchronous", "NORMAL"),
                ("trusted_schema", "OFF"),
                ("cell_size_check", "ON"),
            ):
                made.execute(f"PRAGMA {name} = {value}")
            self._connection = made
        return self._connection

    def _down(self, error: sqlite3.Error) -> StoreDown:
        self._disconnect()  # a new connection sees a file that was put in its place
        return StoreDown(
            f"{self._path} cannot be used: {error}", hint="is the disk full, or the file damaged?"
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        """See Store."""
        self._disconnect()


class _Direct:
    """See missy.serve.store.Transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """See Transaction."""
        return _execute(self._connection, sql, args)


def _execute(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> list[Row]:
    # SQLite reads $1 as the name "1".
    return connection.execute(sql, {str(n): value for n, value in enumerate(args, 1)}).fetchall()
