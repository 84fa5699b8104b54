"""The PKCE verifier (RFC 7636) and the `state` of a sign-in: random, new each time, never stored."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pair:
    """A verifier (86 characters, secret) and its S256 challenge (43 characters, sent in the URL)."""

    verifier: str = field(repr=False)
    challenge: str


def new_pair() -> Pair:
    """Create a verifier from 64 random bytes, and its challenge (RFC 7636, 4.1 and 4.2)."""
    verifier = _base64url(os.urandom(64))
    return Pair(verifier, _base64url(hashlib.sha256(verifier.encode()).digest()))


def new_state() -> str:
    """Create the value that binds a callback to this sign-in: 32 random bytes as 43 characters."""
    return _base64url(os.urandom(32))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
