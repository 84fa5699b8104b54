"""The login file: its content, reading and writing it, and its state.

It is written only as a whole and under its lock, and deleted only by a logout. It contains only the two secrets that
are needed: the id token is decoded once and dropped.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from missy import files, os_errors
from missy.auth.claims import Claims, read_claims
from missy.auth.refusals import AGAIN, TokenRefused
from missy.errors import CredentialError, MissyError
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from missy.auth.oauth import Tokens

NEAR = 5 * 60  # seconds before `exp` at which a token is renewed
OLDEST = 8 * 24 * 3600  # seconds since the last renewal, for a token without a readable `exp`
_VERSION = 1
LOGIN_FILE = "secrets/openai-oauth.json"  # under MISSY_HOME


class BrokenLogin(CredentialError):
    """The login file is invalid. It stays unchanged: only a new login or a logout replaces it."""


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials of a request to the backend: the bearer token and its account."""

    token: Secret
    account_id: str
    plan: str | None
    fedramp: bool


@dataclass(frozen=True, slots=True)
class Login:
    """One login. `last_refresh` and `expires_at` are Unix seconds; `extra` are fields of a newer Missy."""

    issuer: str
    access_token: Secret
    refresh_token: Secret
    account_id: str
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False
    last_refresh: float | None = None
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def expires_at(self) -> float | None:
        """When the access token expires, by its `exp`; None if that is unreadable."""
        return read_claims(self.access_token.reveal()).expires_at

    def is_near_expiry(self, now: float) -> bool:
        """Tell whether to renew: from five minutes before `exp`, or without `exp` eight days after the last renewal."""
        ends = self.expires_at
        if ends is not None:
            return ends - now <= NEAR
        return self.last_refresh is None or now - self.last_refresh > OLDEST

    def is_expired(self, now: float) -> bool:
        """Tell whether the access token has certainly expired."""
        ends = self.expires_at
        return ends is not None and ends <= now

    def access(self) -> Access:
        """Return the credentials of a request."""
        return Access(self.access_token, self.account_id, self.plan, self.fedramp)

    def renewed(self, tokens: Tokens, now: float) -> Login:
        """Return a copy with new tokens. Raises TokenRefused if they belong to another account."""
        claims = _claims(tokens)
        if claims.account_id is not None and claims.account_id != self.account_id:
            raise TokenRefused(
                f"the issuer answered for another account ({claims.account_id}), so the answer was not kept",
                code="account_changed",
            )
        return replace(
            self,
            access_token=tokens.access or self.access_token,
            refresh_token=tokens.refresh or self.refresh_token,
            email=claims.email or self.email,
            plan=claims.plan or self.plan,
            fedramp=claims.fedramp if tokens.access else self.fedramp,
            last_refresh=now,
        )


def new_login(tokens: Tokens, issuer: str, now: float) -> Login:
    """Create the login after a sign-in. Raises CredentialError if the tokens name no ChatGPT account."""
    claims = _claims(tokens)
    if tokens.access is None or tokens.refresh is None or claims.account_id is None:
        raise CredentialError(
            "the sign-in gave no ChatGPT account",
            hint="choose a workspace with ChatGPT access in the browser: missy auth login",
        )
    return Login(
        issuer,
        tokens.access,
        tokens.refresh,
        claims.account_id,
        claims.email,
        claims.plan,
        claims.fedramp,
        now,
    )


def load(path: Path) -> Login | None:
    """Read the login file; None if there is none. Raises BrokenLogin if it is invalid, MissyError if unreadable."""
    try:
        raw = files.read_private(path)
    except os_errors.MissingFile:
        return None
    try:
        return _parse(json.loads(raw))
    except (ValueError, RecursionError) as error:
        why = "it is not JSON" if not isinstance(error, _BadField) else str(error)
    raise BrokenLogin(f"the login file {path} is broken: {why}", hint=f"{AGAIN} (that replaces the file)")


def store(path: Path, login: Login) -> None:
    """Write the whole login file, including the fields of a newer Missy. The caller holds its lock."""
    from missy.auth.oauth import CLIENT_ID

    fields = {
        **login.extra,
        "version": login.extra.get("version", _VERSION),
        "issuer": login.issuer,
        "client_id": CLIENT_ID,
        "account_id": login.account_id,
        "email": login.email,
        "plan": login.plan,
        "fedramp": login.fedramp,
        "access_token": login.access_token.reveal(),
        "refresh_token": login.refresh_token.reveal(),
        "last_refresh": show_time(login.last_refresh),
    }
    files.write_private(path, json.dumps(fields, indent=1).encode() + b"\n")


def forget(path: Path) -> None:
    """Delete the login file. The caller holds its lock. Raises MissyError."""
    with os_errors.faults("delete", path):
        os.unlink(path)


def describe_state(path: Path, issuer: str, now: float) -> tuple[str, Login | None, str]:
    """Return the state (`valid`, `near_expiry`, `expired`, `broken`, `none`), the login, and the reason if it is broken."""
    try:
        login = load(path)
    except MissyError as error:
        return "broken", None, error.message
    if login is None:
        return "none", None, ""
    if login.issuer != issuer:
        return "none", None, f"the stored login is from {login.issuer}, but this entry's issuer is {issuer}"
    if login.is_expired(now):
        return "expired", login, ""
    return ("near_expiry" if login.is_near_expiry(now) else "valid"), login, ""


def show_time(moment: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC, to the second."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _BadField(ValueError):
    pass


def _parse(value: object) -> Login:
    if not isinstance(value, dict):
        raise _BadField("it is not a JSON object")
    for name in ("issuer", "account_id", "access_token", "refresh_token"):
        text = value.get(name)
        if not isinstance(text, str) or not text or not all("!" <= mark <= "~" for mark in text):
            raise _BadField(f"its '{name}' is missing or wrong")
    own = {"issuer", "client_id", "account_id", "email", "plan", "fedramp", "access_token", "refresh_token"}
    return Login(
        issuer=value["issuer"],
        access_token=Secret(value["access_token"]),
        refresh_token=Secret(value["refresh_token"]),
        account_id=value["account_id"],
        email=_text_or_none(value.get("email")),
        plan=_text_or_none(value.get("plan")),
        fedramp=value.get("fedramp") is True,
        last_refresh=_read_time(value.get("last_refresh")),
        extra={name: found for name, found in value.items() if name not in own | {"last_refresh"}},
    )


def _claims(tokens: Tokens) -> Claims:
    """Merge the claims of the two tokens. Those of the access token win: the backend checks its account."""
    access = read_claims(tokens.access.reveal()) if tokens.access else Claims()
    identity = read_claims(tokens.id.reveal()) if tokens.id else Claims()
    return Claims(
        access.account_id or identity.account_id,
        identity.email or access.email,
        access.plan or identity.plan,
        access.expires_at,
        access.fedramp or identity.fedramp,
    )


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_time(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
