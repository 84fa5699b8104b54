"""What a file is by its bytes, never by its name, and how large it may be. Pure."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError
from missy.events import Attachment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

IMAGE, PDF, TEXT = "image", "pdf", "text"  # the kinds of content
MAX_BYTES = {IMAGE: 20 << 20, PDF: 20 << 20, TEXT: 1 << 20}  # of one file
MAX_ALL_BYTES = 50 << 20  # of all files of one question
NOTICE_TEXT_BYTES = 400_000  # of all texts of one question: more is said before it is sent
HEAD_BYTES = 12  # that tell an image or a PDF from other content

_PDF_TYPE, _TEXT_TYPE = "application/pdf", "text/plain"
_HEADS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", _PDF_TYPE),
)


def binary_type(head: bytes) -> str | None:
    """Return the media type of an image or a PDF from its first bytes; None for anything else."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _HEADS if head.startswith(magic)), None)


def media_type_of(data: bytes) -> str | None:
    """Return the media type of content; None if it is neither an image, a PDF nor UTF-8 text."""
    found = binary_type(data[:HEAD_BYTES])
    if found is not None:
        return found
    return _TEXT_TYPE if is_text(data) else None


def is_text(data: bytes, *, whole: bool = True) -> bool:
    """Tell whether content is UTF-8 text; if it is not `whole`, a character at its end may be cut."""
    if b"\0" in data:
        return False
    try:
        codecs.utf_8_decode(data, "strict", whole)
    except UnicodeDecodeError:
        return False
    return True


def kind_of(media_type: str) -> str:
    """Return the kind of content of a media type: image, pdf or text. "" for any other."""
    if media_type == _PDF_TYPE:
        return PDF
    kind = media_type.partition("/")[0]
    return kind if kind in (IMAGE, TEXT) else ""


def attachment(file: Any) -> Attachment:
    """Return anything with `data`, `media_type` and perhaps `name` as an Attachment, checked. Raises UsageError."""
    if isinstance(file, Attachment):
        made = file
    elif hasattr(file, "data") and hasattr(file, "media_type"):
        made = Attachment(file.data, file.media_type, getattr(file, "name", "") or "")
    else:
        raise UsageError(
            f"an attachment is a {type(file).__name__}",
            hint="give an Attachment, or missy.read_attachment(path)",
        )
    _check(made)
    return made


def check_together(files: Iterable[Attachment]) -> None:
    """Refuse files that are together too large for one question. Raises UsageError."""
    total = sum(len(file.data) for file in files)
    if total > MAX_ALL_BYTES:
        raise UsageError(
            f"the attachments hold {total >> 20} MiB; at most {MAX_ALL_BYTES >> 20} MiB go in one question",
            hint="send them in several questions",
        )


def _check(file: Attachment) -> None:
    name = file.name or file.media_type
    if not isinstance(file.data, bytes):
        raise UsageError(f"the data of {name} is a {type(file.data).__name__}", hint="give its bytes")
    found = media_type_of(file.data)
    if not file.data or found is None:
        raise unfit(name, file.data)
    kind = kind_of(found)
    if len(file.data) > MAX_BYTES[kind]:
        raise too_large(name, kind)
    if kind_of(file.media_type) != kind or (kind == IMAGE and file.media_type != found):
        raise UsageError(f"{name} holds {found}, not {file.media_type}", hint=f"name its type: {found}")


def unfit(name: str, data: bytes) -> UsageError:
    """Return the error for content that cannot be sent."""
    if not data:
        return UsageError(f"{name} is empty", hint="leave it out")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        import shlex

        return UsageError(
            f"{name} is text, but not UTF-8",
            hint=f"convert it: iconv -f UTF-16 -t UTF-8 {shlex.quote(name)} | missy ask ...",
        )
    return UsageError(
        f"{name} is neither a PNG, JPEG, GIF or WebP image, nor a PDF, nor UTF-8 text",
        hint="convert it to one of these; what a file is is decided by its content, not by its name",
    )


def too_large(name: str, kind: str) -> UsageError:
    """Return the error for a file over the limit of its kind."""
    what = {IMAGE: "an image", PDF: "a PDF", TEXT: "a text"}[kind]
    return UsageError(
        f"{name} is larger than {MAX_BYTES[kind] >> 20} MiB, which is the most for {what}",
        hint="attach a part of it" if kind == TEXT else "make it smaller first",
    )


def size_notice(files: Sequence[Attachment]) -> str | None:
    """Return what to say of a large text before it is sent; None below the limit."""
    total = sum(len(file.data) for file in files if kind_of(file.media_type) == TEXT)
    if total <= NOTICE_TEXT_BYTES:
        return None
    return f"the attached text has {round(total / 1000)} kB, roughly {round(total / 4000)} thousand tokens"
