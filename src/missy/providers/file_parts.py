"""The files of a message as parts of its content, in the shapes of a wire format. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.events import Attachment, Image, Message

    Part = dict[str, Any]


class Shapes(NamedTuple):
    """How a wire format writes a text, an image (its data URL), and a file (its name and data URL)."""

    text: Callable[[str], Part]
    image: Callable[[str], Part]
    file: Callable[[str, str], Part]


def file_parts(message: Message, shapes: Shapes) -> list[Part]:
    """Return the parts of a message's images and attachments, in their order."""
    from missy.attachments.content import IMAGE, PDF, kind_of
    from missy.attachments.text_part import fenced, label

    parts = [shapes.image(_data_url(image)) for image in message.images]
    for file in message.attachments:
        kind = kind_of(file.media_type)
        if kind == IMAGE:
            parts.append(shapes.image(_data_url(file)))
        elif kind == PDF:
            parts.append(shapes.file(label(file, "document.pdf"), _data_url(file)))
        else:
            parts.append(shapes.text(fenced(file)))
    return parts


def _data_url(file: Image | Attachment) -> str:
    import base64

    return f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
