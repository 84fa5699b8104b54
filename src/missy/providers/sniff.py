"""Detecting the format of a response from its Content-Type and its first bytes. Pure. If they disagree, the bytes decide."""

from __future__ import annotations

_MARK = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BRACKETS = {b"{": "json", b"[": "json", b"<": "html"}


def label_of(content_type: str) -> str:
    """Return the format of a Content-Type: stream, json, html, or unknown."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return "stream"
    if kind == "application/json" or kind.endswith("+json"):
        return "json"
    return "html" if kind in ("text/html", "application/xhtml+xml") else "unknown"


def kind_of(head: bytes, label: str) -> str:
    """Return the format of a response from its beginning: stream, json or html; "" if more bytes are needed."""
    if label == "stream":  # an event stream may begin with anything
        return "stream"
    text = _begun(head)
    if not text:
        return ""
    if text[:1] in _BRACKETS:
        return _BRACKETS[text[:1]]
    if label == "unknown" or text.startswith(_FIELDS):
        return "stream"
    return "" if any(field.startswith(text) for field in _FIELDS) else label


def other_kind(head: bytes) -> str:
    """Return the real format of an event stream without any event: json, html, or "" for neither."""
    return _BRACKETS.get(_begun(head)[:1], "")


def _begun(head: bytes) -> bytes:
    """Return the bytes after a byte order mark and white space."""
    return b"" if _MARK.startswith(head) else head.removeprefix(_MARK).lstrip()
