"""The page as HTML: what was asked, refused and spent, in plots with tables beside them. Pure; works without script."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.cost.money import format_usd
from missy.serve.keys import MICRO
from missy.serve.plots import Bar, columns, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.serve.keys import Key

DAYS = 30
_MOST_ROWS = 20  # in a plot; the tables have all


class State(NamedTuple):
    """What the page shows. `usage` has the rows by day, key and model; `spent` is what counts towards each budget."""

    days: list[dict[str, Any]]
    keys: list[dict[str, Any]]
    models: list[dict[str, Any]]
    known: list[tuple[Key, int]]
    in_flight: int
    unsettled: int
    is_up: bool
    allows: bool


def sign_in(message: str = "") -> str:
    """Return the page that asks for an admin key."""
    told = f'<p class="bad" role="alert">{escape(message)}</p>' if message else ""
    return _document(
        "Sign in",
        f"""<h1>Missy: sign in</h1>{told}
<form method="post" action="/login">
<input type="text" name="username" value="admin" autocomplete="username" hidden>
<p><label for="key">Admin key</label><br>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus></p>
<p><button>Sign in</button></p>
</form>
<p>Create one with <code>missy keys create NAME --admin</code></p>""",
    )


def unavailable() -> str:
    """Return the page while the store cannot be read."""
    return _document(
        "Not available",
        '<h1>Missy</h1><p class="bad" role="alert">The store of keys and budgets cannot be reached. '
        'Reload the page when it is back.</p><p><a href="/">Reload</a></p>',
    )


def overview(state: State) -> str:
    """Return the page of an admin."""
    days = state.days
    parts = [
        '<header><h1>Missy: the gateway</h1><form method="post" action="/logout"><button>Sign out</button></form></header>',
        _notices(state),
        _tiles(state),
        f"<h2>The last {DAYS} days</h2>",
        _figure("Requests by day", "answered", [_requests(row) for row in days], days, "Day", over_time=True),
        _figure("Cost by day", "", [_cost(row) for row in days], [], "Day", over_time=True),
        _figure(
            "Mean time of a request by day", "", [_latency(row) for row in days], [], "Day", over_time=True
        ),
        "<h2>By key</h2>",
        _figure("Requests by key", "answered", _first(state.keys, _requests), state.keys, "Key"),
        _figure("Cost by key", "", _first(state.keys, _cost), [], "Key"),
        "<h2>By model</h2>",
        _figure("Requests by model", "answered", _first(state.models, _requests), state.models, "Model"),
        _figure("Cost by model", "", _first(state.models, _cost), [], "Model"),
        "<h2>Keys</h2>",
        _keys(state.known),
    ]
    return _document("Gateway", "".join(parts))


def _notices(state: State) -> str:
    told = []
    if not state.is_up:
        told.append("The store cannot be reached.")
    if state.allows:
        told.append("on_store_failure is allow: while the store is down, requests pass without limits.")
    if state.unsettled:
        told.append(f"{state.unsettled} requests are not recorded yet.")
    return "".join(f'<p class="bad" role="status">{escape(text)}</p>' for text in told)


def _tiles(state: State) -> str:
    def total(name: str) -> int:
        return sum(row[name] for row in state.days)

    cost = format_usd(
        total("cost_micro") / MICRO, estimated=bool(total("estimated")), at_least=bool(total("unpriced"))
    )
    tiles = (
        ("Requests", f"{total('requests'):,}"),
        ("Refused", f"{total('refused'):,}"),
        ("Cut or left", f"{total('incomplete'):,}"),
        ("Tokens", f"{total('input_tokens') + total('output_tokens'):,}"),
        ("Cost", cost),
        ("Now", f"{state.in_flight:,}"),
    )
    return (
        "<dl>"
        + "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles)
        + "</dl>"
    )


def _first(found: list[dict[str, Any]], make: Any) -> list[Bar]:
    bars = sorted((make(row) for row in found), key=lambda bar: -sum(bar.parts))
    return bars[:_MOST_ROWS]


def _requests(row: dict[str, Any]) -> Bar:
    text = f"{row['requests']:,}" + (f" and {row['refused']:,} refused" if row["refused"] else "")
    return Bar(row["key"] or "(none)", (row["requests"], row["refused"]), text)


def _cost(row: dict[str, Any]) -> Bar:
    return Bar(row["key"] or "(none)", (row["cost_micro"] / MICRO,), format_usd(row["cost_micro"] / MICRO))


def _latency(row: dict[str, Any]) -> Bar:
    mean = row["latency_ms"] / row["requests"] if row["requests"] else 0.0
    return Bar(row["key"], (mean,), f"{mean:,.0f} ms")


def _figure(
    title: str,
    legend: str,
    bars: list[Bar],
    found: list[dict[str, Any]],
    head: str,
    *,
    over_time: bool = False,
) -> str:
    drawn = columns(title, bars) if over_time else rows(title, bars)
    key = ""
    if legend and any(len(bar.parts) > 1 and bar.parts[1] for bar in bars):
        key = f' <span class="key part0">{legend}</span> <span class="key part1">refused</span>'
    return (
        f"<figure><figcaption>{escape(title)}{key}</figcaption>{drawn}</figure>{_table(title, head, found)}"
    )


def _table(title: str, head: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    names = ("Requests", "Refused", "Failed", "Cut", "Input", "Output", "Cost", "Mean ms")
    body = []
    for row in found:
        cost = format_usd(
            row["cost_micro"] / MICRO, estimated=bool(row["estimated"]), at_least=bool(row["unpriced"])
        )
        mean = row["latency_ms"] / row["requests"] if row["requests"] else 0
        columns_ = ("requests", "refused", "failed", "incomplete", "input_tokens", "output_tokens")
        body.append([row["key"] or "(none)", *(f"{row[name]:,}" for name in columns_), cost, f"{mean:,.0f}"])
    return _html_table(title, (head, *names), body)


def _keys(known: list[tuple[Key, int]]) -> str:
    now = time.time()
    body = []
    for key, spent in known:
        shown = key.as_json(now)
        budget = "-" if key.budget_micro is None else f"{format_usd(key.budget_micro / MICRO)}/{key.period}"
        body.append(
            [
                key.name + (" (admin)" if key.is_admin else ""),
                shown["state"],
                budget,
                "-" if key.budget_micro is None else format_usd(spent / MICRO),
                str(key.rpm or "-"),
                str(key.tpm or "-"),
                (shown["expires"] or "-")[:10],
            ]
        )
    return _html_table("Keys", ("Name", "State", "Budget", "Spent", "RPM", "TPM", "Expires"), body)


def _html_table(title: str, head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in body
    )
    return (
        f'<div class="table" role="region" aria-label="{escape(title)}: table" tabindex="0">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} - Missy</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/style.css"></head>'
        f"<body><main>{body}</main></body></html>"
    )
