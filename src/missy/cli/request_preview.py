"""The request that would be sent, as `--dry-run` prints it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from missy.cli.app import emit_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.events import Attachment
    from missy.providers.base import Preview


def print_preview(preview: Preview, attachments: Sequence[Attachment], *, as_json: bool) -> None:
    """Print the request that would be sent."""
    import json

    from missy.secrets.redact import redact

    if as_json:
        body = json.loads(preview.body) if preview.body else None
        request: dict[str, Any] = {
            "method": preview.method,
            "url": redact(preview.url),
            "credential": preview.credential,
        }
        request["attachments"] = [
            {"name": file.name, "media_type": file.media_type, "bytes": len(file.data)}
            for file in attachments
        ]
        emit_json({**request, "headers": preview.headers, "body": body}, masked=False)
        return
    from missy.attachments.text_part import label
    from missy.cli.output.sanitize import sanitize

    head = [
        f"{preview.method} {redact(preview.url)}",
        f"# credential: {preview.credential}",  # not a header: it says where the key comes from
        *(f"# attachment: {label(file)}, {file.media_type}, {len(file.data)} bytes" for file in attachments),
        *(f"{name}: {value}" for name, value in preview.headers.items()),
    ]
    sys.stdout.write(sanitize("\n".join(head)) + "\n\n" + sanitize(preview.body.decode()) + "\n")
