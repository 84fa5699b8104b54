"""Whether this Python has the package that serves the model, checked without importing it (which is slow)."""

from __future__ import annotations

from missy.errors import UsageError
from missy.hints import to_install


def server_version() -> str | None:
    """Return xllamacpp's version from its metadata folder; None if it is not installed."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("xllamacpp")
    if spec is None or not spec.origin:
        return None
    beside = Path(spec.origin).parent.parent.glob("xllamacpp-*.dist-info")
    return next((folder.name.removesuffix(".dist-info").partition("-")[2] for folder in beside), "unknown")


def require_server() -> None:
    """Raise UsageError with a hint how to install it, unless the package is installed."""
    if server_version() is None:
        raise UsageError(
            "the model server is not installed: this Python has no xllamacpp",
            hint=f"first run: {to_install('local')}",
        )
