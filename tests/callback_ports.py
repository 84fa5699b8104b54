"""The two callback ports of a sign-in: what needs them takes turns with other runs on this machine."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from missy.auth.loopback import PORTS

SAFETY = 120.0  # seconds; another user's tests hold them for less


@contextmanager
def taking_turns() -> Iterator[None]:
    """Hold the lock of the ports, once nobody listens there: another user has a lock of its own, a demo has none."""
    path = Path(tempfile.gettempdir()) / f"missy-callback-ports-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        deadline = time.monotonic() + SAFETY
        while not all(map(_is_free, PORTS)) and time.monotonic() < deadline:
            time.sleep(0.1)  # nothing tells when a port of another process is free
        yield


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
