"""Content-Encoding of a response body, checked against its first bytes: if they disagree, the bytes decide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from missy.net.limits import Inflate

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_STEP = ("", "identity", "none", "null", "plain", "binary", "8bit", "7bit", "chunked")
_CHARSET = (  # compiled when a reply names a coding
    r"utf-?\d+(le|be)?|(us-)?ascii|iso-?8859-?\d+|latin-?\d|(windows|cp)-?\d+|gb\d+|gbk|big5|shift[_-]jis|euc-\w+|koi8-\w"
)
_GZIP = b"\x1f\x8b"


def coding_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the compression that Content-Encoding names; "" for none."""
    values = [value.decode("latin-1") for name, value in headers if name.lower() == b"content-encoding"]
    if not values:
        return ""
    words = [word.strip().strip('"').lower() for value in values for word in value.split(",")]
    return ", ".join(word for word in words if word not in _NO_STEP and not re.fullmatch(_CHARSET, word))


class Unpacker:
    """Decodes a body. One labelled gzip that is not gzip passes unchanged; one that is gzip without a label is decoded."""

    __slots__ = ("_coding", "_head", "_inflate", "_known")

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._head = b""
        self._inflate: Inflate | None = None
        self._known = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the decoded pieces. Raises BadReply for a corrupt stream and a coding that was not requested."""
        if not self._known:
            data = self._head + data
            if len(data) < len(_GZIP) and _GZIP.startswith(data):
                self._head = data
                return []
            self._head, self._known = b"", True
            is_gzip = data.startswith(_GZIP)
            if self._coding in ("gzip", "x-gzip", ""):
                self._coding = "gzip" if is_gzip else ""
            self._inflate = Inflate(self._coding) if self._coding else None
        return [data] if self._inflate is None else self._inflate.feed(data)
