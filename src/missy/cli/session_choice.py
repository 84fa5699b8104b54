"""Which conversation an answer belongs to: the one that is named, the one used last, a new one, or none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, notice

if TYPE_CHECKING:
    from missy.assistant import Missy
    from missy.sessions.records import SessionRecord


class Place:
    """The session to ask in. `entry` is who answered there last; a `stored` that is None is a new one without a name."""

    def __init__(self, stored: SessionRecord | None, wanted: str | None) -> None:
        self.entry: str | None = stored.entry if stored else None
        self.is_stored: bool = stored is not None
        self._id = stored.id if stored else wanted

    def open(self, missy: Missy) -> Any:
        """Return the session."""
        return missy.session(self._id)


def choose(app: App, session: str | None, *, continued: bool, dry_run: bool = False) -> Place | None:
    """Find the session; None where the answer is to be kept nowhere. Raises UsageError."""
    if session is not None and continued:
        raise click.UsageError("--continue and --session name two sessions: choose one")
    if session is None and not continued:
        return Place(None, None) if app.config().sessions.save == "all" and not dry_run else None
    from missy.sessions import find
    from missy.sessions.store import Store

    with Store.open(make=False) as store:
        if session is None:
            return Place(find.latest(store), None)
        found = find.find(store, session)
    if found is None:
        name = find.new_name(session)
        if not dry_run:
            notice(f"a new session: {name}")
        return None if dry_run else Place(None, name)
    return Place(found, None)
