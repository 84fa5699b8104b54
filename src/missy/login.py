"""Logins: sign in, replace, look at, revoke. For the command, the wizard and users of the library alike.

Nothing is printed: messages go to a `Prompter`. The old login stays until the new one is on disk.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from missy import files, folders, paths
from missy.config.kind_spec import usable
from missy.config.schema import Entry
from missy.errors import CredentialError, MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.audit import Audit
    from missy.auth.login import Login
    from missy.auth.oauth import Issuer, Tokens
    from missy.auth.prompter import Prompter
    from missy.config.schema import Config
    from missy.net.door import Door

    Method = Literal["browser", "paste", "device"]


class LoginStatus(NamedTuple):
    """One entry's stored login. `expires_at` is ISO 8601 in UTC; `why` says why it is broken.

    `limits` are the last known usage limits of the plan, None if there are none.
    """

    entry: str
    logged_in: bool
    email: str | None
    plan: str | None
    account_id: str | None
    expires_at: str | None
    state: str
    limits: dict[str, Any] | None
    why: str = ""


def login_file() -> Path:
    """Return where the login is kept."""
    from missy.auth.login import LOGIN_FILE

    return paths.home() / LOGIN_FILE


def login_entries(config: Config) -> list[Entry]:
    """Return every entry that has a login, or those that need no configuration."""
    found = [entry for entry in config.providers.values() if entry.spec.has_login]
    return found or [
        Entry(spec.name, spec, timeout=spec.timeout) for spec in usable(config.kinds) if spec.has_login
    ]


def find_entry(config: Config, name: str | None) -> Entry:
    """Return the named entry that has a login, or the only enabled one. Raises UsageError."""
    entries = login_entries(config)
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
    kind = config.entry(name).kind  # raises for a name that no entry has
    names = " and ".join(spec.name for spec in usable(config.kinds) if spec.has_login)
    raise UsageError(
        f"entry '{name}' is of kind {kind}, which has no login", hint=f"missy auth is for {names}"
    )


def open_door(config: Config, audit: Audit, entry: Entry) -> Door:
    """Return the door for an entry; one that the file does not have is let through by name all the same."""
    from missy.net.door import Door
    from missy.policy import Endpoint, Policy

    network, rules = config.network, config.rules()
    if entry.entry not in config.providers:
        own = tuple(Endpoint(url, entry.entry) for url in entry.endpoints)
        rules = rules._replace(endpoints=rules.endpoints + own)
    return Door(Policy(rules), audit, proxy=network.proxy, ca_bundle=network.ca_bundle)


def log_in(
    config: Config,
    audit: Audit,
    entry: Entry,
    prompter: Prompter,
    *,
    method: Method = "browser",
    replace: bool = False,
) -> LoginStatus:
    """Sign in and store the login. `replace`: another account's login is replaced without asking.

    `paste` listens on no port; `device` shows a code for another device. Raises CredentialError where the person or
    the issuer refuses (the login before is kept), PolicyError where the issuer may not be reached, ProviderError and
    ConnectionFailed where it fails.
    """
    from missy.auth.inbox import SignInInbox
    from missy.auth.login import new_login
    from missy.auth.oauth import Issuer
    from missy.auth.sign_in import pair_device, sign_in

    if not entry.enabled:
        config.entry(entry.entry)  # says so, as every other call does
    path = login_file()
    folders.ensure_dir(path.parent)  # detect a MISSY_HOME that cannot be written before the sign-in
    with closing(open_door(config, audit, entry)) as door, SignInInbox(prompter) as inbox:
        issuer = Issuer(entry.issuer, door, entry.entry)
        _require(door, issuer.url, entry.entry)
        if method == "device":
            tokens = pair_device(issuer, prompter)
        else:
            tokens = sign_in(issuer, prompter, inbox, paste=method == "paste")
        found = new_login(tokens, issuer.url, time.time())
        stored = _other_account(path, found, prompter)
        question = f"this machine is logged in as {_name(stored)}; replace that with {_name(found)}? [y/N]"
        if stored is not None and not replace and not inbox.confirm(question):
            _give_back(issuer, tokens, prompter)
            raise CredentialError(
                f"the login of {_name(stored)} was kept",
                hint="to replace it, log in again and say yes, or use --yes",
            )
    _save(path, found, stored, prompter)
    return status(entry)


def log_out(
    config: Config, audit: Audit, entry: Entry, *, notice: Callable[[str], None] = lambda _: None
) -> bool:
    """Revoke the login at the issuer, then delete it from this machine. Returns whether there was one.

    A login that cannot be revoked is deleted all the same, and `notice` is told.
    """
    from missy.auth.login import BrokenLogin, forget, load
    from missy.auth.oauth import Issuer
    from missy.auth.tokens import LOCK_WAIT

    path = login_file()
    if not path.exists() and not path.is_symlink():
        return False
    with files.lock(path, timeout=LOCK_WAIT):
        try:
            found = load(path)
        except BrokenLogin as error:
            found = None
            notice(f"{error.message}; it cannot be revoked, only deleted")
        if found is not None:
            with closing(open_door(config, audit, entry)) as door:
                _revoke(Issuer(entry.issuer, door, entry.entry), found, notice)
        forget(path)
    return True


def status(entry: Entry) -> LoginStatus:
    """Look at the login of an entry. No network; what is broken is in `state` and `why`."""
    from missy.auth.login import describe_state, show_time
    from missy.auth.usage import NOTE_FILE, UsageCache

    state, found, why = describe_state(login_file(), entry.issuer_url or "", time.time())
    if found is None:
        return LoginStatus(entry.entry, False, None, None, None, None, state, None, why)
    limits = UsageCache(paths.home() / NOTE_FILE).read(found.account_id)
    return LoginStatus(
        entry.entry,
        True,
        found.email,
        found.plan,
        found.account_id,
        show_time(found.expires_at),
        state,
        limits,
        why,
    )


def ask_limits(
    config: Config, audit: Audit, entry: Entry, *, notice: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Ask the backend how much of the plan is used, renewing the login if it is due. Raises MissyError."""
    from missy.auth.tokens import Logins
    from missy.auth.usage import fetch_limits

    with closing(open_door(config, audit, entry)) as door:
        logins = Logins(login_file(), door, entry.issuer, entry.entry, notice=notice)
        return fetch_limits(door, logins, entry.base_url)


