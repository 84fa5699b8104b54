"""Web pages received instead of an API's response: a block, an outage, or a wrong address. Pure.

The HTTP status keeps its meaning; only a page that mentions a block is reported as one.
"""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Any

from missy.errors import CredentialError, LimitError, MissyError, ProviderError
from missy.net import waits
from missy.providers.error_mapping import shown
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

_TITLE = re.compile(r"<(title|h1)[^>]{0,200}>([^<]{1,300})</\1", re.IGNORECASE)
_CODE = re.compile(r"\s*error code:?\s*([0-9]{3,4})\s*", re.IGNORECASE)
_CHALLENGE = re.compile(
    r"just a moment|challenge-platform|checking your browser|verify (that )?you are (a )?human|attention required"
    r"|you have been blocked|unable to access|enable javascript and cookies|cf-chl|error 10(0[6-9]|1[0-2]|20)\b"
)
_WALL = re.compile(
    r"incapsula|imperva|akamai|reference #[0-9]|sucuri|request (was )?(blocked|rejected|unsuccessful)"
    r"|access (is )?(denied|blocked)"
    r"|requested url was rejected|web (application )?firewall|web filter|zscaler|fortiguard|security policy|\bwaf\b"
)
_BANS = frozenset({*range(1005, 1013), 1014, 1020, 1106})
_DOWN = "the endpoint is down: try again later"


def is_page(headers: Mapping[str, str], text: str) -> bool:
    """Tell whether a body is a web page, or a proxy's bare `error code: 1010`, and not an API's response."""
    start = text[:200].lstrip("\ufeff \t\r\n").lower()
    kind = headers.get("content-type", "").lower()
    is_json = start[:1] in ("{", "[")
    return (
        ("html" in kind and not is_json)
        or start.startswith(("<!doctype html", "<html", "<head", "<body", "<!--"))
        or _CODE.fullmatch(text[:40]) is not None
    )


def page_error(
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    host: str,
    request_id: str | None,
    keyed: bool,
    said: str = "",
) -> MissyError:
    """Return the error that a page with this status means. `said`: its words, where they are known."""
    common: dict[str, Any] = {"status": status, "request_id": request_id}
    lower = text[:20_000].lower()
    named = _named(status, text, said)
    code = _CODE.fullmatch(text[:40])
    number = int(code[1]) if code else 0
    wait = waits.from_headers(headers)
    if status == 429 or number == 1015:
        resets = None if wait is None else time.time() + wait
        hint = waits.when(resets) or "wait a moment and try again"
        return LimitError(f"{host} says {named}", hint=hint, retry_after=wait, resets_at=resets, **common)
    if "cf-mitigated" in headers or number in _BANS or _CHALLENGE.search(lower):
        return ProviderError(
            f"blocked by Cloudflare in front of {host} ({named})",
            hint="the key is not the cause: try another network, or wait",
            lasting=True,
            **common,
        )
    if status == 401:
        hint = "the endpoint refused the key: check it, and which one is used (missy providers)"
        wants = "this endpoint requires a key: set api_key in its entry"
        return CredentialError(f"{host} says {named}", hint=hint if keyed else wants, **common)
    if status >= 500 or number >= 500:
        return ProviderError(f"{host} answered {named}", hint=_DOWN, retry_after=wait, **common)
    if status == 413:
        hint = "shorten the prompt (or attach less) or lower --max-tokens"
        return ProviderError(f"{host} answered {named}", hint=hint, **common)
    if status in (403, 406, 451) or _WALL.search(lower):
        return ProviderError(
            f"blocked in front of {host}: {named}",
            hint="the key is not the cause: try another network, or check base_url",
            lasting=True,
            **common,
        )
    return ProviderError(
        f"{host} answered {named}, not as an API",
        hint="is base_url right? most end in /v1",
        **common,
    )


def _named(status: int, text: str, said: str) -> str:
    """Return the status and the title of the page."""
    if _CODE.fullmatch(text[:40]):
        told = shown(said)
        return f"{status}: {' '.join(text.split())[:40]}" + (f": {told}" if told else "")
    found = _TITLE.search(text[:20_000])
    title = shown(html.unescape(redact(found[2])))[:100] if found and found[2].strip() else ""  # type: ignore[index]
    return f"{status} with a web page" + (f" '{title}'" if title else "")
