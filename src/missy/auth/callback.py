"""Parsing the result of a sign-in, from the browser's callback or from a pasted line. Pure: no I/O.

A result is accepted only if its `state` belongs to this sign-in (RFC 6749, 10.12).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from missy.charset import is_visible_ascii
from missy.secrets.redact import Secret

PATH = "/auth/callback"
MAX_CODE_CHARS = 4096
MAX_FIELDS = 32


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """The result of a sign-in: a `code` to exchange, or None with the issuer's `error` and its `description`.

    `client_id` is what a registration was given, `issuer` who answers (RFC 9207), each "" where the query has none.
    """

    code: Secret | None
    error: str = ""
    description: str = ""
    client_id: str = ""
    issuer: str = ""


class NotOurs(ValueError):
    """The text is not the result of this sign-in; the message says why. Waiting continues."""


def judge(query: str, state: str) -> CallbackResult:
    """Parse a callback's query. Raises NotOurs unless it has the right `state` and one `code`, or one `error`.

    `state` is checked first: a request without it can neither complete nor cancel a sign-in.
    """
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise NotOurs("it has too many fields") from None
    _check_state([value for name, value in fields if name == "state"], state)
    errors = [value for name, value in fields if name == "error"]
    codes = [value for name, value in fields if name == "code"]
    if errors:
        if len(errors) > 1 or not errors[0]:
            raise NotOurs("it has no single 'error'")
        described = [value for name, value in fields if name == "error_description"]
        return CallbackResult(None, errors[0][:200], described[0][:500] if described else "")
    if len(codes) != 1:
        raise NotOurs("it has no 'code'" if not codes else "it has more than one 'code'")
    once = {name: _single(fields, name) for name in ("client_id", "iss")}
    return CallbackResult(_checked_code(codes[0]), client_id=once["client_id"], issuer=once["iss"])


def _single(fields: list[tuple[str, str]], name: str) -> str:
    values = [value for key, value in fields if key == name]
    if len(values) > 1:
        raise NotOurs(f"it has more than one '{name}'")
    return values[0] if values else ""


def read_paste(line: str, state: str, redirect_uri: str | None = None) -> CallbackResult:
    """Parse pasted text: the address the browser was redirected to, its query, or `code#state`. Raises NotOurs.

    An address must begin with `redirect_uri`, where that is given.
    """
    text = line.strip().strip("'\"<>").strip()
    if text.startswith(("http://", "https://")):
        if redirect_uri is not None and text.partition("?")[0] != redirect_uri:
            raise NotOurs(f"it is not the address at the end of this sign-in ({redirect_uri}?...)")
        return _read_address(text, state)
    if text.startswith("?") or "state=" in text:
        return judge(text.removeprefix("?"), state)
    code, mark, given = text.partition("#")
    if not mark:
        raise NotOurs("a code alone cannot be checked: paste the whole address, or code#state")
    _check_state([given], state)
    return CallbackResult(_checked_code(code))


def _read_address(text: str, state: str) -> CallbackResult:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise NotOurs("it is not an address") from None
    if parts.path != PATH or parts.hostname not in ("127.0.0.1", "localhost"):
        raise NotOurs(f"it is not the address at the end of the sign-in (http://127.0.0.1:PORT{PATH}?...)")
    return judge(parts.query, state)


def _check_state(given: list[str], state: str) -> None:
    if len(given) != 1:
        raise NotOurs("it has no 'state'" if not given else "it has more than one 'state'")
    if not hmac.compare_digest(given[0].encode("utf-8", "replace"), state.encode()):
        raise NotOurs("its 'state' belongs to another sign-in")


def _checked_code(code: str) -> Secret:
    if not code or len(code) > MAX_CODE_CHARS or not is_visible_ascii(code):
        raise NotOurs("its 'code' is empty, too long, or contains characters that no code has")
    return Secret(code)