def _require(door: Door, url: str, entry: str) -> None:
    """Raise PolicyError, on record, for an issuer that the policy refuses: before a person signs in there in vain."""
    from missy.net.gate import Attribution
    from missy.net.limits import Clock

    door.gate.require(f"{url}/oauth/token", Attribution(Clock(1.0), entry=entry, credential="oauth"))


def _other_account(path: Path, found: Login, prompter: Prompter) -> Login | None:
    """Return the stored login if it is another account's. One that cannot be read is replaced, and that is said."""
    from missy.auth.login import BrokenLogin, load

    try:
        stored = load(path)
    except BrokenLogin as error:
        prompter.notice(f"{error.message}; it is replaced")
        return None
    return stored if stored is not None and stored.account_id != found.account_id else None


def _save(path: Path, found: Login, agreed: Login | None, prompter: Prompter) -> None:
    """Store the login. `agreed` is the one that may be replaced; one that was stored meanwhile is kept."""
    from missy.auth.login import store
    from missy.auth.tokens import LOCK_WAIT

    with files.lock(path, timeout=LOCK_WAIT):
        other = _other_account(path, found, prompter)
        if other is not None and (agreed is None or other.account_id != agreed.account_id):
            raise CredentialError(
                f"another sign-in has stored the login of {_name(other)} meanwhile, and it was kept",
                hint="log in again if that is not the account you want",
            )
        store(path, found)


def _name(login: Login | None) -> str:
    return "" if login is None else describe(login.email, login.plan, login.account_id)


def describe(email: str | None, plan: str | None, account_id: str | None) -> str:
    """Return the words for an account."""
    return f"{email or 'unknown e-mail'} (plan {plan or 'unknown'}, account {account_id})"


def _give_back(issuer: Issuer, tokens: Tokens, prompter: Prompter) -> None:
    """Revoke tokens that nobody keeps; if that fails they end by themselves."""
    if tokens.refresh is not None:
        try:
            issuer.revoke(tokens.refresh)
        except MissyError as error:
            prompter.notice(f"the new login was not stored, but could not be revoked: {error.message}")


def _revoke(issuer: Issuer, found: Login, notice: Callable[[str], None]) -> None:
    if found.issuer != issuer.url:
        notice(f"the login is of {found.issuer}, which this entry does not use: it is deleted, not revoked")
        return
    try:
        issuer.revoke(found.refresh_token)
    except MissyError as error:
        notice(f"the login could not be revoked, and is deleted here all the same: {error.message}")
