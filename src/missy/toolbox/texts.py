"""The bytes of a file as text, and back: UTF-8 or binary, line ends and byte order mark as they were. Pure."""

from __future__ import annotations

from typing import NamedTuple

from missy.toolbox.base import ToolFailed

_BOM = b"\xef\xbb\xbf"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"), (b"\x1f\x8b", "application/gzip"),
    (b"\x7fELF", "application/x-elf"), (b"SQLite format 3\x00", "application/x-sqlite3"),
)  # fmt: skip


class FileText(NamedTuple):
    """A text file: its text with plain newlines, and how it is written."""

    text: str
    bom: bool = False
    crlf: bool = False

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        text = self.text.replace("\n", "\r\n") if self.crlf else self.text
        try:
            return (_BOM if self.bom else b"") + text.encode()
        except UnicodeEncodeError:
            raise ToolFailed("the text is not valid Unicode") from None


def decode(data: bytes, path: str) -> FileText:
    """Read the bytes of a text file. Raises ToolFailed for a binary one, saying what it is."""
    bom = data.startswith(_BOM)
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        raise ToolFailed(describe_binary(data, len(data), path)) from None
    if "\0" in text:
        raise ToolFailed(describe_binary(data, len(data), path))
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
    return FileText(text.replace("\r\n", "\n") if crlf else text, bom, crlf)


def is_text(head: bytes) -> bool:
    """Tell whether a file that begins so is text; `head` may end within a character."""
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) - error.start < 4 and error.reason == "unexpected end of data"
    return True


def describe_binary(head: bytes, size: int, path: str) -> str:
    """Return what is said of a file that is no text."""
    kind = next((name for magic, name in _MAGIC if head.startswith(magic)), "unknown type")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "image/webp"
    return f"{path} is binary, {size:,} bytes, {kind}"


def numbered(lines: list[str], first: int) -> str:
    """Return lines with their numbers, `first` for the first of them."""
    width = len(str(first + len(lines) - 1))
    return "\n".join(f"{first + at:>{width}}  {line}" for at, line in enumerate(lines))
