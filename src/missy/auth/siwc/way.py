"""Signing in with ChatGPT, with any number of accounts, of which one is used: the one that was chosen by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from missy import files, folders
from missy.auth.login import show_time
from missy.auth.siwc import SETTINGS, USAGE_PAGE, store, transfer
from missy.auth.ways import AccountStatus, LoginStatus
from missy.errors import CredentialError, MissyError, ProviderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.auth.inbox import SignInInbox
    from missy.auth.prompter import Prompter
    from missy.auth.siwc.account import Account
    from missy.auth.siwc.issuer import Issuer
    from missy.auth.siwc.sign_in import SignedIn
    from missy.auth.ways import Method, Notice, SignIn
    from missy.config.schema import Entry
    from missy.net.door import Door

_WELCOME = (
    "You're using your ChatGPT plan",
    "Missy is registered in your ChatGPT account. Requests of this entry count against your plan; Missy charges nothing.",
    f"Manage usage: {USAGE_PAGE}",
)
_REVOKE_TRIES = 3
_PAUSE_SECONDS = 0.5  # doubled after each try


class SiwcLogin:
    """See missy.auth.ways.LoginWay."""

    methods: tuple[Method, ...] = ("browser", "paste")
    several = True

    def __init__(self) -> None:
        self._path = store.accounts_file()

    def sign_in(
        self, entry: Entry, door: Door, asked: SignIn, prompter: Prompter, inbox: SignInInbox
    ) -> None:
        """See LoginWay. A known account signs in again, with the registration that it has."""
        from missy.auth.siwc.issuer import Issuer
        from missy.auth.siwc.sign_in import sign_in

        folders.ensure_dir(self._path.parent)  # detect a MISSY_HOME that cannot be written before the sign-in
        issuer = Issuer(door, entry.entry)
        issuer.require()
        try:
            accounts = store.load(self._path)
        except store.BrokenAccounts as error:
            prompter.notice(f"{error.message}; it is replaced")
            accounts = store.Accounts()
        known = None
        if not asked.new:
            known = accounts.find(asked.account) if asked.account else accounts.current()
        found = sign_in(
            issuer,
            prompter,
            inbox,
            known=known,
            client_id=None if asked.new or known else store.pending_client(),
            host_id=store.host_id(),
            paste=asked.method == "paste",
            consent=asked.enable_plan,
        )
        account, is_active = self._save(found, issuer, prompter)
        _tell(account, entry, prompter, is_active=is_active)

    def _save(self, found: SignedIn, issuer: Issuer, prompter: Prompter) -> tuple[Account, bool]:
        """Store the account, unless its registration has become another person's meanwhile."""
        from missy.auth.renewal import LOCK_WAIT
        from missy.auth.siwc.account import Account
        from missy.auth.siwc.sign_in import give_back

        with files.lock(self._path, timeout=LOCK_WAIT):
            try:
                accounts = store.load(self._path)
            except store.BrokenAccounts:
                accounts = store.Accounts()
            old = accounts.known.get(found.client_id)
            if old is not None and old.subject != found.identity.subject:
                give_back(issuer, found.client_id, found.reply, prompter)
                raise CredentialError(
                    f"this registration is {old.label}'s, and another account signed in; nothing was changed",
                    hint="to add an account: missy auth login chatgpt --new",
                )
            label = accounts.free_label(found.identity.email, found.client_id)
            fresh = Account(found.client_id, label, found.identity.subject, store.host_id())
            account = replace(old or fresh, label=label, host_id=store.host_id())
            account = account.with_reply(found.reply, found.identity)
            if found.reply.refresh is None:  # the old one belongs to the sign-in before
                account = replace(account, refresh_token=fresh.refresh_token)
            if account.plan_enabled and not account.welcomed:
                for line in _WELCOME:
                    prompter.notice(line)
                account = replace(account, welcomed=True)
            accounts = accounts.with_account(account)
            store.save(self._path, accounts)
            store.clear_pending(found.client_id)
        return account, accounts.active == account.client_id

    def sign_out(self, entry: Entry, door: Callable[[], Door], account: str | None, notice: Notice) -> bool:
        """See LoginWay. The registration and the host id stay, for the next sign-in."""
        from missy.auth.renewal import LOCK_WAIT

        if not self._path.exists() and not self._path.is_symlink():
            return False
        with files.lock(self._path, timeout=LOCK_WAIT):
            try:
                accounts = store.load(self._path)
            except store.BrokenAccounts as error:
                from missy.auth.login import forget

                notice(f"{error.message}; it cannot be revoked, only deleted")
                forget(self._path)
                return True
            chosen = accounts.find(account) if account else accounts.current()
            if chosen is None or not chosen.access_token:
                return False
            if chosen.refresh_token and chosen.handed_over_at is None:
                _revoke(chosen, entry, door, notice)
            store.save(self._path, accounts.with_account(chosen.signed_out("it was signed out here")))
        return True

    def status(self, entry: Entry) -> LoginStatus:
        """See LoginWay."""
        try:
            accounts = store.load(self._path)
        except MissyError as error:
            return LoginStatus(entry.entry, False, None, None, None, None, "broken", None, error.message, ())
        rows = tuple(_row(one, accounts.active) for one in accounts.known.values())
        account = accounts.current()
        if account is None:
            return LoginStatus(entry.entry, False, None, None, None, None, "none", None, "", rows)
        why = ""
        if account.handed_over_at is not None:
            why = f"{account.label} was handed over to another machine at {show_time(account.handed_over_at)}"
        elif not account.access_token:
            why = f"{account.label} is signed out: {account.ended or 'there is no token'}"
        elif account.refresh_uncertain is not None:
            why = f"the outcome of a renewal at {show_time(account.refresh_uncertain)} is not known"
        return LoginStatus(
            entry.entry,
            account.signed_in,
            account.email,
            None,  # the issuer does not tell it
            account.client_id,
            show_time(account.expires_at) if account.signed_in else None,
            _state(account),
            None,
            why,
            rows,
            account.plan_enabled if account.signed_in else None,
        )

    def refresh(self, entry: Entry, door: Door, notice: Notice) -> None:
        """See LoginWay: apps are told nothing of the plan's limits."""
        from missy.auth.siwc.renewal import PlanLogins

        PlanLogins(self._path, door, entry.entry, notice=notice).access()

    def use(self, account: str) -> str:
        """See LoginWay."""
        from missy.auth.renewal import LOCK_WAIT

        with files.lock(self._path, timeout=LOCK_WAIT):
            accounts = store.load(self._path)
            found = accounts.find(account)
            store.save(self._path, accounts._replace(active=found.client_id))
        return found.label

    def export(self, account: str | None, write: Callable[[bytes], None]) -> str:
        """See LoginWay."""

        def choose(accounts: store.Accounts) -> Account:
            found = accounts.find(account) if account else accounts.current()
            if found is None:
                raise UsageError("there is no account to export", hint="missy auth login chatgpt")
            return found

        return transfer.export(self._path, choose, write).label

    def take(self, data: bytes) -> str:
        """See LoginWay."""
        folders.ensure_dir(self._path.parent)
        return transfer.take(self._path, data, store.host_id()).label


