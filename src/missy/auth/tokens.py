"""The login of the ChatGPT backend, renewed at the issuer that created it. See missy.auth.renewal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy.auth.login import Access, Login, load, store
from missy.auth.oauth import Issuer
from missy.auth.renewal import Renewals, be_silent
from missy.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.net.door import Door


class Logins(Renewals[Login, Access]):
    """The login of one entry, stored at `path` and renewed through `door` at `issuer`."""

    def __init__(
        self,
        path: Path,
        door: Door,
        issuer: str | None,
        entry: str,
        *,
        notice: Callable[[str], None] = be_silent,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path, entry, notice=notice, clock=clock)
        self._issuer = Issuer(issuer, door, entry)
        self._account: str | None = None

    def load(self) -> Login | None:
        """See Renewals."""
        return load(self.path)

    def store(self, login: Login) -> None:
        """See Renewals."""
        store(self.path, login)

    def _checked(self, login: Login | None) -> Login:
        """Refuse a login of another issuer, and another account's than at first."""
        if login is None:
            raise CredentialError("not logged in", hint=f"log in: missy auth login {self.entry}")
        if login.issuer != self._issuer.url:
            raise CredentialError(
                f"the stored login is from {login.issuer}, but this entry's issuer is {self._issuer.url}",
                hint=f"log in there: missy auth login {self.entry}",
            )
        if self._account not in (None, login.account_id):
            raise CredentialError(
                f"the login has changed to another account ({login.email or login.account_id}) since this began",
                hint="run the command again to use that account",
            )
        self._account = login.account_id
        return login

    def _ask(self, login: Login) -> Login:
        return login.renewed(self._issuer.renew(login.refresh_token), self._clock())

    def _access(self, login: Login) -> Access:
        return login.access()
