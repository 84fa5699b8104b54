"""`missy auth`: the ChatGPT logins. Only `login`, `logout` and `status --refresh` use the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missy import login as logins
from missy.cli.app import App, emit, emit_json, notice
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from missy.auth.ways import LoginStatus, Method, SignIn
    from missy.config.schema import Config, Entry

_TOKEN_STATES = {
    "valid": "valid",
    "near_expiry": "renewed with its next use",
    "expired": "expired, renewed with its next use",
}


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
@click.option(
    "--paste", is_flag=True, help="Open no port; paste the address that the browser shows at the end."
)
@click.option("--no-open", is_flag=True, help="Open no browser; only print the address.")
@click.option("--yes", is_flag=True, help="Replace another account's login without asking.")
@click.pass_obj
def login(app: App, entry: str | None, device: bool, paste: bool, no_open: bool, yes: bool) -> None:
    """Sign in with ChatGPT. The old login stays until the new one is on disk.

    The address to open is printed on its own line of stdout.

    \b
    Example:
      missy auth login
      missy auth login --device
      missy auth login --no-open --paste
    """
    if device and paste:
        raise UsageError("--device and --paste exclude each other", hint="leave one of them out")
    config = app.config()
    chosen = logins.find_entry(config, entry)
    app.warn(chosen.entry)
    method: Method = "device" if device else "paste" if paste else "browser"
    sign_in(app, chosen, logins.SignIn(method, yes), open_browser=not no_open)
    _add_entry(config, chosen)


def sign_in(app: App, entry: Entry, asked: SignIn, *, open_browser: bool = True) -> None:
    """Sign in on this terminal, and print the account. Raises what `missy.login.log_in` raises."""
    from missy.cli.login.prompter import TerminalPrompter

    prompter = TerminalPrompter(open_browser=open_browser)
    found = logins.log_in(app.config(), app.audit(), entry, prompter, asked)
    emit(f"logged in as {_describe(found)}")


def _add_entry(config: Config, chosen: Entry) -> None:
    """Add an entry for the login to the configuration, if there is none, so that `missy ask` can use it."""
    if chosen.entry in config.providers:
        return
    from missy.config.edit import add_entry

    try:
        add_entry(config.path, chosen.entry, {"name": chosen.kind}, config.kinds)
    except MissyError as error:
        notice(
            f"{config.path} was left as it is ({error.message}); add an entry of kind {chosen.kind} by hand"
        )
        return
    notice(f"{config.path} now has an entry {chosen.entry}: missy ask --provider {chosen.entry} ...")


@command.command()
@click.argument("entry", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Ask the servers: renew the login if it is due, and show the usage limits.",
)
@click.pass_obj
def status(app: App, entry: str | None, as_json: bool, refresh: bool) -> None:
    """Show who is logged in, until when, and whether the login file is valid. Without --refresh nothing is sent.

    \b
    Example:
      missy auth status
      missy auth status --refresh --json
    """
    config = app.config()
    entries = [logins.find_entry(config, entry)] if entry else logins.login_entries(config)
    failure: MissyError | None = None
    rows = []
    for one in entries:
        limits = None
        if refresh:
            try:
                limits = logins.ask_limits(config, app.audit(), one, notice=notice)
            except MissyError as error:
                failure = error
        found = logins.status(one)
        if found.why:
            notice(found.why)
        rows.append(found if limits is None else found._replace(limits=limits))
    if as_json:
        emit_json([_as_json(row) for row in rows])
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
    chosen = logins.find_entry(app.config(), entry)
    was_there = logins.log_out(app.config(), app.audit(), chosen, notice=notice)
    emit("logged out" if was_there else "not logged in")


def _describe(row: LoginStatus) -> str:
    from missy.auth.subscription import describe

    return describe(row.email, row.plan, row.account_id)


def _as_json(row: LoginStatus) -> dict[str, Any]:
    fields = row._asdict()
    del fields["why"]
    for name in ("accounts", "plan_enabled"):  # of a login that knows no such thing
        if fields[name] is None:
            del fields[name]
    return fields


def _print_status(row: LoginStatus) -> None:
    from missy.cli.plan_limits import print_limits

    if row.state == "broken":
        emit(f"{row.entry}: the login file is broken; log in again: missy auth login {row.entry}")
    elif not row.logged_in:
        emit(f"{row.entry}: not logged in; log in: missy auth login {row.entry}")
    else:
        until = f" until {row.expires_at}" if row.expires_at and row.state == "valid" else ""
        account = _describe(row)
        emit(f"{row.entry}: logged in as {account}; token {_TOKEN_STATES[row.state]}{until}")
    if row.limits is not None:
        print_limits(row.limits)
