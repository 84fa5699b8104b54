"""The servers that tests talk to leave nothing behind: a suite of thousands of them runs in one process."""

from __future__ import annotations

import os
import threading

from tests.servers import Origin, Proxy
from tests.servers.fickle import Fickle


def test_a_closed_server_keeps_no_thread_and_no_descriptor():
    """Also not one that only the kernel knows of: accept(2) reserves the next number before a connection comes."""
    before = threading.active_count(), _next_descriptor()
    for _ in range(20):
        for server in (Origin(b""), Proxy({}), Fickle(b"")):
            with server:
                pass
    assert (threading.active_count(), _next_descriptor()) == before


def _next_descriptor() -> int:
    """The lowest number that is free, as the kernel sees it."""
    number = os.dup(0)
    os.close(number)
    return number
