"""The keys of callers: 256 random bits, of which only a hash is stored, and what each may do. Pure but for randomness."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "mk-"
_FORM = re.compile(r"mk-[A-Za-z0-9_-]{43}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
PERIODS = ("day", "month", "total")
MAX_USD = 1_000_000
MICRO = 1_000_000  # a dollar


@dataclass(frozen=True, slots=True)
class Key:
    """One caller. Empty `models` and `entries` allow all that are served; times are Unix seconds, money is micro-dollars."""

    name: str
    hash: str
    created: int
    expires: int | None = None
    revoked: int | None = None
    is_admin: bool = False
    models: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    budget_micro: int | None = None
    period: str | None = None
    rpm: int | None = None
    tpm: int | None = None

    def state(self, now: float) -> str:
        """Return whether it can be used: valid, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def row(self) -> tuple[Any, ...]:
        """Return it as the store keeps it, in the order of COLUMNS."""
        lists = (json.dumps(self.models), json.dumps(self.entries))
        limits = (self.budget_micro, self.period, self.rpm, self.tpm)
        return (
            self.name,
            self.hash,
            self.created,
            self.expires,
            self.revoked,
            int(self.is_admin),
            *lists,
            *limits,
        )

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Key:
        """Read it from the store."""
        name, digest, created, expires, revoked, admin, models, entries, *limits = row
        return cls(
            name, digest, created, expires, revoked, bool(admin), tuple(json.loads(models)),
            tuple(json.loads(entries)), *limits,
        )  # fmt: skip

    def as_json(self, now: float) -> dict[str, Any]:
        """Return what is shown of it: never the key, and not its hash."""
        return {
            "name": self.name,
            "state": self.state(now),
            "created": _moment(self.created),
            "expires": _moment(self.expires),
            "admin": self.is_admin,
            "models": list(self.models),
            "entries": list(self.entries),
            "budget_usd": None if self.budget_micro is None else self.budget_micro / MICRO,
            "period": self.period,
            "rpm": self.rpm,
            "tpm": self.tpm,
        }


COLUMNS = "name, hash, created, expires, revoked, admin, models, entries, budget_micro, period, rpm, tpm"


def make_key() -> str:
    """Return a new key."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """Return what is stored of a key. A plain hash is enough: a key has 256 random bits, so it cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()


def presented(authorization: str) -> str | None:
    """Return the key of an Authorization header, None if it has none of our form."""
    scheme, _, key = authorization.partition(" ")
    key = key.strip()
    return key if scheme.lower() == "bearer" and _FORM.fullmatch(key) else None


def is_form(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _FORM.fullmatch(text) is not None


def same(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def parse_budget(text: str) -> tuple[int, str]:
    """Parse `50`, `50/day` or `50/month` to micro-dollars and a period. Raises UsageError."""
    amount, _, period = text.partition("/")
    period = period or "total"
    try:
        value = round(float(amount.removeprefix("$")) * MICRO)
    except (ValueError, OverflowError):
        value = -1
    if not 0 <= value <= MAX_USD * MICRO or period not in PERIODS:
        raise UsageError(
            f"{text!r} is no budget", hint="write it like 50/month, 2.5/day or 100/total, in US dollars"
        )
    return value, period


def check_name(name: str) -> str:
    """Return the name of a key. Raises UsageError for an invalid one."""
    if not NAME.fullmatch(name) or is_form(name):
        raise UsageError(f"{name[:64]!r} cannot be the name of a key", hint="1 to 64 letters, digits, - _ .")
    return name


def _moment(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
