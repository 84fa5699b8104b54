"""`missy usage`: how much of a plan is used now, as the backend reports it."""

from __future__ import annotations

import time
from typing import Any

import click

from missy import login as logins
from missy.cli.app import App, emit, emit_json, notice
from missy.kinds import kind_of
from missy.plural import counted


@click.command()
@click.option("--provider", metavar="ENTRY", help="The entry; default: the only one of kind openai-codex.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def command(app: App, provider: str | None, as_json: bool) -> None:
    """Show the usage limits of a ChatGPT subscription: how much is used, and when each window resets.

    \b
    Example:
      missy usage
      missy usage --provider openai-codex --json
    """
    entry = logins.find_entry(app.config(), provider)
    app.warn(entry.entry, asks=True)
    page = kind_of(entry).usage_page
    limits = None if page else logins.ask_limits(app.config(), app.audit(), entry, notice=notice)
    if as_json:
        emit_json([{"entry": entry.entry, "limits": limits, **({"page": page} if page else {})}])
        return
    if limits is None:
        emit(f"{entry.entry}: apps are told no figures; a browser shows how much of the plan is used: {page}")
        return
    emit(f"{entry.entry}: plan {limits['plan'] or 'unknown'}")
    print_limits(limits)


def print_limits(limits: dict[str, Any]) -> None:
    """Print the windows and the credits, one line each."""
    if limits["limit_reached"]:
        emit("  the limit is reached")
    for name in ("primary", "secondary"):
        window = limits[name]
        emit(f"  {name}: {_describe(window)}" if window else f"  {name}: no data")
    credits_ = limits["credits"]
    if credits_ is not None and (credits_["has_credits"] or credits_["unlimited"]):
        emit(f"  credits: {'unlimited' if credits_['unlimited'] else credits_['balance']}")


def _describe(window: dict[str, Any]) -> str:
    used = window["used_percent"]
    text = "unknown use" if used is None else f"{used:g} % used"
    if window["window_minutes"]:
        text += f" of {_format_minutes(window['window_minutes'])}"
    return (
        text if window["resets_at"] is None else f"{text}, resets {_format_local_time(window['resets_at'])}"
    )


def _format_minutes(minutes: int) -> str:
    for size, name in ((1440, "day"), (60, "hour")):
        if minutes >= size and minutes % size == 0:
            return counted(minutes // size, name)
    return counted(minutes, "minute")


def _format_local_time(moment: int) -> str:
    """Format a Unix time in the local time zone."""
    try:
        return time.strftime("%a %d %b %Y %H:%M", time.localtime(moment))
    except (ValueError, OverflowError, OSError):
        return f"at {moment}"
