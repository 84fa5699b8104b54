"""`missy auth`: the logins. Only `login`, `logout` and `status --refresh` use the network."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from missy import files, folders, paths
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.login.entry import admit_issuer, ask_limits, codex_entries, door_for, find_entry, login_file
from missy.errors import CredentialError, MissyError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from missy.auth.login import Login
    from missy.auth.oauth import Issuer, Tokens
    from missy.config.schema import Entry


@click.group()
def command() -> None:
    """The logins of openai-codex: a ChatGPT subscription in place of an API key.

    \b
    Example:
      missy auth login
      missy auth status
      missy auth logout
    """


@command.command()
@click.argument("entry", required=False)
@click.option("--device", is_flag=True, help="Show a code to enter on another device.")
@click.option("--paste", is_flag=True, help="Listen on no port: the address the browser ends at is pasted.")
@click.option("--no-open", is_flag=True, help="Open no browser; only print the address.")
@click.option("--yes", is_flag=True, help="Replace another account's login without asking.")
@click.pass_obj
def login(app: App, entry: str | None, device: bool, paste: bool, no_open: bool, yes: bool) -> None:
    """Sign in with ChatGPT. The login before it stays until the new one is on disk.

    The address to open is printed alone on one line of stdout.

    \b
    Example:
      missy auth login
      missy auth login --device
      missy auth login --no-open --paste
    """
    if device and paste:
        raise UsageError("--device and --paste exclude each other", hint="leave one of them out")
    from missy.auth.login import new_login
    from missy.auth.oauth import Issuer
    from missy.cli.login.flow import Desk, pair_device, sign_in

    chosen, path = find_entry(app, entry), login_file()
    if not chosen.enabled:
        app.config().entry(chosen.entry)  # says so, as every other command does
    folders.ensure_dir(path.parent)  # a home that cannot be written should show itself before the sign-in
    with closing(door_for(app, chosen)) as door, Desk() as desk:
        issuer = Issuer(chosen.issuer, door, chosen.entry)
        admit_issuer(door, issuer.url, chosen.entry)
        tokens = (
            pair_device(issuer) if device else sign_in(issuer, desk, paste=paste, open_browser=not no_open)
        )
        found = new_login(tokens, issuer.url, time.time())
        replaced = _other_account(path, found)
        question = f"this machine is logged in as {_name(replaced)}; replace that with {_name(found)}? [y/N]"
        if replaced is not None and not yes and not desk.agrees(question):
            _give_back(issuer, tokens)
            raise CredentialError(
                f"the login of {_name(replaced)} was kept",
                hint="to replace it, log in again and say yes, or use --yes",
            )
    _save(path, found, replaced)
    emit(f"logged in as {_name(found)}")
    _enter(app, chosen)


def _enter(app: App, chosen: Entry) -> None:
    """Give the login an entry in the configuration, if it has none yet, so that `missy ask` can use it."""
    config = app.config()
    if chosen.entry in config.providers:
        return
    from missy.config.edit import add_entry

    try:
        add_entry(config.path, chosen.entry, {"name": chosen.kind})
    except MissyError as error:
        notice(
            f"{config.path} was left as it is ({error.message}); add an entry of kind {chosen.kind} by hand"
        )
        return
    notice(f"{config.path} has an entry {chosen.entry} now: missy ask --provider {chosen.entry} ...")


@command.command()
@click.argument("entry", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option(
    "--refresh", is_flag=True, help="Ask the servers: renew the login if it is due, and show the limits."
)
@click.pass_obj
def status(app: App, entry: str | None, as_json: bool, refresh: bool) -> None:
    """Who is logged in, until when, and whether the login is whole. Without --refresh nothing is sent.

    \b
    Example:
      missy auth status
      missy auth status --refresh --json
    """
    entries = [find_entry(app, entry)] if entry else codex_entries(app)
    failure: MissyError | None = None
    rows = []
    for one in entries:
        limits = None
        if refresh:
            try:
                limits = ask_limits(app, one)
            except MissyError as error:
                failure = error
        rows.append(_describe(one, limits))
    if as_json:
        emit_json(rows)
    else:
        for row in rows:
            _print_status(row)
    if failure is not None:
        raise failure


@command.command()
@click.argument("entry", required=False)
@click.pass_obj
def logout(app: App, entry: str | None) -> None:
    """Revoke the login at the issuer, then delete it from this machine.

    \b
    Example:
      missy auth logout
    """
    from missy.auth.login import BrokenLogin, forget, load
    from missy.auth.oauth import Issuer
    from missy.auth.tokens import LOCK_WAIT

    chosen, path = find_entry(app, entry), login_file()
    if not path.exists() and not path.is_symlink():
        emit("not logged in")
        return
    with files.lock(path, timeout=LOCK_WAIT):
        try:
            found = load(path)
        except BrokenLogin as error:
            found = None
            notice(f"{error.message}; it cannot be revoked, only deleted")
        if found is not None:
            with closing(door_for(app, chosen)) as door:
                _revoke(Issuer(chosen.issuer, door, chosen.entry), found)
        forget(path)
    emit("logged out")


def _describe(entry: Entry, limits: dict[str, Any] | None) -> dict[str, Any]:
    from missy.auth.login import describe_state, show_time
    from missy.auth.usage import NOTE_FILE, LimitsNote

    state, found, why = describe_state(login_file(), entry.issuer_url or "", time.time())
    if why:
        notice(why)
    if limits is None and found is not None:
        limits = LimitsNote(paths.home() / NOTE_FILE).read(found.account_id)
    return {
        "entry": entry.entry,
        "logged_in": found is not None,
        "email": found.email if found else None,
        "plan": found.plan if found else None,
        "account_id": found.account_id if found else None,
        "expires_at": show_time(found.expires_at) if found else None,
        "state": state,
        "limits": limits,
    }


def _print_status(row: dict[str, Any]) -> None:
    from missy.cli.commands.usage import print_limits

    if row["state"] == "broken":
        emit(f"{row['entry']}: the login file is broken; log in again: missy auth login {row['entry']}")
    elif not row["logged_in"]:
        emit(f"{row['entry']}: not logged in; log in: missy auth login {row['entry']}")
    else:
        said = {
            "valid": "valid",
            "near_expiry": "renewed with its next use",
            "expired": "ended, renewed with its next use",
        }
        until = f" until {row['expires_at']}" if row["expires_at"] and row["state"] == "valid" else ""
        account = f"{row['email'] or 'unknown e-mail'} (plan {row['plan'] or 'unknown'}, account {row['account_id']})"
        emit(f"{row['entry']}: logged in as {account}; token {said[row['state']]}{until}")
    if row["limits"] is not None:
        print_limits(row["limits"])


def _other_account(path: Path, found: Login) -> Login | None:
    """Return the stored login if it is another account's. One that cannot be read is replaced, and that is said."""
    from missy.auth.login import BrokenLogin, load

    try:
        stored = load(path)
    except BrokenLogin as error:
        notice(f"{error.message}; it is replaced")
        return None
    return stored if stored is not None and stored.account_id != found.account_id else None


