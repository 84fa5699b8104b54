"""The usage limits of a subscription, from the backend's usage page or the headers of an answer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from missy import files
from missy.auth.refusals import AGAIN, blocked, is_page, read_error, region_refused, request_id
from missy.errors import BadReply, CredentialError, LimitError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from missy.auth.login import Access
    from missy.auth.tokens import Logins
    from missy.net.door import Door, Reply

BACKEND = "https://chatgpt.com/backend-api/codex"
_TIMEOUT = 30.0
NOTE_FILE = "usage.json"  # under MISSY_HOME


def account_headers(access: Access) -> dict[str, str]:
    """Return the headers that identify the account to the backend, in addition to the bearer token."""
    from missy.auth.oauth import ORIGINATOR

    headers = {"chatgpt-account-id": access.account_id, "originator": ORIGINATOR}
    return {**headers, "x-openai-fedramp": "true"} if access.fedramp else headers


def usage_url(base_url: str | None) -> str:
    """Return the URL of the usage page, relative to the endpoint: `{base_url}/../wham/usage`."""
    parts = urlsplit(base_url or BACKEND)
    parent = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit((parts.scheme, parts.netloc, f"{parent}/wham/usage", "", ""))


def fetch_limits(door: Door, logins: Logins, base_url: str | None) -> dict[str, Any]:
    """Ask how much of the subscription is used up. On a 401: at most one renewal and one retry.

    Raises CredentialError (4), ProviderError (5), LimitError (7), PolicyError (3).
    """
    access = logins.access()
    reply = _get(door, access, logins.entry, usage_url(base_url))
    if reply.status == 401:
        access = logins.access(force_refresh_of=access.token.reveal())
        reply = _get(door, access, logins.entry, usage_url(base_url))
    if reply.status != 200:
        raise _refused(reply)
    return _read(reply)


def _get(door: Door, access: Access, entry: str, url: str) -> Reply:
    bearer = f"Bearer {access.token.reveal()}"
    headers = {**account_headers(access), "authorization": bearer, "accept": "application/json"}
    return door.request("GET", url, headers=headers, timeout=_TIMEOUT, entry=entry, credential="oauth")


def _refused(reply: Reply) -> ProviderError | CredentialError:
    code, message = read_error(reply)
    said = f"the usage page answered HTTP {reply.status}: {message or code or 'without a reason'}"
    if is_page(reply):
        return blocked(reply)
    if refused := region_refused(reply):
        return refused
    if reply.status in (
        401,
        403,
    ):  # a refusal by this page alone does not mean that the login is invalid: keep it
        return CredentialError(said, hint=AGAIN, status=reply.status, request_id=request_id(reply))
    kind = LimitError if reply.status == 429 else ProviderError
    return kind(said, hint="try again later", status=reply.status, request_id=request_id(reply))


def _read(reply: Reply) -> dict[str, Any]:
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadReply(
            "the usage page is not the JSON object it should be", hint="try again later", status=reply.status
        )
    rate = value.get("rate_limit")
    rate = rate if isinstance(rate, dict) else {}
    credits_ = value.get("credits")
    return {
        "plan": value.get("plan_type") if isinstance(value.get("plan_type"), str) else None,
        "limit_reached": rate.get("limit_reached") is True,
        "primary": _window(rate.get("primary_window")),
        "secondary": _window(rate.get("secondary_window")),
        "credits": _credits(credits_) if isinstance(credits_, dict) else None,
    }


def read_headers(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Parse the limits in the `x-codex-*` headers of an answer; None without them."""
    windows: dict[str, Any] = {}
    for family in _families(headers):
        windows = {name: _header_window(headers, family + name) for name in ("primary", "secondary")}
        if any(windows.values()):
            break
    if not any(windows.values()):
        return None
    flags = {name: headers.get(f"x-codex-credits-{name}") for name in ("has-credits", "unlimited", "balance")}
    has_credits = {
        "has_credits": str(flags["has-credits"]).lower() == "true",
        "unlimited": str(flags["unlimited"]).lower() == "true",
        "balance": flags["balance"] or None,
    }
    return {
        "plan": headers.get("x-codex-plan-type"),
        "limit_reached": "x-codex-rate-limit-reached-type" in headers,
        **windows,
        "credits": has_credits if any(flags.values()) else None,
    }


