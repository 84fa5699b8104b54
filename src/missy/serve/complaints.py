"""Errors that endpoints put into an answer, in any of the places where they do. Pure."""

from __future__ import annotations

from typing import Any

from missy.net.error_body import complains


def complaint_of(name: str, value: dict[str, Any]) -> Any:
    """Return the error that an event, or a whole answer, holds; None without one. `name` is the event's."""
    if name == "error" or value.get("error"):
        return value
    choices = value.get("choices")
    if not choices:
        told = not value.get("usage") or value.get("object") == "error" or value.get("message")
        return value if told and complains(value) else None
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        for holder in (choice, choice.get("delta"), choice.get("message")):
            if isinstance(holder, dict) and holder.get("error"):
                return holder
    for key, field in value.items():
        if isinstance(field, dict) and key != "usage" and field.get("error"):
            return field
    return None
