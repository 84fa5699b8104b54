"""Keys, counters, reservations and usage: every decision of the store, in statements that both stores understand."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.errors import UsageError
from missy.serve.keys import COLUMNS, Key, same
from missy.serve.limits import COST, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.serve.limits import Counter
    from missy.serve.store import Store, Transaction

LEASE_SECONDS = 15  # that a reservation lives without its replica
_DAY = 86_400
_SUMS = (
    "requests", "refused", "failed", "incomplete", "input_tokens", "output_tokens", "cached_tokens", "cost_micro",
    "estimated", "unpriced", "latency_ms",
)  # fmt: skip
_TAKE = (
    "INSERT INTO counter (key, name, used, reserved, ends) VALUES ($1, $2, 0, CAST($3 AS BIGINT), $5)"
    " ON CONFLICT (key, name) DO UPDATE SET reserved = counter.reserved + excluded.reserved"
    " WHERE counter.used + counter.reserved + excluded.reserved <= CAST($4 AS BIGINT) RETURNING used"
)
_USE = "UPDATE counter SET reserved = reserved - $3, used = used + $4 WHERE key = $1 AND name = $2"
_ADD_USAGE = (
    f"INSERT INTO usage (minute, key, entry, model, {', '.join(_SUMS)})"
    f" VALUES ($1, $2, $3, $4, {', '.join(f'${n}' for n in range(5, 5 + len(_SUMS)))})"
    " ON CONFLICT (minute, key, entry, model) DO UPDATE SET "
    + ", ".join(f"{name} = usage.{name} + excluded.{name}" for name in _SUMS)
)


class Spent(NamedTuple):
    """What one request took, for the ledger; `minute` is Unix minutes."""

    minute: int
    key: str
    entry: str
    model: str
    requests: int = 0
    refused: int = 0
    failed: int = 0
    incomplete: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micro: int = 0
    estimated: int = 0
    unpriced: int = 0
    latency_ms: int = 0


class Reservation(NamedTuple):
    """What a request has reserved: its id and its counters."""

    id: str
    key: str
    counters: tuple[Counter, ...]


class _Full(Exception):
    def __init__(self, counter: Counter) -> None:
        self.counter = counter


class Ledger:
    """The decisions of one replica. Every method raises StoreDown while the store cannot be reached."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.replica: str = secrets.token_hex(8)

    # --- keys

    async def find(self, digest: str) -> Key | None:
        """Return the key with this hash."""
        rows = await self.store.run(f"SELECT {COLUMNS} FROM api_key WHERE hash = $1", digest)
        found = Key.from_row(rows[0]) if rows else None
        return found if found is not None and same(found.hash, digest) else None

    async def keys(self) -> list[Key]:
        """Return every key, by name."""
        return [
            Key.from_row(row) for row in await self.store.run(f"SELECT {COLUMNS} FROM api_key ORDER BY name")
        ]

    async def key(self, name: str) -> Key:
        """Return the key of a name. Raises UsageError."""
        rows = await self.store.run(f"SELECT {COLUMNS} FROM api_key WHERE name = $1", name)
        if not rows:
            raise UsageError(f"there is no key {name[:64]!r}", hint="see them: missy keys list")
        return Key.from_row(rows[0])

    async def add(self, key: Key) -> None:
        """Store a new key. Raises UsageError if there is one of its name."""
        places = ", ".join(f"${n}" for n in range(1, 13))
        made = await self.store.run(
            f"INSERT INTO api_key ({COLUMNS}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING name",
            *key.row(),
        )
        if not made:
            raise UsageError(
                f"there is a key {key.name!r} already",
                hint=f"missy keys rotate {key.name}, or take another name",
            )
        await self._event("created", key.name)

    async def revoke(self, name: str) -> None:
        """Revoke a key, from the next request on. Raises UsageError."""
        await self.key(name)
        await self.store.run("UPDATE api_key SET revoked = $2 WHERE name = $1", name, int(time.time()))
        await self._event("revoked", name)

    async def rotate(self, name: str, digest: str) -> None:
        """Put another key in place of one that is not revoked. Raises UsageError."""
        if (await self.key(name)).revoked is not None:
            raise UsageError(f"the key {name!r} is revoked", hint="create another one")
        await self.store.run("UPDATE api_key SET hash = $2 WHERE name = $1", name, digest)
        await self._event("rotated", name)

    async def _event(self, what: str, name: str) -> None:
        await self.store.run(
            "INSERT INTO event (at, what, key) VALUES ($1, $2, $3)", int(time.time()), what, name
        )

    # --- limits

    async def reserve(self, key: Key, counters: Sequence[Counter]) -> Reservation | tuple[Counter, int]:
        """Reserve all of `counters`, or nothing. Returns the first that is full, and what is taken of it."""
        made = Reservation(secrets.token_hex(12), key.name, tuple(counters))
        if not counters:
            return made
        for counter in counters:
            if counter.amount > counter.cap:
                return counter, await self.taken(key.name, counter.name)
        expires = int(time.time()) + LEASE_SECONDS
        try:
            async with self.store.transaction() as transaction:
                for counter in counters:
                    name, amount, cap, ends = counter
                    if not await transaction.run(_TAKE, key.name, name, amount, cap, ends):
                        raise _Full(counter)
                for counter in counters:
                    await transaction.run(
                        "INSERT INTO reservation (id, key, name, amount, replica, expires)"
                        " VALUES ($1, $2, $3, $4, $5, $6)",
                        made.id, key.name, counter.name, counter.amount, self.replica, expires,
                    )  # fmt: skip
        except _Full as full:
            return full.counter, await self.taken(key.name, full.counter.name)
        return made

    async def taken(self, key: str, name: str) -> int:
        """Return what is used and reserved of a counter."""
        rows = await self.store.run(
            "SELECT used + reserved FROM counter WHERE key = $1 AND name = $2", key, name
        )
        return int(rows[0][0]) if rows else 0

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Put what a request took in place of what it had reserved, and add it to the usage."""
        async with self.store.transaction() as transaction:
            if reservation.counters:
                rows = await transaction.run(
                    "DELETE FROM reservation WHERE id = $1 RETURNING name, amount", reservation.id
                )
                held: dict[str, int] = dict(rows)  # none if its lease ran out
                for counter in reservation.counters:
                    used = _used(counter, spent)
                    await transaction.run(
                        _USE, reservation.key, counter.name, held.get(counter.name, 0), used
                    )
            await self._add(transaction, spent)

    async def add_usage(self, rows: Sequence[Spent]) -> None:
        """Add what was counted without a reservation: refusals."""
        async with self.store.transaction() as transaction:
            for row in sorted(rows):
                await self._add(transaction, row)

    async def _add(self, transaction: Transaction, spent: Spent) -> None:
        await transaction.run(_ADD_USAGE, *spent)

    async def keep_alive(self) -> None:
        """Extend the reservations of this replica."""
        expires = int(time.time()) + LEASE_SECONDS
        await self.store.run("UPDATE reservation SET expires = $2 WHERE replica = $1", self.replica, expires)

    async def sweep(self) -> int:
        """Give back what dead replicas have reserved, and forget windows that are over. Returns how many came back."""
        now = int(time.time())
        async with self.store.transaction() as transaction:
            rows = await transaction.run(
                "DELETE FROM reservation WHERE expires < $1 RETURNING key, name, amount", now
            )
            for key, name, amount in sorted(rows):
                await transaction.run(_USE, key, name, amount, 0)
            await transaction.run("DELETE FROM counter WHERE ends > 0 AND ends < $1 AND reserved = 0", now)
        return len(rows)

    # --- usage

    async def usage(self, by: str, since_minute: int = 0) -> list[dict[str, Any]]:
        """Return the usage by key, model, entry or day (UTC)."""
        column = {"key": "key", "model": "model", "entry": "entry", "day": "minute / 1440"}[by]
        sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in _SUMS)
        rows = await self.store.run(
            f"SELECT {column}, {sums} FROM usage WHERE minute >= $1 GROUP BY 1 ORDER BY 1", since_minute
        )
        found = []
        for head, *counts in rows:
            label = time.strftime("%Y-%m-%d", time.gmtime(head * _DAY)) if by == "day" else head
            found.append({"key": label, **dict(zip(_SUMS, counts, strict=True))})
        return found


def _used(counter: Counter, spent: Spent) -> int:
    if counter.what == COST:
        return spent.cost_micro
    return 1 if counter.what == REQUESTS else spent.input_tokens + spent.output_tokens
