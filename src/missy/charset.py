"""Which characters may go into an HTTP header, a key or a token. Pure.

One definition for all: text that is accepted here cannot end a header line or begin another one.
"""

from __future__ import annotations


def is_visible_ascii(text: str) -> bool:
    """Tell whether a text has only visible ASCII characters (VCHAR of RFC 5234: 0x21 to 0x7E), without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


def is_field_value(text: str) -> bool:
    """Tell whether a text can be sent as a header's value: visible ASCII and inner spaces (RFC 9110, 5.5)."""
    return text.isascii() and text.isprintable() and text == text.strip()
