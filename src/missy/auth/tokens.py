"""Renewal of the login: one renewal for any number of threads and processes.

A refresh token works once. So the lock is held over re-read, request and write; the disk is tested before the token is
used; and new tokens that could not be written are kept in memory and written later. Another account's login is never
adopted, and a token is sent only to the issuer that created it.
"""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from missy import files
from missy.auth.login import Access, Login, load, store
from missy.auth.oauth import Issuer
from missy.auth.refusals import TokenRefused
from missy.errors import CredentialError, MissyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.net.door import Door

    T = TypeVar("T")

LOCK_WAIT = 90.0  # seconds; longer than any renewal of another process
RENEWAL_GRACE_SECONDS = (
    0.8  # seconds that a renewal may take after Ctrl-C: its reply is the only copy of the new login
)
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


def _be_silent(_text: str) -> None:
    pass


class Logins:
    """The login of one entry, stored at `path` and renewed through `door` at `issuer` when needed.

    `notice` receives warnings of calls that succeed. Thread-safe.
    """

    def __init__(
        self,
        path: Path,
        door: Door,
        issuer: str | None,
        entry: str,
        *,
        notice: Callable[[str], None] = _be_silent,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.entry = entry
        self._issuer = Issuer(issuer, door, entry)
        self._notice = notice
        self._clock = clock
        self._mutex = threading.Lock()
        self._account: str | None = None
        self._unsaved: _Unsaved | None = None
        self._dead: dict[str, TokenRefused] = {}  # refresh token -> its refusal, so that it is not sent again
        self._failures = 0
        self._pause_until = 0.0
        self._last_failure: ProviderError | None = None

    def access(self, force_refresh_of: str | None = None) -> Access:
        """Return a usable token, renewing it first if it expires soon.

        `force_refresh_of` is a token that the backend just refused with 401: a newer token in the file is used if
        there is one, else there is one renewal. Raises CredentialError (4) if a new login is needed, ProviderError
        (5) if the token has expired and the issuer fails temporarily, PolicyError (3).
        """
        with self._mutex:
            login = self._current()
            now = self._clock()
            refused = force_refresh_of is not None and login.access_token.reveal() == force_refresh_of
            if not refused and not login.is_near_expiry(now):
                return login.access()
            try:
                return _to_the_end(lambda: self._renew(login)).access()
            except MissyError as error:
                if refused or login.is_expired(now):
                    raise
                self._notice(f"the login could not be renewed yet and is used as it is: {error.message}")
                return login.access()

    def _current(self) -> Login:
        """Return the newest login. Raises CredentialError if there is none, or none of this issuer and account."""
        login = load(self.path)
        if login is None:
            raise CredentialError("not logged in", hint=f"log in: missy auth login {self.entry}")
        if self._unsaved is not None:
            login = self._unsaved.newer_than(login)
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

    def _renew(self, stale: Login) -> Login:
        with files.lock(self.path, timeout=LOCK_WAIT):
            login = self._current()
            if login.access_token != stale.access_token:
                return login  # another thread or process has renewed it already: use its token
            self._refuse_repetition(login)
            self._try_the_disk(login)
            try:
                renewed = login.renewed(self._issuer.renew(login.refresh_token), self._clock())
            except TokenRefused as refusal:
                return self._adopt_winner(login, refusal)
            except ProviderError as failure:
                self._remember(failure)
                raise
            self._keep(renewed, spent=login)
        if renewed.access_token == login.access_token:
            useless = ProviderError("the renewed login has no new access token", hint="try again in a moment")
            self._remember(useless)
            raise useless
        self._failures, self._last_failure = 0, None
        return renewed

    def _refuse_repetition(self, login: Login) -> None:
        """Raise the issuer's last error again if another request is useless or too early."""
        dead = self._dead.get(login.refresh_token.reveal())
        if dead is not None:
            raise dead.again()
        if self._last_failure is not None and time.monotonic() < self._pause_until:
            last = self._last_failure
            raise type(last)(last.message, hint=last.hint, status=last.status, request_id=last.request_id)

    def _remember(self, failure: ProviderError) -> None:
        self._last_failure = failure
        self._pause_until = time.monotonic() + _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1

    def _try_the_disk(self, login: Login) -> None:
        """Write the present login again: a full or read-only disk must be detected before the token is used up."""
        try:
            store(self.path, login)
        except MissyError as error:
            raise MissyError(
                f"the login was not renewed, because the new one could not be stored: {error.message}",
                hint=error.hint,
            ) from error

    def _adopt_winner(self, login: Login, refusal: TokenRefused) -> Login:
        """After a refusal, read the file again: newer tokens mean that another process renewed the login."""
        found = self._current()
        if found.refresh_token != login.refresh_token:
            return found
        self._dead[login.refresh_token.reveal()] = refusal
        raise refusal

    def _keep(self, renewed: Login, *, spent: Login) -> None:
        """Write the new tokens. If that fails, keep them in memory, warn, and retry until this process ends."""
        try:
            store(self.path, renewed)
            self._unsaved = None
        except MissyError as error:
            self._notice(f"the renewed login is not on disk yet, trying again: {error.message}; {error.hint}")
            self._unsaved = _Unsaved(self.path, renewed, spent)


class _Unsaved:
    """A renewed login that could not be written: retried with growing pauses, and once more at exit."""

    def __init__(self, path: Path, renewed: Login, spent: Login) -> None:
        self._path = path
        self._renewed = renewed
        self._spent = spent
        self._saved = threading.Event()
        threading.Thread(target=self._try_again, name="save login", daemon=True).start()
        atexit.register(self._try_once)

    def newer_than(self, found: Login) -> Login:
        """Return the login to use: ours, as long as the file still contains the tokens that ours replaced."""
        return self._renewed if found.refresh_token == self._spent.refresh_token else found

    def _try_again(self) -> None:
        for pause in (*_PAUSES, *[_PAUSES[-1]] * 1000):
            if self._saved.wait(pause) or self._try_once():
                return

    def _try_once(self) -> bool:
        """Write the tokens, unless a logout or another login has replaced the login that they renewed."""
        if self._saved.is_set():
            return True
        with suppress(MissyError), files.lock(self._path, timeout=1.0):
            found = load(self._path)
            if found is not None and found.refresh_token == self._spent.refresh_token:
                store(self._path, self._renewed)
            self._saved.set()
            atexit.unregister(self._try_once)
        return self._saved.is_set()


def _to_the_end(work: Callable[[], T]) -> T:
    """Run `work` in a thread that Ctrl-C does not interrupt, and after Ctrl-C give it a moment to finish.

    A renewal that is interrupted between the issuer's reply and the write would lose the login.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []
    ended = threading.Event()  # `Thread.join` cannot be called again after Ctrl-C has interrupted it

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="renew login", daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        ended.wait(RENEWAL_GRACE_SECONDS)
        raise
    if errors:
        raise errors[0]
    return results[0]
