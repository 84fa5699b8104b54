"""The status line below the input: who is asked, how much was said, what it cost, and what is left of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.cli.output.sanitize import sanitize
from missy.errors import MissyError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.cli.talk.state import Talk
    from missy.sessions.listing import Totals


def status_line(talk: Talk) -> str:
    """Return the status line, for example `openai · gpt-4o · 3 turns · 4.1k in 1.2k out · $0.0123`."""
    parts = ["temp"] if talk.temporary else []
    parts += [talk.entry, *([talk.model] if talk.model else [])]
    if talk.has_session:
        totals = talk.session.totals()
        parts += [counted(totals.turns, "turn"), tokens(totals), cost(totals)]
    if talk.attachments:
        parts.append(f"{len(talk.attachments)} attached")
    parts += windows(talk)
    return sanitize(" · ".join(part for part in parts if part), newlines=False)


def tokens(totals: Totals) -> str:
    """Return the tokens of a session in words; "" if none are known."""
    if totals.in_tok is None and totals.out_tok is None:
        return ""
    return f"{_short(totals.in_tok)} in {_short(totals.out_tok)} out"


def cost(totals: Totals) -> str:
    """Return what a session cost: `$?` if it is not known, `+` after a lower bound, `~` before an estimate."""
    from missy.cost.money import format_usd
    from missy.sessions.listing import dollars

    amount = dollars(totals.cost_micro)
    return format_usd(amount, estimated=totals.cost_estimated, at_least=not totals.cost_complete)


def _short(number: int | None) -> str:
    if number is None:
        return "?"
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def windows(talk: Talk) -> list[str]:
    """Return how much of a plan's windows is used, from the last answer; nothing for an entry without a login."""
    entry = talk.config.providers.get(talk.entry)
    if entry is None or entry.issuer_url is None:
        return []
    try:
        limits = talk.missy.login_status(talk.entry).limits or {}
    except MissyError:
        return []
    return [text for name in ("primary", "secondary") if (text := _window(limits.get(name)))]


def _window(window: Any) -> str:
    if not isinstance(window, dict) or window.get("used_percent") is None:
        return ""
    minutes = window.get("window_minutes") or 0
    for size, name in ((1440, "d"), (60, "h"), (1, "min")):
        if minutes >= size and minutes % size == 0:
            return f"{minutes // size} {name} window {window['used_percent']:.0f} %"
    return f"window {window['used_percent']:.0f} %"
