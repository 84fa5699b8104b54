"""Parsing JSON objects from endpoints, including very long ones and those followed by an end marker. Pure.

Images are removed from a long object before it is parsed: they are not shown, and they make it long. The rest is
limited by the memory that it would need.
"""

from __future__ import annotations

import re
from typing import Any

from missy.errors import BadReply
from missy.net.limits import read_json

LONG = 2 << 20  # bytes up to which an object is parsed without removing images
MAX_EVENT = 16 << 20  # bytes of one object; text with non-ASCII characters counts eightfold, as in memory
_DATA_URL = re.compile(rb'"data:[\w.+-]{1,60}\\?/[^"\\,]{1,200},(?:[^"\\]++|\\/)*+"')
_PICTURE = re.compile(rb'("(?:b64_json|result|partial_image_b64)"\s{0,9}:\s{0,9})"[A-Za-z0-9+/=_-]{1024,}+"')
_OPAQUE = re.compile(rb'"[A-Za-z0-9+/=_.:-]{65536,}+"')  # encrypted reasoning: long, one byte per character
_END_MARK = re.compile(rb"data: ?\"?\[DONE\]")


def read_object(data: str | bytes | bytearray) -> dict[str, Any]:
    """Parse a JSON object. Raises BadReply for anything else, and for one that is too long."""
    if len(data) > LONG and not isinstance(data, str):
        data = _shortened(data)
    try:
        value = read_json(data)
    except (ValueError, RecursionError) as error:  # also invalid UTF-8, 5,000-digit integers and deep nesting
        raise BadReply(f"the endpoint sent something that is not JSON ({type(error).__name__})") from None
    if isinstance(value, list) and len(value) == 1:  # Google's endpoint wraps its errors in a list
        value = value[0]
    if not isinstance(value, dict):
        raise BadReply("the endpoint sent JSON that is not an object")
    return value


def read_whole(body: bytes | bytearray) -> dict[str, Any]:
    """Parse a response that is one JSON object, with or without the end marker of a stream after it."""
    mark = max(body.rfind(b"data:"), 0)
    return read_object(body[:mark] if mark and _END_MARK.match(body, mark) else body)


def is_marked(body: bytes | bytearray) -> bool:
    """Tell whether the body is a complete object followed by the end marker of a stream."""
    if not bytes(body[-40:]).rstrip().endswith((b"[DONE]", b'[DONE]"')):
        return False
    try:
        read_whole(body)
    except BadReply:
        return False
    return True


def _shortened(data: bytes | bytearray) -> bytes:
    short = _PICTURE.sub(rb'\1""', _DATA_URL.sub(b'"data:"', data))
    if len(short) <= LONG:
        return short
    rest = _OPAQUE.sub(b"", short)
    is_wide = not rest.isascii() or b"\\u" in rest
    if len(short) + (7 * len(rest) if is_wide else 0) > MAX_EVENT:
        raise BadReply(f"one event of the stream is longer than {MAX_EVENT >> 20} MiB")
    return short
