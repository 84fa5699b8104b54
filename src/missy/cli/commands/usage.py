"""`missy usage`: what calls took and cost, from the record, and how much of a plan is used, from its backend."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from missy import login as logins
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.output.table import show_table
from missy.cli.param_types import seconds_of_age
from missy.cost.money import format_usd
from missy.errors import MissyError
from missy.kinds import kind_of
from missy.sessions.totals import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.schema import Config, Entry
    from missy.sessions.totals import Total

_DAY = 86_400  # seconds
_WIDEST_KEY = 40


@click.command()
@click.option("--since", metavar="AGE", default="30d", show_default=True, help="12h, 30d, 4w.")
@click.option("--by", type=click.Choice(KEYS), default="day", show_default=True, help="What to sum by.")
@click.option("--provider", metavar="ENTRY", help="Only this entry: its calls, and its plan.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def command(app: App, since: str, by: str, provider: str | None, as_json: bool) -> None:
    """Show what calls took and cost, and the limits of plans: how much is used, and when each window resets.

    The calls are those on record here, in a session or not. Plans are asked for their limits; without one nothing is sent.

    \b
    Example:
      missy usage
      missy usage --since 7d --by model
      missy usage --provider openai-codex --json
    """
    start = _start(seconds_of_age(since))
    entries = list(_with_plan(app.config(), provider))
    rows = _rows(int(start * 1000), by, provider)
    if not as_json:
        _show(rows, by, since)
    plans, fault = _ask_plans(app, entries, as_json=as_json)
    if as_json:
        _print_json(rows, plans, start)
    if fault is not None:
        raise fault


def _start(age: int) -> float:
    """Return where the time begins, in Unix seconds: whole days begin at midnight."""
    from missy.spending.ledger import day_start

    begin = time.time() - age
    return begin if age % _DAY else day_start(begin)


def _with_plan(config: Config, provider: str | None) -> Iterator[Entry]:
    """Yield the entries whose plan is asked for its limits. Raises UsageError for an unknown name."""
    if provider is not None:
        known = config.kinds.get(provider)
        entry = config.providers.get(provider)
        if known is not None and known.has_login if entry is None else entry.spec.has_login:
            yield logins.find_entry(config, provider)
        elif entry is None:
            config.entry(provider)  # raises for a name that no entry has
        return
    for entry in logins.login_entries(config):
        # What is not configured is asked only if somebody is logged in.
        if entry.enabled and (entry.entry in config.providers or kind_of(entry).can_ask(entry, os.environ)):
            yield entry


def _rows(since_ms: int, by: str, provider: str | None) -> list[Total]:
    from missy.sessions.store import Store
    from missy.sessions.totals import totals

    with Store.open(make=False) as store:
        return totals(store, since_ms, by, entry=provider)


def _ask_plans(
    app: App, entries: list[Entry], *, as_json: bool
) -> tuple[list[dict[str, Any]], MissyError | None]:
    """Ask each plan for its limits, and print them unless JSON is wanted. Returns them, and the first error."""
    from missy.cli.plan_limits import print_limits

    plans: list[dict[str, Any]] = []
    fault: MissyError | None = None
    for entry in entries:
        app.warn(entry.entry, asks=True)
        page, limits = kind_of(entry).usage_page, None
        try:
            limits = None if page else logins.ask_limits(app.config(), app.audit(), entry, notice=notice)
        except MissyError as error:
            fault = fault or error
            continue
        plans.append({"entry": entry.entry, "limits": limits, **({"page": page} if page else {})})
        if as_json:
            continue
        if limits is None:
            emit(
                f"{entry.entry}: apps are told no figures; a browser shows how much of the plan is used: {page}"
            )
        else:
            emit(f"{entry.entry}: plan {limits['plan'] or 'unknown'}")
            print_limits(limits)
    return plans, fault


def _print_json(rows: list[Total], plans: list[dict[str, Any]], start: float) -> None:
    from missy.sessions.records import moment

    whole = _sum(rows)
    emit_json(
        {
            "since": moment(int(start * 1000)),
            "rows": [row.as_dict() for row in rows],
            "cost_usd": whole.as_dict()["cost_usd"],
            "cost_complete": not whole.unpriced_calls,
            "limits": plans,
        }
    )


def _show(rows: list[Total], by: str, since: str) -> None:
    """Print the table: with bars on a terminal, in a pipe without."""
    if not rows:
        notice(f"no call is on record since {since} ago")
        return
    shown = [*rows, *([_sum(rows)] if len(rows) > 1 else [])]
    head = [by.upper(), "CALLS", "IN", "OUT", "CACHED", "COST"]
    cells = [_cells(row, by) for row in shown]
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from missy.cli.output.bars import bars, width_beside

        table: list[list[object]] = [[*head], *cells]
        taken = sum(max(len(str(row[n])) for row in table) + 2 for n in range(len(head)))
        if width := width_beside(taken):
            is_priced = any(row.cost_micro for row in rows)
            numbers = [(row.cost_micro if is_priced else _tokens(row)) or 0 for row in rows]
            head.append("OF THE COST" if is_priced else "OF THE TOKENS")
            drawn = [*bars(numbers, width), ""]
            cells = [[*row, bar] for row, bar in zip(cells, drawn[: len(cells)], strict=True)]
    show_table(head, cells)


def _cells(row: Total, by: str) -> list[object]:
    key = row.name or row.key or f"(no {by})"
    cost = row.as_dict()["cost_usd"]
    return [
        key if len(key) <= _WIDEST_KEY else key[: _WIDEST_KEY - 1] + "…",
        row.calls,
        *("?" if count is None else f"{count:,}" for count in (row.in_tok, row.out_tok, row.cached_tok)),
        format_usd(cost, estimated=row.estimated, at_least=bool(row.unpriced_calls)),
    ]


def _tokens(row: Total) -> int:
    return (row.in_tok or 0) + (row.out_tok or 0)


def _sum(rows: list[Total]) -> Total:
    from missy.sessions.totals import Total

    def known(numbers: list[int | None]) -> int | None:
        given = [number for number in numbers if number is not None]
        return sum(given) if given else None

    return Total(
        "total",
        None,
        sum(row.calls for row in rows),
        known([row.in_tok for row in rows]),
        known([row.out_tok for row in rows]),
        known([row.cached_tok for row in rows]),
        known([row.cost_micro for row in rows]),
        sum(row.unpriced_calls for row in rows),
        any(row.estimated for row in rows),
    )
