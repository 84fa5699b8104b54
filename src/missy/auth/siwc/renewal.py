"""Renewal of an account. See missy.auth.renewal for what holds for every login.

A renewal is written down before it is sent, so that its loss is known; its tokens are written down before their identity
is verified, so that an outage of the issuer's keys loses nothing and never sends a used token again.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from missy.auth.login import show_time
from missy.auth.refusals import TokenRefused
from missy.auth.renewal import Renewals, be_silent
from missy.auth.siwc import store
from missy.auth.siwc.account import Account, PlanAccess
from missy.auth.siwc.id_token import IdentityRefused, Keys, verify
from missy.auth.siwc.issuer import Issuer
from missy.errors import CredentialError, MissyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.net.door import Door

# The endpoint's codes that say nothing about the token: renewing it cannot help.
_NOT_THE_TOKEN = "subscription_sharing_invalid_user"  # noqa: S105


class PlanLogins(Renewals[Account, PlanAccess]):
    """The account in use: the one that was chosen when this object first looked, until it ends."""

    def __init__(
        self,
        path: Path,
        door: Door,
        entry: str,
        *,
        notice: Callable[[str], None] = be_silent,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path, entry, notice=notice, clock=clock)
        self._issuer = Issuer(door, entry)
        self._keys = Keys(self._issuer.keys)
        self._client_id: str | None = None
        self._interrupted_at: float | None = None  # an earlier renewal whose outcome is not known

    def load(self) -> Account | None:
        """See Renewals."""
        accounts = store.load(self.path)
        if self._client_id is None and accounts.known and accounts.current() is None:
            labels = ", ".join(one.label for one in accounts.known.values())
            raise CredentialError("no account is chosen", hint=f"missy auth use ACCOUNT, one of: {labels}")
        self._client_id = self._client_id or accounts.active
        return accounts.known.get(self._client_id or "")

    def store(self, login: Account) -> None:
        """See Renewals."""
        store.save(self.path, store.load(self.path).with_account(login))

    def _checked(self, login: Account | None) -> Account:
        if login is None:
            self._refuse("not signed in with ChatGPT", f"missy auth login {self.entry}")
        if login.handed_over_at is not None:
            when = show_time(login.handed_over_at)
            self._refuse(
                f"{login.label} was handed over to another machine at {when}, which renews it from then on",
                f"to have it here too, sign in: missy auth login {self.entry}",
            )
        if not login.access_token:
            self._refuse(
                f"{login.label} is signed out: {login.ended or 'there is no token'}",
                f"sign in again: missy auth login {self.entry}",
            )
        if not login.plan_enabled:
            self._refuse(
                f"{login.label} is signed in, but Missy may not use its ChatGPT plan",
                f"allow it: missy auth login {self.entry} --enable-plan; or use an API key: missy setup",
            )
        return login

    def _refuse(self, message: str, hint: str) -> NoReturn:
        raise CredentialError(message, hint=hint)

    def _access(self, login: Account) -> PlanAccess:
        return login.access()

    def _may_force(self, login: Account, error: MissyError | None) -> bool:
        """Before the time that the issuer allows, only a token that is said to have expired may be renewed.

        A renewal that comes too early ends the sign-in, and one stray 401 must not do that.
        """
        code, now, due = getattr(error, "code", None), self._clock(), login.due_at
        if code == _NOT_THE_TOKEN:
            return False
        return code == "invalid_token" or due is None or due <= now

    def _prepare(self, login: Account) -> Account:
        if login.pending is not None:
            return login
        self._interrupted_at = login.refresh_uncertain
        begun = replace(login, refresh_uncertain=login.refresh_uncertain or self._clock())
        self.store(begun)
        return begun

    def _ask(self, login: Account) -> Account:
        if login.pending is None:
            spent = login
            if not login.refresh_token:
                raise TokenRefused(
                    "the sign-in has expired, and came without a refresh token", code="expired"
                )
            reply = self._issuer.renew(login.client_id, login.refresh_token, self._clock())
            if reply.id is None or reply.access is None:
                return login.with_reply(reply, None)
            login = login.with_pending(reply)
            self._keep(login, spent=spent)
        pending = login.pending
        assert pending is not None
        try:
            identity = verify(
                pending.id_token,
                self._keys,
                client_id=login.client_id,
                now=pending.received_at,
                subject=login.subject,
            )
        except IdentityRefused as refusal:
            self._refused(login, refusal)
            raise
        return login.committed(identity)

    def _refused(self, login: Account, refusal: TokenRefused) -> None:
        """Delete the tokens, so that no process sends them again. The registration stays."""
        why = refusal.message
        if self._interrupted_at is not None and refusal.code in ("invalid_grant", "refresh_token_reused"):
            why = f"a renewal at {show_time(self._interrupted_at)} was interrupted, and its tokens were lost"
            refusal.message = why
        with suppress(MissyError):
            self.store(login.signed_out(why))
