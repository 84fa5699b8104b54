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

_MAX_ACCOUNT_BYTES = 1 << 18
_TOKEN_STATES = {
    "valid": "valid",
    "near_expiry": "renewed with its next use",
    "expired": "expired, renewed with its next use",
}
_STATES = {**_TOKEN_STATES, "none": "signed out"}


@click.group()
def command() -> None:
    """The logins: a ChatGPT plan in place of an API key, for entries of kind chatgpt and openai-codex.

    \b
    Example:
      missy auth login chatgpt
      missy auth status
      missy auth logout chatgpt
    """


@command.command()
@click.argument("entry", required=False)
@click.option("--device", is_flag=True, help="Show a code to enter on another device (openai-codex).")
@click.option(
    "--paste", is_flag=True, help="Open no port; paste the address that the browser shows at the end."
)
@click.option("--no-open", is_flag=True, help="Open no browser; only print the address.")
@click.option("--yes", is_flag=True, help="Replace another account's login without asking (openai-codex).")
@click.option("--account", metavar="ACCOUNT", help="Sign in again with this stored account (chatgpt).")
@click.option("--new", is_flag=True, help="Add an account; the one in use stays in use (chatgpt).")
@click.option("--enable-plan", is_flag=True, help="Ask again for the use of the plan (chatgpt).")
@click.pass_obj
def login(
    app: App,
    entry: str | None,
    device: bool,
    paste: bool,
    no_open: bool,
    yes: bool,
    account: str | None,
    new: bool,
    enable_plan: bool,
) -> None:
    """Sign in with ChatGPT. The old login stays until the new one is on disk.

    The address to open is printed on its own line of stdout. Without ENTRY, it is the only entry that has a login.

    \b
    Example:
      missy auth login chatgpt
      missy auth login openai-codex --device
      missy auth login --no-open --paste
    """
    if device and paste:
        raise UsageError("--device and --paste exclude each other", hint="leave one of them out")
    if account is not None and new:
        raise UsageError("--account and --new exclude each other", hint="leave one of them out")
    config = app.config()
    chosen = logins.find_entry(config, entry)
    app.warn(chosen.entry)
    if entry is None and chosen.entry not in config.providers:
        others = [spec.name for spec in config.kinds.values() if spec.has_login and spec.login_by_name]
        named = " or ".join(f"missy auth login {name}" for name in others)
        notice(f"this is the login of {chosen.entry}; OpenAI's documented way for Plus and Pro: {named}")
    method: Method = "device" if device else "paste" if paste else "browser"
    asked = logins.SignIn(method, yes, account, new, enable_plan)
    sign_in(app, chosen, asked, open_browser=not no_open)
    _add_entry(config, chosen)


def sign_in(app: App, entry: Entry, asked: SignIn, *, open_browser: bool = True) -> None:
    """Sign in on this terminal, and print the account. Raises what `missy.login.log_in` raises."""
    from missy.cli.login.prompter import TerminalPrompter

    can_pair = "device" in logins.way_of(entry).methods
    elsewhere = "use --device" if can_pair else "sign in there and use missy auth export and import"
    prompter = TerminalPrompter(open_browser=open_browser, elsewhere=elsewhere)
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
@click.option("--account", metavar="ACCOUNT", help="This stored account, not the one in use (chatgpt).")
@click.pass_obj
def logout(app: App, entry: str | None, account: str | None) -> None:
    """Revoke the login at the issuer, then delete its tokens from this machine.

    \b
    Example:
      missy auth logout
      missy auth logout chatgpt --account ada@example.com
    """
    chosen = logins.find_entry(app.config(), entry)
    if account is not None and not logins.way_of(chosen).several:
        raise UsageError(f"kind {chosen.kind} has one account", hint=f"missy auth logout {chosen.entry}")
    was_there = logins.log_out(app.config(), app.audit(), chosen, account=account, notice=notice)
    emit("logged out" if was_there else "not logged in")


@command.command()
@click.argument("account")
@click.pass_obj
def use(app: App, account: str) -> None:
    """Use another account that is signed in with ChatGPT. Missy never changes it by itself.

    \b
    Example:
      missy auth use ada@example.com
    """
    label = logins.way_of(logins.find_accounts(app.config())).use(account)
    emit(f"the account in use is {label}")


@command.command("export")
@click.argument("entry", required=False)
@click.option("--account", metavar="ACCOUNT", help="This stored account, not the one in use.")
@click.pass_obj
def export_account(app: App, entry: str | None, account: str | None) -> None:
    """Hand an account over to another machine of yours. Prints its tokens into a pipe or a file, never to a terminal.

    The other machine renews the sign-in from then on; this one does not use it any more. To have it on both, sign in on
    both.

    \b
    Example:
      missy auth export | ssh server missy auth import
      missy auth export chatgpt --account ada@example.com > account.json
    """
    import sys

    if sys.stdout.isatty():
        raise UsageError(
            "the account holds tokens, which are not printed to a terminal",
            hint="missy auth export | ssh server missy auth import",
        )

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    label = logins.way_of(_with_accounts(app.config(), entry)).export(account, write)
    notice(f"{label} was handed over: this machine does not use it any more")


@command.command("import")
@click.argument("entry", required=False)
@click.pass_obj
def import_account(app: App, entry: str | None) -> None:
    """Take over an account that another machine exported, from a pipe. This machine keeps its own host id.

    \b
    Example:
      missy auth export | ssh server missy auth import
    """
    import sys

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "an account is read from a pipe", hint="missy auth export | ssh server missy auth import"
        )
    chosen = _with_accounts(app.config(), entry)
    label = logins.way_of(chosen).take(sys.stdin.buffer.read(_MAX_ACCOUNT_BYTES))
    emit(f"{label} is stored here")
    _add_entry(app.config(), chosen)


def _with_accounts(config: Config, name: str | None) -> Entry:
    """Return the named entry, or the one of a kind that stores several accounts."""
    return logins.find_accounts(config) if name is None else logins.find_entry(config, name)


def _describe(row: LoginStatus) -> str:
    """Return the words for an account."""
    if row.accounts is not None:
        label = next((one.label for one in row.accounts if one.active), row.email or "")
        return label if row.plan_enabled else f"{label} (plan use is off)"
    from missy.auth.subscription import describe

    return describe(row.email, row.plan, row.account_id)


def _as_json(row: LoginStatus) -> dict[str, Any]:
    fields = row._asdict()
    del fields["why"]
    if row.accounts is None:  # a login that knows no such thing
        del fields["accounts"], fields["plan_enabled"]
    else:
        fields["accounts"] = [one._asdict() for one in row.accounts]
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
    for one in row.accounts or () if len(row.accounts or ()) > 1 else ():
        emit(f"  {'*' if one.active else ' '} {one.label}: {_STATES.get(one.state, one.state)}")
    if row.limits is not None:
        print_limits(row.limits)
