"""Whether an entry's login is there, read off the disk: nothing is sent and nothing is renewed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy import paths

if TYPE_CHECKING:
    from missy.config.schema import Entry


def describe(entry: Entry) -> str:
    """Return whose login it is, "" without one that could be used."""
    from missy.auth.login import LOGIN_FILE, describe_state

    _, login, _ = describe_state(paths.home() / LOGIN_FILE, entry.issuer_url or "", time.time())
    return (login.email or login.account_id) if login else ""
