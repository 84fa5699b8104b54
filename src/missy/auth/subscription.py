"""Logging in to the ChatGPT backend, with one account: the old login stays until the new one is on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from missy import files, folders, paths
from missy.auth.login import LOGIN_FILE, BrokenLogin, describe_state, forget, load, show_time
from missy.auth.ways import LoginStatus
from missy.errors import CredentialError, MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.auth.inbox import SignInInbox
    from missy.auth.login import Login
    from missy.auth.oauth import Issuer, Tokens
    from missy.auth.prompter import Prompter
    from missy.auth.ways import Method, Notice, SignIn
    from missy.config.schema import Entry
    from missy.net.door import Door


class SubscriptionLogin:
    """See missy.auth.ways.LoginWay."""

    methods: tuple[Method, ...] = ("browser", "paste", "device")
    several = False

    def sign_in(
        self, entry: Entry, door: Door, asked: SignIn, prompter: Prompter, inbox: SignInInbox
    ) -> None:
        """See LoginWay. Another account is asked about, unless `replace` says yes already."""
        from missy.auth.login import new_login
        from missy.auth.oauth import Issuer
        from missy.auth.sign_in import pair_device, sign_in

        path = _path()
        folders.ensure_dir(path.parent)  # detect a MISSY_HOME that cannot be written before the sign-in
        issuer = Issuer(entry.issuer, door, entry.entry)
        _require(door, issuer.url, entry.entry)
        if asked.method == "device":
            tokens = pair_device(issuer, prompter)
        else:
            tokens = sign_in(issuer, prompter, inbox, paste=asked.method == "paste")
        found = new_login(tokens, issuer.url, time.time())
        stored = _other_account(path, found, prompter)
        question = f"this machine is logged in as {_name(stored)}; replace that with {_name(found)}? [y/N]"
        if stored is not None and not asked.replace and not inbox.confirm(question):
            _give_back(issuer, tokens, prompter)
            raise CredentialError(
                f"the login of {_name(stored)} was kept",
                hint="to replace it, log in again and say yes, or use --yes",
            )
        _save(path, found, stored, prompter)

    def sign_out(self, entry: Entry, door: Callable[[], Door], account: str | None, notice: Notice) -> bool:  # noqa: ARG002
        """See LoginWay. A login that cannot be revoked is deleted all the same, and `notice` is told."""
        from missy.auth.oauth import Issuer
        from missy.auth.renewal import LOCK_WAIT

        path = _path()
        if not path.exists() and not path.is_symlink():
            return False
        with files.lock(path, timeout=LOCK_WAIT):
            try:
                found = load(path)
            except BrokenLogin as error:
                found = None
                notice(f"{error.message}; it cannot be revoked, only deleted")
            if found is not None:
                _revoke(Issuer(entry.issuer, door(), entry.entry), found, notice)
            forget(path)
        return True

    def status(self, entry: Entry) -> LoginStatus:
        """See LoginWay."""
        from missy.auth.usage import NOTE_FILE, UsageCache

        state, found, why = describe_state(_path(), entry.issuer_url or "", time.time())
        if found is None:
            return LoginStatus(entry.entry, False, None, None, None, None, state, None, why)
        limits = UsageCache(paths.home() / NOTE_FILE).read(found.account_id)
        until = show_time(found.expires_at)
        return LoginStatus(
            entry.entry, True, found.email, found.plan, found.account_id, until, state, limits, why
        )

    def refresh(self, entry: Entry, door: Door, notice: Notice) -> dict[str, Any]:
        """See LoginWay: the backend has a page about the limits."""
        from missy.auth.tokens import Logins
        from missy.auth.usage import fetch_limits

        logins = Logins(_path(), door, entry.issuer, entry.entry, notice=notice)
        return fetch_limits(door, logins, entry.base_url)

    def use(self, account: str) -> NoReturn:
        """See LoginWay."""
        raise UsageError(
            f"there is one login, and no account to choose: {account}", hint="log in again: missy auth login"
        )

    def export(self, account: str | None, write: Callable[[bytes], None]) -> NoReturn:  # noqa: ARG002
        """Refuse: two machines that share this login would end it for each other."""
        raise UsageError(
            "this login stays on its machine", hint="log in there too: missy auth login --device"
        )

    def take(self, data: bytes) -> NoReturn:  # noqa: ARG002
        """See `export`."""
        raise UsageError("this kind of login is not imported", hint="log in here: missy auth login --device")


def _path() -> Path:
    return paths.home() / LOGIN_FILE


def _require(door: Door, url: str, entry: str) -> None:
    """Raise PolicyError, on record, for an issuer that the policy refuses: before a person signs in there in vain."""
    from missy.net.gate import Attribution
    from missy.net.limits import Clock

    door.gate.require(f"{url}/oauth/token", Attribution(Clock(1.0), entry=entry, credential="oauth"))


def _other_account(path: Path, found: Login, prompter: Prompter) -> Login | None:
    """Return the stored login if it is another account's. One that cannot be read is replaced, and that is said."""
    try:
        stored = load(path)
    except BrokenLogin as error:
        prompter.notice(f"{error.message}; it is replaced")
        return None
    return stored if stored is not None and stored.account_id != found.account_id else None


def _save(path: Path, found: Login, agreed: Login | None, prompter: Prompter) -> None:
    """Store the login. `agreed` is the one that may be replaced; one that was stored meanwhile is kept."""
    from missy.auth.login import store
    from missy.auth.renewal import LOCK_WAIT

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


def _revoke(issuer: Issuer, found: Login, notice: Notice) -> None:
    if found.issuer != issuer.url:
        notice(f"the login is of {found.issuer}, which this entry does not use: it is deleted, not revoked")
        return
    try:
        issuer.revoke(found.refresh_token)
    except MissyError as error:
        notice(f"the login could not be revoked, and is deleted here all the same: {error.message}")
