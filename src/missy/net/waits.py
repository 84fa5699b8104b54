"""How long a server asks to wait before a retry, from headers, JSON fields or sentences. Pure.

A wait is between 0 and MAX_WAIT_SECONDS, or None if the server gave none that can be parsed.
"""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_WAIT_SECONDS = 366 * 86_400.0  # seconds; a server that asks for more means "never"
_YEAR_9999 = 253_402_300_799
MIN_EPOCH_SECONDS = 1e9  # a number from here on is a Unix time, not a duration
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_UNIT = (
    r"(ms|millis(?:econds?)?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
)
_PART = rf"([0-9]{{1,15}}(?:\.[0-9]{{1,12}})?)\s{{0,2}}{_UNIT}(?![A-Za-z])"
_PARTS = re.compile(rf"({_PART})", re.IGNORECASE)
_JOINED = re.compile(r"([0-9](?:\.[0-9]+)?)(ms|[smhdw])(?=[0-9])", re.IGNORECASE)  # 1m30s -> 1m 30s
_SAID = re.compile(
    r"(?:again|retry|retried|retrying|wait|waiting|resets?|available|back ?off|cool ?down|expires?|renews?)"
    r"[^0-9.;\n]{0,40}?\s(?:in|after|for|at least|within|about|:)?\s{0,2}~?(?=[0-9])",
    re.IGNORECASE,
)
_SAID_DATE = re.compile(
    r"\b(?:again|retry|wait|resets?|available|renews?|until)\b[^;\n]{0,40}?\s"
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)",
    re.IGNORECASE,
)
_BARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?=[\s.,;)]*$)")
_ISO = re.compile(r"PT(?:([0-9.]{1,12})H)?(?:([0-9.]{1,12})M)?(?:([0-9.]{1,12})S)?", re.IGNORECASE)

# Names without `_` and `-`, in lower case, as missy.net.error_body compares them.
_SECONDS = (
    "retryafter", "retryafterseconds", "retryaftersec", "retryin", "retrydelay", "resetsinseconds", "resetinseconds",
    "resetsin", "resetin", "resetafter", "resetafterseconds", "waitseconds", "estimatedtime",
)  # fmt: skip
_MILLISECONDS = ("retryafterms", "retryaftermilliseconds", "retrydelayms", "resetinms")
_MOMENTS = ("resetsat", "resetat", "resettime", "resettimestamp", "retryat")


def bounded(seconds: float) -> float | None:
    """Return a wait limited to MAX_WAIT_SECONDS; None for a negative one or NaN."""
    if math.isnan(seconds) or seconds < 0:
        return None
    return min(seconds, MAX_WAIT_SECONDS)


def number(value: object) -> float | None:
    """Parse a number, given as a number or text, of any size; or return None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf if int(value) > 0 else None
    return None if math.isnan(found) else found


def duration(value: object, now: float | None = None) -> float | None:
    """Parse a wait to seconds from now: `17`, `0.5`, `6m0s`, `120ms`, `1h2m`, PT30S (ISO 8601), a Unix time or a date."""
    now = time.time() if now is None else now
    plain = number(value)
    if plain is not None:
        return _from_number(plain, now)
    if not isinstance(value, str):
        return None
    text = value.strip()[:100]
    return _from_units(text) if _PARTS.match(_spaced(text)) else _from_words(text, now)


def moment(value: object, now: float | None = None) -> float | None:
    """Return the seconds from now until a time: Unix seconds or milliseconds, or a date."""
    return duration(value, now)


def _from_number(seconds: float, now: float) -> float | None:
    if math.isinf(seconds):
        return MAX_WAIT_SECONDS if seconds > 0 else None
    for epoch in (seconds, seconds / 1000):
        if seconds >= MIN_EPOCH_SECONDS and now - MAX_WAIT_SECONDS < epoch < now + MAX_WAIT_SECONDS:
            return max(0.0, epoch - now)
    return bounded(seconds)


def _spaced(text: str) -> str:
    return _JOINED.sub(r"\1\2 ", text)


def _from_units(text: str) -> float | None:
    """Add up the parts of a duration at the beginning of a text."""
    total, at, text = 0.0, 0, _spaced(text)
    found = _PARTS.match(text)
    while found:
        unit = found[3].lower()
        unit = "ms" if unit.startswith(("ms", "mil")) else unit[0]
        total += float(found[2]) * _UNITS[unit]
        at = found.end()
        gap = re.compile(r"\s{0,2}(?:,|and)?\s{0,2}").match(text, at)
        found = _PARTS.match(text, gap.end() if gap else at)
    return bounded(total) if at else None


def _from_words(text: str, now: float) -> float | None:
    found = _ISO.fullmatch(text)
    if found and any(found.groups()):
        hours, minutes, seconds = (number(part) or 0.0 for part in found.groups())
        return bounded(hours * 3600 + minutes * 60 + seconds)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            return bounded(max(0.0, at.timestamp() - now))
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def from_sentence(text: str) -> float | None:
    """Return the wait that a sentence names: `try again in 1m30s`, `Retry after 20`, `resets in 2 minutes`."""
    spaced = _spaced(text[:2000])
    for found in _SAID.finditer(spaced):
        rest = spaced[found.end() : found.end() + 100]
        if _PARTS.match(rest):
            return _from_units(rest)
        if bare := _BARE.match(rest):
            return bounded(float(bare[1]))
    date = _SAID_DATE.search(text[:2000])
    return _from_words(date[1], time.time()) if date else None


def from_fields(fields: Mapping[str, Any], now: float | None = None) -> float | None:
    """Return the wait in the fields of a body. Their names are normalized, as in missy.net.error_body."""
    for name in _MILLISECONDS:
        if name in fields and (found := number(fields[name])) is not None:
            return bounded(found / 1000)
    for name in (*_SECONDS, *_MOMENTS):
        if name in fields and (found := duration(fields[name], now)) is not None:
            return found
    inner = fields.get("headers")
    if isinstance(inner, dict):
        return from_headers({str(name).lower(): str(value) for name, value in inner.items()}, now)
    return None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the wait of `retry-after-ms` or `Retry-After` (RFC 9110, 10.2.3: seconds or a date)."""
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None and (found := bounded(milliseconds / 1000)) is not None:
        return found
    return duration(headers.get("retry-after"), now)


