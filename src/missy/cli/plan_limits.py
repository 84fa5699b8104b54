"""The limits of plans as text: how much of each window is used, and when it resets."""

from __future__ import annotations

import time
from typing import Any

from missy.cli.app import emit
from missy.plural import counted


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
