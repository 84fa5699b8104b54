"""A reply of the token endpoint, and the times in it. Pure: no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from missy.auth.claims import MAX_TOKEN_CHARS, read_claims
from missy.charset import is_visible_ascii
from missy.errors import BadReply
from missy.secrets.redact import Secret

_MILLISECONDS = 1e11  # a number above it is in milliseconds: in seconds it would be after the year 5138
_YEAR_9999 = 253_402_300_799
_LONGEST_LIFE = 400 * 86_400  # seconds


@dataclass(frozen=True, slots=True)
class TokenReply:
    """New tokens; None is what the reply omits. Times are Unix seconds."""

    access: Secret | None
    refresh: Secret | None
    id: Secret | None
    scopes: tuple[str, ...] | None
    received_at: float
    expires_at: float | None
    earliest_refresh_at: float | None


def read_reply(fields: dict[str, Any], now: float, *, lenient: bool = False) -> TokenReply:
    """Read a reply that came at `now`. Raises BadReply for what cannot be used.

    `lenient`: an invalid field is passed over, since the token that was exchanged is used up and another one of the
    reply must not be lost.
    """
    kind = fields.get("token_type", "bearer")
    if not lenient and (not isinstance(kind, str) or kind.lower() != "bearer"):
        raise BadReply(
            "the issuer's tokens are not bearer tokens", hint="try again: missy auth login chatgpt"
        )
    access = _token(fields, "access_token", lenient=lenient)
    scope = fields.get("scope")
    return TokenReply(
        access,
        _token(fields, "refresh_token", lenient=lenient),
        _token(fields, "id_token", lenient=lenient),
        tuple(scope.split()) if isinstance(scope, str) else None,
        now,
        _expiry(fields.get("expires_in"), access, now),
        read_moment(fields.get("earliest_refresh_at")),
    )


def read_moment(value: object) -> float | None:
    """Return Unix seconds for seconds, milliseconds (numbers or digits) or ISO 8601; None for anything else.

    OpenAI's pages name `earliest_refresh_at` without its unit, and clients have seen several.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            return _read_iso(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    seconds = value / 1000 if value > _MILLISECONDS else value
    return float(seconds) if seconds <= _YEAR_9999 else None


def _read_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _expiry(value: object, access: Secret | None, now: float) -> float | None:
    """Return when the access token expires: after `expires_in` seconds, else what the token says itself."""
    seconds = read_moment(value)
    if seconds is not None and seconds <= _LONGEST_LIFE:
        return now + seconds
    return None if access is None else read_claims(access.reveal()).expires_at


def _token(fields: dict[str, Any], name: str, *, lenient: bool) -> Secret | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value) <= MAX_TOKEN_CHARS and is_visible_ascii(value):
        return Secret(value)
    if lenient:
        return None
    raise BadReply(f"the issuer's {name} is not a token", hint="try again: missy auth login chatgpt")
