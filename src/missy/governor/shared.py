"""What processes on one machine tell each other about an endpoint: a small file, changed under its lock.

It holds the end of the shared pause, the rate that was learnt, and who takes part. Each process keeps to its part of the
rates. Times in it are Unix seconds. If the file cannot be used, the process goes on by itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy import files
from missy.errors import MissyError
from missy.governor.learning import Allowance

if TYPE_CHECKING:
    from pathlib import Path

    from missy.governor.core import Governor

READ_SECONDS = 0.1  # between two looks at the file
WRITE_SECONDS = 1.0  # between two signs of life
GONE_SECONDS = 5.0  # without a sign of life, a process is no longer counted
_SIZE = 4096
_LOCK_SECONDS = 1.0


class SharedPace:
    """The file of one endpoint and credential. Without a path nothing is shared."""

    def __init__(self, folder: Path | None, *identity: str) -> None:
        self._me = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._read_at = self._written_at = 0.0
        self._file = -1
        if folder is None:
            return
        name = hashlib.sha256("\0".join(identity).encode("utf-8", "replace")).hexdigest()[:32]
        with suppress(MissyError):
            self._file = files.open_private(folder / f"{name}.json", os.O_RDWR | os.O_CREAT)
            self._path = folder / f"{name}.json"

    def delay(self, governor: Governor, now: float) -> float:
        """Look at the file if the last look is a while ago. Returns the pause that others were asked for, in seconds."""
        if self._file >= 0 and now - self._read_at >= READ_SECONDS:
            self._read_at = now
            self._adopt(governor, self._read(), now)
            if now - self._written_at >= WRITE_SECONDS:
                self.tell(governor, now)
        return governor.pause(now)

    def tell(self, governor: Governor, now: float) -> None:
        """Write a sign of life, the pause and the learnt rate."""
        if self._file < 0:
            return
        self._written_at, wall = now, time.time()
        with suppress(MissyError, OSError):
            files.wait_for_lock(self._file, self._path, _LOCK_SECONDS)
            try:
                told = self._read()
                members = {
                    who: at
                    for who, at in _members(told).items()
                    if who != self._me and wall - at < GONE_SECONDS
                }
                until = max(_number(told.get("until")), wall + governor.pause(now))
                known = _allowance(told) if members else None  # nobody is left who keeps it true
                governor.share(len(members) + 1, known, now)
                learned = governor.learned
                self._write({"until": until, "learned": learned, "members": {**members, self._me: wall}})
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Take part no more."""
        if self._file < 0:
            return
        with suppress(MissyError, OSError):
            files.wait_for_lock(self._file, self._path, _LOCK_SECONDS)
            told = self._read()
            self._write(
                {**told, "members": {who: at for who, at in _members(told).items() if who != self._me}}
            )
        with suppress(OSError):
            os.close(self._file)
        self._file = -1

    def _adopt(self, governor: Governor, told: dict[str, Any], now: float) -> None:
        wall = time.time()
        left = _number(told.get("until")) - wall
        if left > 0:
            governor.hold(left, now)
        others = [at for who, at in _members(told).items() if who != self._me and wall - at < GONE_SECONDS]
        governor.share(len(others) + 1, _allowance(told) if others else None, now)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(os.pread(self._file, _SIZE, 0).rstrip(b"\0 \n") or b"{}")
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        if len(data) < _SIZE:
            os.pwrite(self._file, data.ljust(_SIZE), 0)


def _allowance(told: dict[str, Any]) -> Allowance | None:
    match told.get("learned"):
        case [int(count), int() | float() as window] if count > 0 and window > 0:
            return Allowance(count, float(window))
    return None


def _members(told: dict[str, Any]) -> dict[str, float]:
    found = told.get("members")
    return {str(who): _number(at) for who, at in found.items()} if isinstance(found, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
