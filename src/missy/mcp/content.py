"""What a call of a server's tool gave, as text for the model. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from missy.events import Image

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_IMAGE_BYTES = 4 << 20
MAX_PARTS = 1000


class Result(NamedTuple):
    """The text, the first image if there is one, and whether the tool says that it failed."""

    text: str
    image: Image | None = None
    failed: bool = False


def read_content(result: dict[str, Any]) -> Result:
    """Read a result of `tools/call`: texts as they are, of everything else the kind and the size."""
    lines: list[str] = []
    image: Image | None = None
    for part in result.get("content", [])[:MAX_PARTS]:
        kind = part.get("type")
        if kind == "text":
            lines.append(str(part.get("text", "")))
            continue
        found = _image(part) if kind == "image" and image is None else None
        image = found or image
        lines.append("[an image follows]" if found else _described(part))
    if not lines and result.get("structuredContent") is not None:
        lines.append(json.dumps(result["structuredContent"], ensure_ascii=False))
    return Result("\n".join(lines), image, bool(result.get("isError")))


def _image(part: dict[str, Any]) -> Image | None:
    """Return a picture that a model can be sent, None for any other."""
    kind, data = str(part.get("mimeType", "")), str(part.get("data", ""))
    if kind not in _IMAGES or len(data) > MAX_IMAGE_BYTES * 4 // 3:
        return None
    try:
        return Image(base64.b64decode(data, validate=True), kind)
    except (binascii.Error, ValueError):
        return None


def _described(part: dict[str, Any]) -> str:
    kind = str(part.get("type"))
    inner = part.get("resource")
    if kind == "resource" and isinstance(inner, dict):
        if isinstance(inner.get("text"), str):
            return str(inner["text"])
        part, kind = inner | {"data": inner.get("blob", "")}, "resource"
    if kind == "resource_link":
        return f"[a link to the resource {str(part.get('uri', ''))[:200]}]"
    size = len(str(part.get("data", ""))) * 3 // 4
    return f"[{kind[:40]}, {str(part.get('mimeType', 'unknown kind'))[:80]}, {size:,} bytes]"
