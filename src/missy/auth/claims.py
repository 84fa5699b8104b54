"""The claims of a token: the payload of a JWT (RFC 7519), decoded without verifying its signature. Pure: no I/O.

The tokens came over TLS from the issuer, and the claims grant nothing: they are used for display, for the account
header and for the time of renewal. `sub` is not used as the account: the backend does not either.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any

from missy.charset import is_visible_ascii

_AUTH = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"
_YEAR_9999 = 253_402_300_799
MAX_TOKEN_CHARS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that Missy uses; each is None if missing or invalid. `expires_at` is in Unix seconds."""

    account_id: str | None = None
    email: str | None = None
    plan: str | None = None
    expires_at: float | None = None
    fedramp: bool = False


def read_claims(token: str) -> Claims:
    """Decode the payload of a JWT. Any other token gives empty claims: opaque tokens are legal."""
    payload = _payload(token)
    auth = _table(payload.get(_AUTH))
    profile = _table(payload.get(_PROFILE))
    return Claims(
        account_id=_header_text(auth.get("chatgpt_account_id")),
        email=_text(payload.get("email")) or _text(profile.get("email")),
        plan=_text(auth.get("chatgpt_plan_type")),
        expires_at=_moment(payload.get("exp")),
        fedramp=auth.get("chatgpt_account_is_fedramp") is True,
    )


def _payload(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARS:
        return {}
    try:
        raw = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return _table(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _header_text(value: object) -> str | None:
    """Return a value that is safe in a header (the account id is sent in one), or None."""
    text = _text(value)
    return text if text and is_visible_ascii(text) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 320 and value.isprintable() else None


def _moment(value: object) -> float | None:
    """Return a time in Unix seconds, or None if it is missing, negative, after the year 9999, NaN or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if 0 < value <= _YEAR_9999 else None
