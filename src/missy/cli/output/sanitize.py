r"""Sanitizes text from outside, so that it cannot control the terminal, hide text or reorder it.

Each character is handled on its own, so a stream gives the same result wherever it is split, and no state is kept.
Control characters become visible (`\x1b`); invisible characters are dropped. The joiners U+200C and U+200D and the
variation selectors U+FE0E and U+FE0F stay: Persian and emoji need them. Never decide by context: such a rule can be
tricked by the text around a character.
"""

from __future__ import annotations

import re
from functools import cache

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline; DEL; C1
_SEPARATORS = "\u2028\u2029"
_UNENCODABLE = "\ud800-\udfff"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = (  # Unicode's Default_Ignorable_Code_Point and the interlinear marks, except the four that stay
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(0xFFFE + p)}{chr(0xFFFF + p)}" for p in range(0, 0x110000, 0x10000)
)


@cache
def _suspect() -> re.Pattern[str]:
    """Compile the pattern on first use: that takes a tenth of the interpreter's start."""
    return re.compile(f"[{_CONTROLS}{_SEPARATORS}{_UNENCODABLE}{_BIDI}{_INVISIBLE}{_NONCHARACTERS}]")


@cache
def _control() -> re.Pattern[str]:
    """Compile the pattern of what is not written to a pipe either."""
    return re.compile(f"[{_CONTROLS}{_UNENCODABLE}]")


def _replace(found: re.Match[str]) -> str:
    """Return the replacement of one character that must not be shown."""
    char, code = found[0], ord(found[0])
    if char in _SEPARATORS:
        return "\n"
    if char != "\r" and (code < 0x20 or 0x7F <= code <= 0x9F):
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE:
        return "\ufffd"
    return ""


def sanitize(text: str, *, newlines: bool = True) -> str:
    r"""Return `text` safe to show on a terminal. Newlines and tabs stay, or become spaces with `newlines=False`.

    A carriage return is dropped, so `\r\n` is a newline and no text is overwritten. A lone surrogate or a
    noncharacter becomes U+FFFD, so the result can always be encoded.
    """
    if text.isascii() and text.isprintable():
        return text
    if not (text.isascii() and text.replace("\n", "").isprintable()):
        text = _suspect().sub(_replace, text)
    return text if newlines else text.replace("\n", " ").replace("\t", " ")


def escape_controls(text: str) -> str:
    """Return `text` for a pipe or a file: control characters and what cannot be encoded are replaced as in
    `sanitize`, the rest stays.

    A pipe may end at a terminal (`missy ask | cat`), so control characters do not pass. Direction
    marks and the like belong to the text of many languages, and a file must keep them.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return _control().sub(_replace, text)
