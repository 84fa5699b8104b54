"""What the audit says of a request besides where it goes: nothing of its content. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.events import Attachment, Image
    from missy.providers.base import Request


def recorded_of(request: Request) -> dict[str, str]:
    """Return what is recorded: type and size in bytes of each file that goes along, those of earlier questions too, and
    the entry that failed before this one was asked.
    """
    files: list[Image | Attachment] = []
    for message in request.messages:
        files += [*message.images, *message.attachments]
    found = (
        {"attachments": ", ".join(f"{file.media_type} {len(file.data)}" for file in files)} if files else {}
    )
    return found if request.fallback_from is None else {**found, "fallback_from": request.fallback_from}
