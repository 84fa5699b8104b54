"""What the tests of the record share: a request, and ways to write it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from missy.audit import Audit

REQUEST: dict[str, Any] = {
    "kind": "request",
    "category": "provider",
    "host": "api.groq.com",
    "port": 443,
    "method": "POST",
    "path": "/openai/v1/chat/completions",
    "credential": "env:GROQ_API_KEY",
    "rule": "entry:groq",
    "entry": "groq",
}
CHILD = f"""
import os, resource, sys
from missy.audit import Audit
from missy.errors import MissyError
REQUEST = {REQUEST!r}
log = Audit(sys.argv[1])
"""


def child(code: str, path: Path, **popen: Any) -> subprocess.Popen[bytes]:
    """Start a process that has the audit open as `log`."""
    return subprocess.Popen([sys.executable, "-c", CHILD + code, str(path)], **popen)


def fill(path: Path, pairs: int) -> list[bytes]:
    """Write some requests with their ends; return the lines."""
    log = Audit(path)
    for _ in range(pairs):
        assert log.finish(log.begin(**REQUEST), status=200, bytes_out=10, bytes_in=20)
    log.close()
    return path.read_bytes().splitlines(keepends=True)
