"""`missy keys`: the keys with which other programs use `missy serve`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, emit, emit_json, notice
from missy.cli.param_types import seconds_of_age
from missy.cli.served import with_ledger
from missy.cost.money import format_usd
from missy.errors import UsageError
from missy.serve import limits
from missy.serve.keys import MICRO, Key, check_name, hash_of, make_key, parse_budget

if TYPE_CHECKING:
    from missy.serve.ledger import Ledger

_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_MAX_A_MINUTE = 1_000_000_000


@click.group("keys")
def command() -> None:
    """The keys with which other programs use `missy serve`.

    The key of an endpoint is set with missy setup, or kept with missy vault set NAME.

    \b
    Example:
      missy keys create editor --budget 20/month
      missy keys list
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--models", metavar="A,B", help="Only these models: names as callers write them, or entry/model."
)
@click.option("--entries", metavar="A,B", help="Only these entries.")
@click.option(
    "--budget", metavar="USD[/PERIOD]", help="50, 50/day or 50/month: US dollars, in days and months of UTC."
)
@click.option("--rpm", type=click.IntRange(1, _MAX_A_MINUTE), metavar="N", help="Requests a minute.")
@click.option(
    "--tpm", type=click.IntRange(1, _MAX_A_MINUTE), metavar="N", help="Tokens a minute, input and output."
)
@click.option("--expires", metavar="AGE", help="12h, 90d or 4w from now.")
@click.option("--admin", is_flag=True, help="It may also see the page and the metrics.")
@_JSON
@click.pass_obj
def create(
    app: App,
    name: str,
    models: str | None,
    entries: str | None,
    budget: str | None,
    rpm: int | None,
    tpm: int | None,
    expires: str | None,
    admin: bool,
    as_json: bool,
) -> None:
    """Create a key and print it. It is shown this once: only its hash is stored.

    \b
    Example:
      missy keys create editor --budget 20/month --rpm 60
      missy keys create ci --models fast --expires 90d
    """
    secret = make_key()
    amount, period = (None, None) if budget is None else parse_budget(budget)
    now = int(time.time())
    key = Key(
        check_name(name),
        hash_of(secret),
        now,
        expires=None if expires is None else now + seconds_of_age(expires),
        is_admin=admin,
        models=_names(models, "--models"),
        entries=_known(app, _names(entries, "--entries")),
        budget_micro=amount,
        period=period,
        rpm=rpm,
        tpm=tpm,
    )
    with_ledger(app, lambda ledger: ledger.add(key))
    _show_once(key, secret, as_json=as_json)


@command.command("list")
@_JSON
@click.pass_obj
def list_keys(app: App, as_json: bool) -> None:
    """List the keys, what each may do, and what it has spent of its budget.

    \b
    Example:
      missy keys list
    """
    rows = with_ledger(app, _all)
    if as_json:
        emit_json([_as_json(*row) for row in rows])
        return
    if not rows:
        notice("there is no key yet: missy keys create NAME")
        return
    from missy.cli.output.table import show_table

    show_table(
        ("NAME", "STATE", "MODELS", "ENTRIES", "BUDGET", "SPENT", "RPM", "TPM", "EXPIRES"),
        [_cells(*row) for row in rows],
    )


@command.command("show")
@click.argument("name")
@_JSON
@click.pass_obj
def show(app: App, name: str, as_json: bool) -> None:
    """Show what a key may do. The key itself is not stored.

    \b
    Example:
      missy keys show editor
    """

    async def look(ledger: Ledger) -> tuple[Key, int]:
        key = await ledger.key(name)
        return key, await _spent(ledger, key)

    found = _as_json(*with_ledger(app, look))
    if as_json:
        emit_json(found)
        return
    for label, value in found.items():
        emit(f"{label}: {', '.join(value) if isinstance(value, list) else '-' if value is None else value}")


@command.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke(app: App, name: str) -> None:
    """Revoke a key: from now on its requests are refused. Its usage stays on record.

    \b
    Example:
      missy keys revoke editor
    """
    with_ledger(app, lambda ledger: ledger.revoke(name))
    notice(f"the key {name} is revoked")


@command.command("rotate")
@click.argument("name")
@_JSON
@click.pass_obj
def rotate(app: App, name: str, as_json: bool) -> None:
    """Replace a key by a new one of the same name, limits and usage. The old one is refused from now on.

    \b
    Example:
      missy keys rotate editor
    """
    secret = make_key()

    async def change(ledger: Ledger) -> Key:
        await ledger.rotate(name, hash_of(secret))
        return await ledger.key(name)

    _show_once(replace(with_ledger(app, change), hash=""), secret, as_json=as_json)


def _show_once(key: Key, secret: str, *, as_json: bool) -> None:
    """Print a new key: the one place where it is not masked."""
    if as_json:
        emit_json({"key": secret, **key.as_json(time.time())}, masked=False)
        return
    emit(secret, masked=False)
    notice(f"this is the key {key.name}. It is shown this once: only its hash is stored")


async def _all(ledger: Ledger) -> list[tuple[Key, int]]:
    return [(key, await _spent(ledger, key)) for key in await ledger.keys()]


async def _spent(ledger: Ledger, key: Key) -> int:
    """Return what counts towards the budget of a key in its window now, reservations included."""
    if key.budget_micro is None:
        return 0
    return await ledger.taken(key.name, f"{limits.COST}:{limits.window(key.period, time.time())}")


def _as_json(key: Key, spent: int) -> dict[str, Any]:
    return {**key.as_json(time.time()), "spent_usd": None if key.budget_micro is None else spent / MICRO}


def _cells(key: Key, spent: int) -> list[object]:
    budget = None if key.budget_micro is None else f"{format_usd(key.budget_micro / MICRO)}/{key.period}"
    shown = key.as_json(time.time())
    return [
        key.name,
        f"{shown['state']}{', admin' if key.is_admin else ''}",
        ", ".join(key.models) or "all",
        ", ".join(key.entries) or "all",
        budget,
        None if budget is None else format_usd(spent / MICRO),
        key.rpm,
        key.tpm,
        shown["expires"],
    ]


def _names(text: str | None, option: str) -> tuple[str, ...]:
    if text is None:
        return ()
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise UsageError(f"{option} names nothing", hint=f"{option} a,b")
    return found


def _known(app: App, entries: tuple[str, ...]) -> tuple[str, ...]:
    served = app.config().serve.entries
    for name in entries:
        if name not in served:
            raise UsageError(
                f"{name!r} is not in serve.entries", hint=f"served are: {', '.join(served) or 'none yet'}"
            )
    return entries
