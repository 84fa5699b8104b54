"""Validation of an entry's `headers`, `query` and `api_key_header`. Errors never show a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from missy.charset import is_field_value
from missy.config.values import SECRET_NAME, VARIABLE, Wrong, kind_of
from missy.masking import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable

Pairs = tuple[tuple[str, str], ...]

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token (RFC 9110, 5.6.2)
QUERY_NAME = re.compile(r"[A-Za-z0-9._~$-]{1,100}")
MAX_VALUE_CHARS = 8192
MAX_ITEMS = 32  # in one mapping

# Headers that an entry may not set, because Missy sets them -> why
_OURS = {
    "host": "it follows from base_url",
    "authorization": "the key goes to api_key, and the name of another header for it to api_key_header",
    "content-type": "the body is always JSON",
    "content-encoding": "the body is always plain JSON",
    "accept": "Missy decides which formats it can read",
    "accept-encoding": "an answer is streamed uncompressed",
} | dict.fromkeys(
    ("connection", "content-length", "expect", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding",
     "upgrade"),
    "it belongs to the connection",
)  # fmt: skip


def headers(value: Any) -> Pairs:
    """Check additional headers: allowed, distinct names, and values on one line."""
    found = _pairs(value)
    for name, _ in found:
        _check_name(name)
    _refuse_twice(name.lower() for name, _ in found)
    return found


def query(value: Any) -> Pairs:
    """Check parameters for the query string."""
    found = _pairs(value)
    for name, _ in found:
        if not QUERY_NAME.fullmatch(name):
            raise Wrong("an invalid parameter name", "letters, digits and . _ ~ $ - are allowed in names")
    return found


def api_key_header(value: Any) -> str:
    """Check the name of the header that carries the key."""
    if not isinstance(value, str):
        raise Wrong(kind_of(value), "write the name of a header, for example api-key")
    if value.lower() != "authorization":  # some servers expect a bare key there
        _check_name(value)
    return value


def _check_name(name: str) -> None:
    if not HEADER_NAME.fullmatch(name):
        raise Wrong("an invalid header name", "letters, digits and - are allowed in names", key=name)
    why = _OURS.get(name.lower()) or (_OURS["connection"] if name.lower().startswith("proxy-") else None)
    if why:
        raise Wrong("a header that cannot be set", why, key=name)


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Wrong(f"the header {name} twice", "header names are case-insensitive: remove one")
        seen.add(name)


def _pairs(value: Any) -> Pairs:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise Wrong(kind_of(value), "write a mapping: {name: value}, or one `name: value` a line")
    if len(value) > MAX_ITEMS:
        raise Wrong(f"more than {MAX_ITEMS} of them", "leave some out")
    return tuple((name, _value(name, text)) for name, text in value.items())


def _value(name: str, value: Any) -> str:
    """Check one value: a reference, after at most one word, or visible ASCII text."""
    if not isinstance(value, str):
        scalar = value is not None and not isinstance(value, dict | list)
        raise Wrong(kind_of(value), "put it in quotes if it is meant as text" if scalar else "", key=name)
    if not value or len(value) > MAX_VALUE_CHARS:
        what = f"text of more than {MAX_VALUE_CHARS} characters" if value else "an empty text"
        raise Wrong(what, "remove it if it is not needed", key=name)
    if not is_field_value(value):
        raise Wrong(
            "text with a line end, a space at either end or a non-ASCII character",
            "visible ASCII characters on one line are allowed",
            key=name,
        )
    word, blank, rest = value.partition(" ")
    text = rest if blank and word.isalpha() else value
    if text.startswith("$") and not VARIABLE.fullmatch(text):
        raise Wrong(
            "a $ that is not followed by the name of a variable",
            "write $NAME: letters, digits and _",
            key=name,
        )
    if text.startswith(REFERENCES[1:]) and not SECRET_NAME.fullmatch(text):
        raise Wrong(
            "a reference without a name",
            f"a reference is {REFERENCES[1]}NAME or {REFERENCES[2]}NAME",
            key=name,
        )
    return value
