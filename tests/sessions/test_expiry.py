"""`sessions.keep_days`: what was not used for so long is deleted when something else is stored."""

from __future__ import annotations

import json
from typing import Any

import missy as library

DAY_MS = 86_400_000


def keep(missy: Any, days: int | None) -> None:
    """Set `keep_days`."""
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "sessions": {"keep_days": days}})


def names(missy: Any) -> set[str]:
    """The names of the sessions that are stored."""
    return {row["name"] for row in missy.inside("sessions", "--json").json()}


def begin(missy: Any, database: Any) -> None:
    """Store an `old` session of 40 days ago and a `new` one."""
    for name in ("old", "new"):
        assert missy.inside("ask", "--session", name, f"about {name}").code == 0
    back = 40 * DAY_MS
    database.rows("UPDATE session SET updated_ms = updated_ms - ? WHERE name = 'old' RETURNING id", back)


def test_what_was_not_used_for_so_long_is_deleted_and_told(missy, origin, database):
    """After an answer that is stored the old ones are gone, and one line says so; a new one is not touched."""
    begin(missy, database)
    assert missy.inside("ask", "--session", "new", "more").code == 0
    assert names(missy) == {"old", "new"}
    keep(missy, 30)
    ran = missy.inside("ask", "--session", "new", "more")
    assert ran.code == 0
    assert "keep_days says: 1 session" in ran.err
    assert names(missy) == {"new"}
    assert b"about old" not in database.path.read_bytes()


def test_one_that_is_used_again_is_young_again(missy, origin, database):
    """Asking in an old session keeps it."""
    begin(missy, database)
    keep(missy, 30)
    assert missy.inside("ask", "--session", "old", "more").code == 0
    assert names(missy) == {"old", "new"}


async def _close_after_an_answer() -> str:
    async with library.AsyncMissy.open(notice=lambda _: None) as m:
        return await m.session("new").ask("more").text()


def test_the_library_does_the_same(missy, origin, database):
    """Also where it is async, and without a session nothing is deleted."""
    import asyncio

    begin(missy, database)
    keep(missy, 30)
    with library.Missy.open() as m:
        m.ask("hi").text()
    assert names(missy) == {"old", "new"}
    asyncio.run(_close_after_an_answer())
    assert names(missy) == {"new"}
