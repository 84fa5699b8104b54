"""Logins: sign in, replace, look at, revoke. For the command, the wizard and users of the library alike.

Nothing is printed: messages go to a `Prompter`. How it is done is up to the kind of an entry.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from missy.auth.ways import LoginStatus, SignIn
from missy.config.schema import Entry
from missy.errors import UsageError
from missy.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.audit import Audit
    from missy.auth.prompter import Prompter
    from missy.auth.ways import LoginWay
    from missy.config.schema import Config
    from missy.net.door import Door

__all__ = ["LoginStatus", "SignIn"]


def login_entries(config: Config) -> list[Entry]:
    """Return every entry that has a login, or those that need no configuration."""
    found = [entry for entry in config.providers.values() if entry.spec.has_login]
    specs = [spec for spec in config.kinds.values() if spec.has_login and not spec.login_by_name]
    return found or [Entry(spec.name, spec, timeout=spec.timeout) for spec in specs]


def find_entry(config: Config, name: str | None) -> Entry:
    """Return the named entry that has a login, or the only enabled one. Raises UsageError.

    The name of a kind that has a login needs no entry.
    """
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
    spec = config.kinds.get(name)
    if name not in config.providers and spec is not None and spec.has_login:
        return Entry(spec.name, spec, timeout=spec.timeout)
    kind = config.entry(name).kind  # raises for a name that no entry has
    names = " and ".join(spec.name for spec in config.kinds.values() if spec.has_login)
    raise UsageError(
        f"entry '{name}' is of kind {kind}, which has no login", hint=f"missy auth is for {names}"
    )


def find_accounts(config: Config) -> Entry:
    """Return an entry whose kind stores several accounts, which all its entries share."""
    entries = [entry for entry in config.providers.values() if entry.spec.has_login]
    specs = [spec for spec in config.kinds.values() if spec.has_login]
    entries += [Entry(spec.name, spec, timeout=spec.timeout) for spec in specs]
    return next(entry for entry in entries if way_of(entry).several)


def way_of(entry: Entry) -> LoginWay:
    """Return the way to log in to an entry."""
    way = kind_of(entry).login()
    assert way is not None, "only entries with a login come here"
    return way


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
    asked: SignIn = SignIn(),  # noqa: B008 it is frozen
) -> LoginStatus:
    """Sign in as `asked` and store the login.

    Raises UsageError for what this kind of login does not know, CredentialError where the person or the issuer refuses
    (the login before is kept), PolicyError where the issuer may not be reached, ProviderError and ConnectionFailed
    where it fails.
    """
    from missy.auth.inbox import SignInInbox

    if not entry.enabled:
        config.entry(entry.entry)  # says so, as every other call does
    way = way_of(entry)
    _refuse_foreign(entry, way, asked)
    with closing(open_door(config, audit, entry)) as door, SignInInbox(prompter) as inbox:
        way.sign_in(entry, door, asked, prompter, inbox)
    return status(entry)


def _refuse_foreign(entry: Entry, way: LoginWay, asked: SignIn) -> None:
    if asked.method not in way.methods:
        raise UsageError(
            f"kind {entry.kind} has no --{asked.method}", hint=f"missy auth login {entry.entry} --paste"
        )
    given = {"--account": asked.account, "--new": asked.new, "--enable-plan": asked.enable_plan}
    wrong = ", ".join(name for name, value in given.items() if value)
    if wrong and not way.several:
        raise UsageError(f"kind {entry.kind} takes no {wrong}", hint=f"missy auth login {entry.entry}")
    if asked.replace and way.several:
        raise UsageError(
            f"kind {entry.kind} takes no --yes: accounts are kept side by side",
            hint=f"to add one: missy auth login {entry.entry} --new",
        )


def log_out(
    config: Config,
    audit: Audit,
    entry: Entry,
    *,
    account: str | None = None,
    notice: Callable[[str], None] = lambda _: None,
) -> bool:
    """Revoke the login at the issuer, then delete its tokens from this machine. Returns whether there was one.

    A login that cannot be revoked is deleted all the same, and `notice` is told.
    """
    doors: list[Door] = []

    def door() -> Door:
        doors.append(open_door(config, audit, entry))
        return doors[-1]

    try:
        return way_of(entry).sign_out(entry, door, account, notice)
    finally:
        for one in doors:
            one.close()


def status(entry: Entry) -> LoginStatus:
    """Look at the login of an entry. No network; what is broken is in `state` and `why`."""
    return way_of(entry).status(entry)


def ask_limits(
    config: Config, audit: Audit, entry: Entry, *, notice: Callable[[str], None] = lambda _: None
) -> dict[str, Any] | None:
    """Ask how much of the plan is used, renewing the login if it is due. None: nobody tells. Raises MissyError."""
    with closing(open_door(config, audit, entry)) as door:
        return way_of(entry).refresh(entry, door, notice)
