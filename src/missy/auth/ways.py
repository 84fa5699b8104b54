"""A way to log in: what each kind of login can do, for the command, the wizard and the library alike.

An implementation prints nothing: messages go to a `Prompter` or to `notice`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.auth.inbox import SignInInbox
    from missy.auth.prompter import Prompter
    from missy.config.schema import Entry
    from missy.net.door import Door

    Notice = Callable[[str], None]

Method = Literal["browser", "paste", "device"]


class AccountStatus(NamedTuple):
    """One of several stored accounts. `active`: the one that is used; `expires_at` is ISO 8601 in UTC."""

    label: str
    email: str | None
    account_id: str
    active: bool
    state: str
    plan_enabled: bool
    expires_at: str | None


class LoginStatus(NamedTuple):
    """One entry's stored login. `expires_at` is ISO 8601 in UTC; `why` says why it is broken.

    `limits` are the last known usage limits of the plan, None if there are none. `accounts` are all stored ones and
    `plan_enabled` says whether the plan may be used, both None for a login that knows no such thing.
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
    accounts: tuple[AccountStatus, ...] | None = None
    plan_enabled: bool | None = None


class SignIn(NamedTuple):
    """What was asked for. `paste` listens on no port; `device` shows a code for another device.

    `replace`: another account's login is replaced without asking. `account` names a stored account to sign in again,
    `new` adds one, `enable_plan` asks for the permission to use the plan, which was declined before.
    """

    method: Method = "browser"
    replace: bool = False
    account: str | None = None
    new: bool = False
    enable_plan: bool = False


class LoginWay(Protocol):
    """Signs in, looks at, renews and revokes the login of an entry."""

    methods: tuple[Method, ...]
    several: bool  # whether it stores several accounts, of which one is used

    def sign_in(
        self, entry: Entry, door: Door, asked: SignIn, prompter: Prompter, inbox: SignInInbox
    ) -> None:
        """Sign in and store the login. Raises MissyError; the login before is kept then."""

    def sign_out(self, entry: Entry, door: Callable[[], Door], account: str | None, notice: Notice) -> bool:
        """Revoke the login, then delete its tokens. Returns whether there was one. Raises MissyError."""

    def status(self, entry: Entry) -> LoginStatus:
        """Look at the stored login. Nothing is sent; what is broken is in `state` and `why`."""

    def refresh(self, entry: Entry, door: Door, notice: Notice) -> dict[str, Any] | None:
        """Renew the login if that is due, and return how much of the plan is used, None where nobody tells."""

    def use(self, account: str) -> str:
        """Use another one of several stored accounts from now on; return its label. Raises UsageError."""

    def export(self, account: str | None, write: Callable[[bytes], None]) -> str:
        """Hand a login over to another machine, which owns it from then on; return its label. Raises MissyError.

        `write` gets its text. If that raises, this machine keeps the login.
        """

    def take(self, data: bytes) -> str:
        """Store a login that another machine exported; return its label. Raises MissyError."""
