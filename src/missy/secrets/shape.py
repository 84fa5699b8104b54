"""Malformed keys: mistakes of copying and quoting that the endpoint would refuse. Pure.

Messages never show the key or a part of it.
"""

from __future__ import annotations

import re

from missy.errors import CredentialError

_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
# As text: a pattern is compiled when a key gives reason to, since every start would pay for it.
_ASSIGNED = r"(?:export\s+|set\s+)?([A-Za-z_][A-Za-z0-9_]{0,100})\s*=\s*(?!=*$)"
_NAMES_A_KEY = r"(?i)[A-Z][A-Z0-9]*_[A-Z0-9_]*|.*(key|token|secret).*"


def refuse_slips(value: str, place: str) -> None:
    """Raise CredentialError for a malformed key; `place` says where it came from."""
    if value[:1] in _QUOTES or value[-1:] in _QUOTES:
        raise CredentialError(
            f"the key from {place} has quotes around it, which are not part of a key",
            hint="remove the quotes where the key is set: .env files and some shells keep them",
        )
    if value.startswith("$") or (value.startswith("%") and value.endswith("%")):
        raise CredentialError(
            f"the key from {place} is the name of a variable that was not expanded",
            hint="set it to the key itself: in single quotes, or in a .env file, a $NAME stays as it is",
        )
    found = re.match(_ASSIGNED, value) if "=" in value else None
    if found and _is_name(found[1]):
        raise CredentialError(
            f"the key from {place} is a whole line NAME=key, not the key alone",
            hint="keep the part after the = sign",
        )
    if len(value.split(None, 1)) > 1 and re.match(
        r"(?:bearer|basic|token|authorization:)\s", value, re.IGNORECASE
    ):
        raise CredentialError(
            f"the key from {place} begins with the name of a header or a scheme",
            hint="keep the key alone, without Bearer",
        )


def _is_name(text: str) -> bool:
    """Tell whether the text before a = is a variable's name: keys themselves may end in =."""
    return re.fullmatch(_NAMES_A_KEY, text) is not None and (
        text.isupper() or "key" in text.lower() or "token" in text.lower()
    )
