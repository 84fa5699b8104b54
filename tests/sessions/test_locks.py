"""The lock of a session, as its holder may be interrupted."""

from __future__ import annotations

import os
import sys
from typing import Any

from missy.sessions.locks import Lock
from missy.sessions.store import Store

MOST_LINES = 60  # more than taking a lock executes


def interrupted(lock: Lock, number: int) -> bool:
    """Take a lock, interrupted before the line of this number that its module executes; tell whether it was."""
    module = sys.modules[Lock.__module__].__file__
    left = [number]

    def line(_frame: Any, event: str, _argument: Any) -> Any:
        left[0] -= event == "line"
        if left[0] == 0:
            raise KeyboardInterrupt
        return line

    def call(frame: Any, _event: str, _argument: Any) -> Any:
        return line if frame.f_code.co_filename == module else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        lock.take()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupted_lock_is_released(home):
    """Ctrl-C at any line of taking it: after release() the file is closed, and the next one gets the lock."""
    with Store(home / "sessions.db") as store:
        assert Lock(store, "a" * 12, object()).take()
        store_files = len(os.listdir("/proc/self/fd"))
        ends = []
        for number in range(1, MOST_LINES):
            lock = Lock(store, "b" * 12, "one")
            try:
                ends.append(interrupted(lock, number))
            finally:
                lock.release()
            assert len(os.listdir("/proc/self/fd")) == store_files
            other = Lock(store, "b" * 12, "another")
            assert other.take()
            other.release()
        assert ends[0]
        assert not ends[-1]