def _families(headers: Mapping[str, str]) -> list[str]:
    """Return the prefixes of the windows' names: the plan's own, the active limit's, any other (`NAME-`)."""
    active = headers.get("x-codex-active-limit")
    ends = ("-primary-used-percent", "-secondary-used-percent")
    others = [
        name.removesuffix(end).removeprefix("x-codex-") + "-"
        for name in headers
        for end in ends
        if name.startswith("x-codex-") and name.endswith(end) and len(name) > len("x-codex") + len(end)
    ]
    return ["", *([f"{active.lower()}-"] if active else []), *dict.fromkeys(others)]


def read_event(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Parse the limits in a `codex.rate_limits` event of a stream; None without any."""
    rate = data.get("rate_limits")
    if not isinstance(rate, dict):
        return None
    windows = {name: _event_window(rate.get(name)) for name in ("primary", "secondary")}
    if not any(windows.values()):
        return None
    plan, credits_ = data.get("plan_type"), data.get("credits")
    return {
        "plan": plan if isinstance(plan, str) else None,
        "limit_reached": rate.get("limit_reached") is True,
        **windows,
        "credits": _credits(credits_) if isinstance(credits_, dict) else None,
    }


def _event_window(value: object) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    minutes = _number(value.get("window_minutes"))
    return _window({"limit_window_seconds": None if minutes is None else minutes * 60, **value})


def _header_window(headers: Mapping[str, str], name: str) -> dict[str, Any] | None:
    start = f"x-codex-{name}-"
    told = {
        key: _read_number(headers.get(start + key))
        for key in ("used-percent", "window-minutes", "reset-at", "reset-after-seconds")
    }
    minutes, resets, after = told["window-minutes"], told["reset-at"], told["reset-after-seconds"]
    if resets is None and after is not None:  # the name in older backends
        resets = time.time() + after
    return _window(
        {
            "used_percent": told["used-percent"],
            "limit_window_seconds": None if minutes is None else minutes * 60,
            "reset_at": resets,
        }
    )


def _read_number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


class UsageCache:
    """The limits of the last answer, to be shown without a request. A cache: it may be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, account_id: str, limits: dict[str, Any]) -> None:
        """Store the limits of an account."""
        note = {"account_id": account_id, "at": int(time.time()), "limits": limits}
        files.write_note(self._path, note)

    def read(self, account_id: str) -> dict[str, Any] | None:
        """Return the stored limits of this account, if any."""
        note = files.read_note(self._path)
        limits = note.get("limits") if note.get("account_id") == account_id else None
        return limits if isinstance(limits, dict) else None


def _window(value: object) -> dict[str, Any] | None:
    """Parse one window: percent used, its length in minutes, and when it resets (Unix seconds)."""
    if not isinstance(value, dict):
        return None
    used, length, resets = (
        _number(value.get(n)) for n in ("used_percent", "limit_window_seconds", "reset_at")
    )
    if not used and not resets:  # the backend's value for "unknown"
        return None
    return {
        "used_percent": used,
        "window_minutes": None if length is None else int(length // 60),
        "resets_at": None if resets is None else int(resets),
    }


def _credits(value: dict[str, Any]) -> dict[str, Any]:
    balance = value.get("balance")
    return {
        "has_credits": value.get("has_credits") is True,
        "unlimited": value.get("unlimited") is True,
        "balance": balance if isinstance(balance, str | int | float) else None,
    }


def _number(value: object) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and 0 <= value <= 1e12 else None  # type: ignore[operator, arg-type]
