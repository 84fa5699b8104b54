"""Renewal of a login: one renewal for any number of threads and processes.

A refresh token works once. So the lock is held over re-read, request and write; the disk is tested before the token is
used; and new tokens that could not be written are kept in memory and written later. Another account's login is never
adopted. What a login is, where it is stored and who renews it is up to the subclass.
"""

from __future__ import annotations

import atexit
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from missy import files
from missy.auth.refusals import TokenRefused
from missy.errors import MissyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.secrets.redact import Secret

    T = TypeVar("T")

LOCK_WAIT = 90.0  # seconds; longer than any renewal of another process
RENEWAL_GRACE_SECONDS = (
    0.8  # seconds that a renewal may take after Ctrl-C: its reply is the only copy of the new login
)
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class AnyLogin(Protocol):
    """What the renewal needs to know of a login."""

    @property
    def access_token(self) -> Secret:
        """The token that requests carry."""

    @property
    def refresh_token(self) -> Secret:
        """The token that is exchanged for new ones, once."""

    def is_near_expiry(self, now: float) -> bool:
        """Tell whether to renew; `now` is in Unix seconds."""

    def is_expired(self, now: float) -> bool:
        """Tell whether the access token has certainly expired."""


L = TypeVar("L", bound=AnyLogin)
A = TypeVar("A")


def be_silent(_text: str) -> None:
    """Take a notice, and drop it."""


class Renewals(ABC, Generic[L, A]):
    """The stored login of one entry, renewed when needed. `A` is what a request gets of it. Thread-safe.

    `notice` receives warnings of calls that succeed.
    """

    def __init__(
        self, path: Path, entry: str, *, notice: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self.path = path
        self.entry = entry
        self._notice = notice
        self._clock = clock
        self._mutex = threading.Lock()
        self._unsaved: _Unsaved[L] | None = None
        self._dead: dict[str, TokenRefused] = {}  # refresh token -> its refusal, so that it is not sent again
        self._failures = 0
        self._pause_until = 0.0
        self._last_failure: ProviderError | None = None

    # --- what a subclass says

    @abstractmethod
    def load(self) -> L | None:
        """Read the login off the disk; None if there is none. Raises MissyError."""

    @abstractmethod
    def store(self, login: L) -> None:
        """Write the login. The caller holds the lock of `path`. Raises MissyError."""

    @abstractmethod
    def _checked(self, login: L | None) -> L:
        """Return a login that may be used here. Raises CredentialError for any other, and for none."""

    @abstractmethod
    def _ask(self, login: L) -> L:
        """Exchange the refresh token at the issuer. Raises TokenRefused, ProviderError or PolicyError."""

    @abstractmethod
    def _access(self, login: L) -> A:
        """Return what a request needs of the login. Raises CredentialError if it may not be used for one."""

    def _may_force(self, login: L, error: MissyError | None) -> bool:  # noqa: ARG002
        """Tell whether a token that the endpoint refused with `error` may be renewed before its time."""
        return True

    def _prepare(self, login: L) -> L:
        """Write to the disk before the token is used up: a full or read-only disk must be detected in time."""
        self.store(login)
        return login

    def _refused(self, login: L, refusal: TokenRefused) -> None:
        """Take note that the issuer has ended this login. The lock is held."""

    # --- what it does

    def access(self, force_refresh_of: str | None = None, error: MissyError | None = None) -> A:
        """Return a usable token, renewing it first if it expires soon.

        `force_refresh_of` is a token that the backend just refused with `error`, a 401: a newer token in the file is
        used if there is one, else there is one renewal. Raises CredentialError (4) if a new login is needed,
        ProviderError (5) if the token has expired and the issuer fails temporarily, PolicyError (3).
        """
        with self._mutex:
            login = self._current()
            now = self._clock()
            refused = force_refresh_of is not None and login.access_token.reveal() == force_refresh_of
            if refused and not self._may_force(login, error):
                if error is not None:
                    raise error
                refused = False
            if not refused and not login.is_near_expiry(now):
                return self._access(login)
            try:
                return self._access(run_to_the_end(lambda: self._renew(login)))
            except MissyError as failure:
                if refused or login.is_expired(now):
                    raise
                access = self._access(login)
                self._notice(f"the login could not be renewed yet and is used as it is: {failure.message}")
                return access

    def stored(self) -> A:
        """Return what a request would get of the login as it is stored. Sends nothing. Raises CredentialError."""
        return self._access(self._checked(self.load()))

    def _current(self) -> L:
        """Return the newest login. Raises CredentialError if there is none that may be used here."""
        login = self.load()
        if login is not None and self._unsaved is not None:
            login = self._unsaved.newer_than(login)
        return self._checked(login)

    def _renew(self, stale: L) -> L:
        with files.lock(self.path, timeout=LOCK_WAIT):
            login = self._current()
            if login.access_token != stale.access_token:
                return login  # another thread or process has renewed it already: use its token
            self._refuse_repetition(login)
            ready = self._try_the_disk(login)
            try:
                renewed = self._ask(ready)
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

    def _refuse_repetition(self, login: L) -> None:
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

    def _try_the_disk(self, login: L) -> L:
        try:
            return self._prepare(login)
        except MissyError as error:
            raise MissyError(
                f"the login was not renewed, because the new one could not be stored: {error.message}",
                hint=error.hint,
            ) from error

    def _adopt_winner(self, login: L, refusal: TokenRefused) -> L:
        """After a refusal, read the file again: newer tokens mean that another process renewed the login."""
        found = self._current()
        if found.refresh_token != login.refresh_token:
            return found
        self._dead[login.refresh_token.reveal()] = refusal
        self._refused(login, refusal)
        raise refusal

    def _keep(self, renewed: L, *, spent: L) -> None:
        """Write the new tokens. If that fails, keep them in memory, warn, and retry until this process ends."""
        if self._unsaved is not None:
            self._unsaved.abandon()
        try:
            self.store(renewed)
            self._unsaved = None
        except MissyError as error:
            self._notice(f"the renewed login is not on disk yet, trying again: {error.message}; {error.hint}")
            self._unsaved = _Unsaved(self, renewed, spent)


class _Unsaved(Generic[L]):
    """A renewed login that could not be written: retried with growing pauses, and once more at exit."""

    def __init__(self, logins: Renewals[L, A], renewed: L, spent: L) -> None:
        self._logins = logins
        self._renewed = renewed
        self._spent = spent
        self._saved = threading.Event()
        threading.Thread(target=self._try_again, name="save login", daemon=True).start()
        atexit.register(self._try_once)

    def newer_than(self, found: L) -> L:
        """Return the login to use: ours, as long as the file still contains the tokens that ours replaced."""
        return self._renewed if found.refresh_token == self._spent.refresh_token else found

    def abandon(self) -> None:
        """Stop trying: there are newer tokens."""
        self._saved.set()
        atexit.unregister(self._try_once)

    def _try_again(self) -> None:
        for pause in (*_PAUSES, *[_PAUSES[-1]] * 1000):
            if self._saved.wait(pause) or self._try_once():
                return

    def _try_once(self) -> bool:
        """Write the tokens, unless a logout or another login has replaced the login that they renewed."""
        if self._saved.is_set():
            return True
        with suppress(MissyError), files.lock(self._logins.path, timeout=1.0):
            found = self._logins.load()
            if found is not None and found.refresh_token == self._spent.refresh_token:
                self._logins.store(self._renewed)
            self._saved.set()
            atexit.unregister(self._try_once)
        return self._saved.is_set()


def run_to_the_end(work: Callable[[], T]) -> T:
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
