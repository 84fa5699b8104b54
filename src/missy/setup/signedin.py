"""Whether an entry's login is there, read off the disk: nothing is sent and nothing is renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.config.schema import Entry


def describe(entry: Entry) -> str:
    """Return whose login it is, "" without one that could be used."""
    from missy.login import status

    found = status(entry)
    return (found.email or found.account_id or "") if found.logged_in else ""