def _tell(account: Account, entry: Entry, prompter: Prompter, *, is_active: bool) -> None:
    if not account.plan_enabled:
        prompter.notice(f"{account.label} is signed in, but plan use is off: Missy cannot answer with it")
        prompter.notice(
            f"allow it: missy auth login {entry.entry} --enable-plan; or use an API key or a local model: missy setup"
        )
    if not is_active:
        prompter.notice(f"the account in use is another one; to use this one: missy auth use {account.label}")


def _revoke(account: Account, entry: Entry, door: Callable[[], Door], notice: Notice) -> None:
    """Revoke the sign-in, with a few tries; say so where the issuer did not confirm it."""
    from missy.auth.siwc.issuer import Issuer

    issuer = Issuer(door(), entry.entry)
    for tried in range(_REVOKE_TRIES):
        try:
            issuer.revoke(account.client_id, account.refresh_token)
        except MissyError as error:
            if isinstance(error, ProviderError) and not error.lasting and tried + 1 < _REVOKE_TRIES:
                time.sleep(_PAUSE_SECONDS * 2**tried)
                continue
            notice(f"the revocation was not confirmed, and the tokens are deleted here: {error.message}")
            notice(f"to be sure, disconnect Missy in {SETTINGS}")
        return


def _state(account: Account) -> str:
    now = time.time()
    if not account.signed_in:
        return "none"
    if account.is_expired(now):
        return "expired"
    return "near_expiry" if account.is_near_expiry(now) else "valid"


def _row(account: Account, active: str | None) -> AccountStatus:
    return AccountStatus(
        account.label,
        account.email,
        account.client_id,
        account.client_id == active,
        _state(account),
        account.plan_enabled and account.signed_in,
        show_time(account.expires_at) if account.signed_in else None,
    )
