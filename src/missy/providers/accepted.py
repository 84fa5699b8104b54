"""Whether an entry may be sent the files of a question. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.attachments.content import IMAGE, PDF, attachment, kind_of
from missy.attachments.text_part import label
from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from missy.config.schema import Entry
    from missy.events import Message


def require_accepted(entry: Entry, messages: Iterable[Message]) -> None:
    """Raise UsageError for the first file that cannot be sent to this entry, earlier questions included."""
    for message in messages:
        if message.images and IMAGE not in entry.accepted:
            raise _refused(entry, message.images[0].media_type, IMAGE)
        for file in message.attachments:
            kind = kind_of(attachment(file).media_type)
            if kind in (IMAGE, PDF) and kind not in entry.accepted:
                raise _refused(entry, label(file, file.media_type), kind)


def _refused(entry: Entry, name: str, kind: str) -> UsageError:
    what = {IMAGE: "images", PDF: "PDF files"}[kind]
    allow = ", ".join([*entry.accepted, kind])
    import shlex

    ways = [f"pdftotext {shlex.quote(name)} - | missy ask ..."] if kind == PDF else []
    ways += [f"if its model reads {what}: accepts: [{allow}] in the entry"] if entry.spec.may_accept else []
    return UsageError(
        f"{name} cannot be sent: the entry {entry.entry} takes no {what}",
        hint="; ".join(ways) or "name an entry that takes them with --provider",
    )