def from_headers(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the wait in the headers: Retry-After, else the time until the exhausted limit resets."""
    found = retry_after(headers, now)
    return found if found is not None else resets_in(headers, now)


def resets_in(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the wait until the exhausted limits reset, by `x-ratelimit-reset-*`, `x-codex-*` and similar headers."""
    codex = list(_codex(headers, now))
    if codex:
        return max(codex)
    spent, unknown = [], []
    for name, value in headers.items():
        if "reset" not in name or "ratelimit" not in name.replace("-", ""):
            continue
        found = duration(value, now)
        left = number(headers.get(name.replace("reset", "remaining")))
        if found is not None and left is None:
            unknown.append(found)
        elif found is not None and left is not None and left <= 0:
            spent.append(found)
    return max(spent or unknown, default=None)


def _codex(headers: Mapping[str, str], now: float | None) -> Iterable[float]:
    """Yield the resets of the exhausted windows, of every family `x-codex-primary-…`, `x-codex-NAME-primary-…`."""
    for name, value in headers.items():
        if not name.startswith("x-codex-") or not name.endswith("-used-percent"):
            continue
        window = name.removesuffix("-used-percent")
        if (number(value) or 0.0) < 100:
            continue
        for end in ("-reset-at", "-reset-after-seconds"):
            found = duration(headers.get(window + end), now)
            if found is not None:
                yield found
                break


def full_windows_reset(limits: Mapping[str, Any], now: float | None = None) -> float | None:
    """Return the wait until the exhausted windows of `{"primary": {"used_percent", "reset_at"}, ...}` reset."""
    found = [
        duration(window.get("reset_at", window.get("reset_after_seconds")), now)
        for window in limits.values()
        if isinstance(window, dict) and (number(window.get("used_percent")) or 0.0) >= 100
    ]
    return max((wait for wait in found if wait is not None), default=None)


def resets_at(fields: Mapping[str, Any]) -> float | None:
    """Return when a limit resets, in Unix seconds, from the fields of a body."""
    for name in _MOMENTS:
        at = number(fields.get(name))
        if at is not None and MIN_EPOCH_SECONDS <= at < _YEAR_9999 * 1000:
            return at if at < _YEAR_9999 else at / 1000
    return None


def when(at: float | None, now: float | None = None) -> str:
    """Describe a reset: `it resets in 20 s (20:10:37)`, in local time, with the date unless it is today."""
    if at is None:
        return ""
    now = time.time() if now is None else now
    try:
        then, today = time.localtime(at), time.localtime(now)
        clock = time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", then)
    except (OverflowError, ValueError, OSError):
        return ""
    if at < now - 1:
        return f"it was to reset at {clock}: ask again"
    return f"it resets in {_length(max(0.0, at - now))} ({clock})"


def _length(seconds: float) -> str:
    if seconds < 1:
        return f"{max(1, math.ceil(seconds * 1000))} ms"
    left = math.ceil(seconds)
    if left < 120:
        return f"{left} s"
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3600)
    parts = [(days, "d"), (hours, "h"), (left // 60, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or f"{left} s"