def _save(path: Path, found: Login, replaced: Login | None) -> None:
    from missy.auth.login import store
    from missy.auth.tokens import LOCK_WAIT

    with files.lock(path, timeout=LOCK_WAIT):
        other = _other_account(path, found)
        if other is not None and (replaced is None or other.account_id != replaced.account_id):
            raise CredentialError(
                f"another sign-in has stored the login of {_name(other)} meanwhile, and it was kept",
                hint="log in again if that is not the account you want",
            )
        store(path, found)


def _name(login: Login | None) -> str:
    if login is None:
        return ""
    return f"{login.email or 'unknown e-mail'} (plan {login.plan or 'unknown'}, account {login.account_id})"


def _give_back(issuer: Issuer, tokens: Tokens) -> None:
    """Revoke tokens that nobody keeps; if that fails they end by themselves."""
    if tokens.refresh is not None:
        try:
            issuer.revoke(tokens.refresh)
        except MissyError as error:
            notice(f"the new login was not stored, but could not be revoked: {error.message}")


def _revoke(issuer: Issuer, found: Login) -> None:
    if found.issuer != issuer.url:
        notice(f"the login is of {found.issuer}, which this entry does not name: it is deleted, not revoked")
        return
    try:
        issuer.revoke(found.refresh_token)
    except MissyError as error:
        notice(f"the login could not be revoked, and is deleted here all the same: {error.message}")
