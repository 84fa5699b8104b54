"""Verifying an ID token (OpenID Connect Core 1.0, 3.1.3.7): its signature against the issuer's keys, and its claims.

RS256 only: the token does not choose the algorithm. `cryptography` does the arithmetic; no JWT package is needed for one
algorithm and seven claims.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.auth.claims import MAX_TOKEN_CHARS
from missy.auth.refusals import TokenRefused
from missy.auth.siwc.issuer import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from missy.secrets.redact import Secret

LEEWAY_SECONDS = 5.0
MAX_KEYS_AGE_SECONDS = 3600.0
_MIN_KEY_BITS = 2048
_MAX_KEY_BITS = 16_384
_MAX_EXPONENT = 1 << 32


class IdentityRefused(TokenRefused):
    """The ID token is not valid, or is another person's. Nothing of the reply may be used."""


class Identity(NamedTuple):
    """Who signed in, by a verified token."""

    subject: str
    email: str | None


class Keys:
    """The issuer's keys, fetched on use and kept for an hour at most. Thread-safe."""

    def __init__(self, fetch: Callable[[], list[dict[str, Any]]]) -> None:
        self._fetch = fetch
        self._keys: list[dict[str, Any]] = []
        self._fetched_at: float | None = None
        self._mutex = threading.Lock()

    def find(self, kid: str | None) -> list[dict[str, Any]]:
        """Return the keys with this id; an unknown one is asked for once more. Raises ProviderError."""
        with self._mutex:
            old = self._fetched_at is None or time.monotonic() - self._fetched_at > MAX_KEYS_AGE_SECONDS
            found = [] if old else self._with(kid)
            if not found:
                self._fetched_at = None  # of no use if the next line fails
                self._keys = self._fetch()
                self._fetched_at = time.monotonic()
                found = self._with(kid)
            return found

    def _with(self, kid: str | None) -> list[dict[str, Any]]:
        return [key for key in self._keys if kid is None or key.get("kid") == kid]


def verify(
    token: Secret,
    keys: Keys,
    *,
    client_id: str,
    now: float,
    nonce: str | None = None,
    subject: str | None = None,
) -> Identity:
    """Return who an ID token is about. `now` is when it was received, in Unix seconds.

    Raises IdentityRefused if it is not valid, or not about `subject`; ProviderError if the keys cannot be had, which
    says nothing about the token.
    """
    head, payload, signed, signature = _split(token.reveal())
    if head.get("alg") != "RS256" or "crit" in head:
        raise _invalid("it is not signed with RS256")
    kid = head.get("kid")
    candidates = [key for key in keys.find(kid if isinstance(kid, str) else None) if _is_for_signing(key)]
    if not any(_is_signed_by(key, signed, signature) for key in candidates):
        raise _invalid("its signature is not the issuer's")
    _check_claims(payload, client_id, now, nonce)
    found = str(payload["sub"])
    if subject is not None and found != subject:
        raise IdentityRefused(
            "another account signed in than the stored one; nothing was changed",
            hint="to add an account: missy auth login chatgpt --new",
            code="account_changed",
        )
    email = payload.get("email")
    is_text = isinstance(email, str) and 0 < len(email) <= 320 and email.isprintable()
    return Identity(found, email if is_text else None)


def _split(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise _invalid("it is not a signed token")
    try:
        head, payload = (json.loads(_decode(part)) for part in parts[:2])
        signature = _decode(parts[2])
    except (ValueError, RecursionError):
        raise _invalid("it cannot be read") from None
    if not isinstance(head, dict) or not isinstance(payload, dict):
        raise _invalid("it cannot be read")
    return head, payload, f"{parts[0]}.{parts[1]}".encode(), signature


def _check_claims(claims: Mapping[str, Any], client_id: str, now: float, nonce: str | None) -> None:
    if claims.get("iss") != ISSUER:
        raise _invalid("it is from another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise _invalid("it is for another app")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise _invalid("it was issued to another app")
    if not isinstance(claims.get("sub"), str) or not claims["sub"] or not _is_number(claims.get("iat")):
        raise _invalid("it lacks a claim")
    expires = claims.get("exp")
    if not _is_number(expires):
        raise _invalid("it lacks a claim")
    if float(expires) <= now - LEEWAY_SECONDS:  # type: ignore[arg-type]
        raise _invalid("it has expired", hint="is this machine's clock right? missy doctor")
    given = claims.get("nonce")
    if nonce is not None and not (isinstance(given, str) and _equal(given, nonce)):
        raise _invalid("it belongs to another sign-in")


def _is_for_signing(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and key.get("alg", "RS256") == "RS256"


def _is_signed_by(key: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
    """Verify RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        modulus, exponent = (int.from_bytes(_decode(str(key.get(name, "")))) for name in ("n", "e"))
        if not _MIN_KEY_BITS <= modulus.bit_length() <= _MAX_KEY_BITS or exponent > _MAX_EXPONENT:
            return False
        public = RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(signature, signed, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 (NaN)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _invalid(why: str, *, hint: str = "sign in again: missy auth login chatgpt") -> IdentityRefused:
    return IdentityRefused(f"the issuer's ID token is not valid: {why}", hint=hint, code="invalid_id_token")
