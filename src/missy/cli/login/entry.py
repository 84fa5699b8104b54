"""Which entry a login belongs to, where it is kept, and the door that leads to its servers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from missy import paths
from missy.cli.app import App, notice
from missy.config.schema import Entry
from missy.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from missy.net.door import Door

KIND = "openai-codex"


def codex_entries(app: App) -> list[Entry]:
    """Return every entry of kind openai-codex, or the one that needs no configuration."""
    found = [entry for entry in app.config().providers.values() if entry.kind == KIND]
    return found or [Entry(entry=KIND, kind=KIND, timeout=60.0)]


def find_entry(app: App, name: str | None) -> Entry:
    """Return the named entry of kind openai-codex, or the only enabled one. Raises UsageError."""
    entries = codex_entries(app)
    if name is None:
        enabled = [entry for entry in entries if entry.enabled]
        if len(enabled) == 1:
            return enabled[0]
        names = ", ".join(entry.entry for entry in entries)
        which = "several entries have" if enabled else "no enabled entry has"
        raise UsageError(f"{which} a login: {names}", hint="name one, e.g. missy auth status ENTRY")
    for entry in entries:
        if entry.entry == name:
            return entry
    kind = app.config().entry(name).kind  # raises for a name that no entry has
    raise UsageError(
        f"entry '{name}' is of kind {kind}, which has no login", hint="missy auth is for openai-codex"
    )


def login_file() -> Path:
    """Return where the login is kept."""
    from missy.auth.login import LOGIN_FILE

    return paths.home() / LOGIN_FILE


def door_for(app: App, entry: Entry) -> Door:
    """Return the door for an entry; an entry that the file does not have is let through by name all the same."""
    if entry.entry in app.config().providers:
        return app.door()
    from missy.net.door import Door
    from missy.policy import Endpoint, Policy

    network, rules = app.config().network, app.config().rules()
    own = tuple(Endpoint(url, entry.entry) for url in entry.endpoints)
    policy = Policy(rules._replace(endpoints=rules.endpoints + own))
    return Door(policy, app.audit(), proxy=network.proxy, ca_bundle=network.ca_bundle)


def admit_issuer(door: Door, url: str, entry: str) -> None:
    """Raise PolicyError, on record, for an issuer that the policy refuses: before a person signs in there in vain."""
    from missy.net.gate import Call, Passage
    from missy.net.limits import Clock
    from missy.policy import parse

    target = parse(url)
    decision = door.gate.policy.decide(target)
    if not decision.allowed:
        call = Call(Clock(1.0), entry=entry, credential="oauth")
        door.gate.refuse(Passage(call, target, decision), decision, "POST", "/oauth/token")


def ask_limits(app: App, entry: Entry) -> dict[str, Any]:
    """Ask the backend how much of the subscription is used, renewing the login if it is due."""
    from missy.auth.tokens import Logins
    from missy.auth.usage import fetch_limits

    with closing(door_for(app, entry)) as door:
        logins = Logins(login_file(), door, entry.issuer, entry.entry, notice=notice)
        return fetch_limits(door, logins, entry.base_url)
