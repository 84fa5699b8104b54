"""Characters outside the basic plane that a server has cut in two: `\\ud83d` in one piece, `\\ude00` in the next. Pure."""

from __future__ import annotations


def joined(text: str) -> str:
    """Join the halves of characters in a text; a half that stays alone becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Halves:
    """Pieces of a text in, the same text out; a first half at the end of a piece waits for its second."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """Take a piece; return what of the text is certain by now."""
        if not self._half and piece.isascii():
            return piece
        text = self._half + piece
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return joined(text)

    def flush(self) -> str:
        """Return what was held back."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""
