"""The store that several replicas share: a PostgreSQL database. The only module that imports asyncpg."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from missy.serve.store import StoreDown, migrations, newer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from missy.serve.store import Row

POOL_SIZE = 5
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 15.0
_WAIT_SECONDS = 30.0  # for a connection of the pool, while all are in use: a crowd waits its turn
_LOCK = 0x6D697373  # of the upgrade of the tables: the advisory lock of all replicas
# Whatever the server reports says that nothing was decided: full disks and failovers are reported like lost connections.
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresStore:
    """See missy.serve.store.Store. A lost connection is replaced at the next use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None
        self._making = asyncio.Lock()

    async def open(self) -> None:
        """See Store."""
        async with self.transaction() as transaction:
            await transaction.run(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await transaction.run("CREATE TABLE IF NOT EXISTS missy_schema (version BIGINT NOT NULL)")
            rows = await transaction.run("SELECT version FROM missy_schema")
            version = rows[0][0] if rows else 0
            steps = migrations()
            if version > steps[-1][0]:
                raise newer(version, "the database of serve.store")
            for number, statements in steps:
                for statement in statements if number > version else ():
                    await transaction.run(statement)
            await transaction.run("DELETE FROM missy_schema")
            await transaction.run("INSERT INTO missy_schema (version) VALUES ($1)", steps[-1][0])

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """See Store."""
        async with self._connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *args)]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Open]:
        """See Store."""
        async with self._connection() as connection, connection.transaction():
            yield _Open(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            pool = await self._connected()
            async with pool.acquire(timeout=_WAIT_SECONDS) as connection:
                yield connection
        except _LOST as error:
            raise StoreDown(
                f"the database of serve.store cannot be reached: {type(error).__name__}",
                hint="is it running, and does serve.store name it?",
            ) from error

    async def _connected(self) -> Any:
        async with self._making:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                    server_settings={"application_name": "missy"},
                )
            return self._pool

    async def close(self) -> None:
        """See Store."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                await asyncio.wait_for(pool.close(), CONNECT_SECONDS)
            except _LOST:
                pool.terminate()


class _Open:
    """See missy.serve.store.Transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """See Transaction."""
        return [tuple(row) for row in await self._connection.fetch(sql, *args)]
