"""HTTP errors of model endpoints in our own words: status, headers and body to one typed error. Pure.

Bodies come as `{"error": {...}}`, `{"error": "..."}`, `{"detail": "..."}`, `{"detail": {"code": ..}}`, `{"message": ..}`,
plain text or HTML, and the status is not always the truth: a wrong key can be a 400, a client's fault a 500.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from missy.errors import CredentialError, LimitError, MissyError, ProviderError
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

QUOTA = frozenset(
    {
        "insufficient_quota",
        "usage_limit_reached",
        "usage_not_included",
        "billing_hard_limit_reached",
        "organization_spend_limit_exceeded",
    }
)
_WRONG_KEY = frozenset(
    {"invalid_api_key", "no_db_connection", "authentication_error", "invalid_authentication", "token_expired"}
)
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_TOO_LONG_WORDS = (
    "context length",
    "context size",
    "contextwindowexceeded",
    "maximum context",
    "too many tokens",
)
_NO_MODEL = frozenset({"model_not_found", "model_not_supported"})
_RATE = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests"})
_LONGEST = 500  # characters of a server's message that are shown


class Complaint:
    """What an error body says: `message`, and the server's own names for it in `codes`."""

    __slots__ = ("codes", "fields", "message")

    def __init__(self, value: Any) -> None:
        if isinstance(value, list) and value:  # Google's endpoint wraps its error in a list
            value = value[0]
        error = value
        if isinstance(value, dict):
            for key in ("error", "detail", "errors"):
                if value.get(key):
                    error = value[key]
                    break
        if isinstance(error, list):
            error = next((item for item in error if isinstance(item, dict)), error)
        fields = error if isinstance(error, dict) else {}
        self.fields: dict[str, Any] = fields
        words = (fields.get(name) for name in ("message", "msg", "detail", "code", "type"))
        message = next((word for word in words if word), "")
        text = error if isinstance(error, str) else str(message)
        self.message = _shown(" ".join(text.split())) or ""
        names = (fields.get("code"), fields.get("type"), error if isinstance(error, str) else None)
        self.codes = frozenset(str(name).lower() for name in names if name is not None)


def _shown(text: str) -> str | None:
    """Return a server's text as it may be shown: some endpoints echo the key. None for nothing."""
    return redact(text)[:_LONGEST] or None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a `Retry-After` (RFC 9110, 10.2.3: seconds or a date) or `retry-after-ms` asks for."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, host: str, keyed: bool = True
) -> MissyError:
    """Return the error that a reply with an HTTP error status means. `keyed` says that a key was sent."""
    request_id = _shown(
        headers.get("x-request-id") or headers.get("x-oai-request-id") or headers.get("cf-ray") or ""
    )
    text = body.decode("utf-8", "replace").strip()
    if _is_page(headers, text):
        return _page(status, headers, text, host, request_id)
    try:
        complaint = Complaint(json.loads(text))
    except (ValueError, RecursionError):
        complaint = Complaint(text)
    if 300 <= status < 400:
        return ProviderError(
            f"{host} redirects to {_shown(headers.get('location', '')) or 'nowhere'}, which is not followed",
            hint="if you trust that address, write it as base_url",
            status=status,
            request_id=request_id,
        )
    return classify(
        complaint, status=status, host=host, request_id=request_id, wait=retry_after(headers), keyed=keyed
    )


def classify(
    complaint: Complaint,
    *,
    status: int | None,
    host: str,
    request_id: str | None,
    wait: float | None = None,
    keyed: bool = True,
) -> MissyError:
    """Return the error for a complaint, from a response or from inside a stream."""
    codes, message = complaint.codes, complaint.message
    said = f"{host} says{f' ({status})' if status else ''}: {message or 'nothing'}"
    code = _shown(str(complaint.fields.get("code") or complaint.fields.get("type") or ""))
    common: dict[str, Any] = {"status": status, "request_id": request_id, "code": code}
    lower = message.lower()
    if codes & QUOTA:
        resets = _resets_at(complaint.fields, wait)
        return LimitError(
            said,
            hint=_when(resets) or "the account has used up what it may use: see its billing page",
            resets_at=resets,
            **common,
        )
    if status == 429 or codes & _RATE:
        resets = _resets_at(complaint.fields, wait)
        return LimitError(
            said,
            hint=_when(resets) or "wait a little and ask again",
            retry_after=wait,
            resets_at=resets,
            **common,
        )
    if status in (401, 403) or codes & _WRONG_KEY or (status == 400 and "api key" in lower):
        return CredentialError(
            said,
            hint="the endpoint refused the key: check it, and which one is used (missy providers)"
            if keyed
            else "this endpoint wants a key: set api_key in its entry",
            status=status,
            request_id=request_id,
        )
    if codes & _TOO_LONG or any(words in lower for words in _TOO_LONG_WORDS):
        return ProviderError(
            said,
            hint="the prompt is too long for this model: shorten it, or choose a model with more room",
            **common,
        )
    if codes & _NO_MODEL or (status == 404 and "model" in lower):
        return ProviderError(said, hint="see the models that there are: missy models", **common)
    if status == 404:
        return ProviderError(said, hint="is base_url right? most end in /v1", **common)
    if status == 500 and not keyed:
        return ProviderError(
            said, hint="no key was sent: this endpoint may want one", retry_after=wait, **common
        )
    if status is None or status >= 500:
        return ProviderError(
            said, hint="the fault is at the endpoint: try again later", retry_after=wait, **common
        )
    return ProviderError(
        said, hint="the endpoint did not accept the request: see what it says", retry_after=wait, **common
    )


def _resets_at(fields: dict[str, Any], wait: float | None) -> float | None:
    at = _number(fields.get("resets_at")) if fields.get("resets_at") is not None else None
    if at is not None:
        return at
    seconds = (
        _number(fields.get("resets_in_seconds")) if fields.get("resets_in_seconds") is not None else wait
    )
    return time.time() + seconds if seconds is not None else None


def _when(resets_at: float | None) -> str:
    if resets_at is None:
        return ""
    try:
        return "it resets at " + time.strftime("%A %Y-%m-%d %H:%M:%S %Z", time.localtime(resets_at)).strip()
    except (OverflowError, ValueError, OSError):
        return ""


def _is_page(headers: Mapping[str, str], text: str) -> bool:
    start = text[:200].lower()
    return "text/html" in headers.get("content-type", "").lower() or start.startswith(
        ("<!doctype html", "<html")
    )


def _page(
    status: int, headers: Mapping[str, str], text: str, host: str, request_id: str | None
) -> MissyError:
    cloudflare = "cf-mitigated" in headers or "Just a moment" in text or "cloudflare" in text[:5000].lower()
    if cloudflare:
        return ProviderError(
            f"blocked by Cloudflare in front of {host} ({status})",
            hint="not a matter of the key: try another network, or wait",
            status=status,
            request_id=request_id,
        )
    return ProviderError(
        f"{host} answered {status} with a web page, not as an API",
        hint="is base_url right? most end in /v1",
        status=status,
        request_id=request_id,
    )
