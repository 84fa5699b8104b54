"""Surrogate pairs that a server has split over two pieces: `\\ud83d` in one, `\\ude00` in the next. Pure."""

from __future__ import annotations


def joined(text: str) -> str:
    """Join the surrogate pairs in a text; a lone surrogate becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Halves:
    """Joins surrogate pairs across pieces of a text; a high surrogate at the end of a piece is kept for the next piece."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that is complete now."""
        if not self._half and piece.isascii():
            return piece
        text = self._half + piece
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return joined(text)

    def flush(self) -> str:
        """Return what was kept."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""
