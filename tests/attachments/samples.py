"""The smallest files of each kind, and what goes out for them."""

from __future__ import annotations

import base64

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(60))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(20)
GIF = b"GIF89a" + bytes(20)
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8 " + bytes(20)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
IMAGES = {"image/png": PNG, "image/jpeg": JPEG, "image/gif": GIF, "image/webp": WEBP}


def data_url(media_type: str, data: bytes) -> str:
    """Return the URL that a file goes out as."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
