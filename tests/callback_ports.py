"""The two callback ports of a sign-in: what needs them takes turns with other runs on this machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def taking_turns() -> Iterator[None]:
    """Hold the lock of the ports."""
    path = Path(tempfile.gettempdir()) / f"missy-callback-ports-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
