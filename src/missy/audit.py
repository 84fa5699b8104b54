"""The audit: a JSON object a line for all that leaves the machine, each line chained to the one before.

It must never hold a credential, a query or a body; never let anything leave that it could not write down
first; and never change or remove a whole line. Many processes write to one file, in turn, under its flock.

`hash` is the SHA-256 of the line without its last member (`,"hash":"..."`). That covers `prev`, the hash of
the line before, so an edited, removed, added or moved line is found. The chain alone can't show that the newest
lines were cut off, or that the whole file was written anew: for that, note the head and the number of lines
elsewhere. A line is given to the system, not forced to the disk: it outlives the process, but perhaps not a
loss of power.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import files, os_errors, paths
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterator

GENESIS = "0" * 64  # `prev` of the first line
LONGEST_LINE = 1 << 17  # bytes
_LONGEST_TEXT = 512  # characters of one value, so that no line comes near the longest
_MOST_ROTATIONS = 100  # of the file while one line waits to be written
_PATIENCE = 10.0  # seconds to wait for other writers, who need microseconds each
_START, _SEAL = b'{"time":"', re.compile(rb',"hash":"[0-9a-f]{64}"}\Z')
_SEAL_LENGTH = 75


class Opened:
    """What was written down as leaving, until `Audit.closed` says how it ended."""

    __slots__ = ("fields", "id", "open", "start")

    def __init__(self, fields: dict[str, Any], *, is_open: bool) -> None:
        self.id: str = fields["id"]
        self.fields = fields
        self.open = is_open
        self.start = time.monotonic()


class Audit:
    """The writer's side. One object may serve all threads of a process, and its children after a fork."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = paths.expand(path)
        self._pid = os.getpid()
        self._file = -1
        self._inode = (0, 0)
        self._tail = (-1, 0, GENESIS)  # file size, seq and hash after the last line of our own
        self._turn = threading.Lock()

    def opened(
        self,
        *,
        kind: str,
        category: str,
        host: str,
        port: int,
        method: str = "",
        path: str = "",
        credential: str = "",
        rule: str = "",
        entry: str = "",
        allowed: bool = True,
        address: str = "",
        **extra: Any,
    ) -> Opened:
        """Write down what is about to leave (`kind` connect or request), or was refused, before it does.

        `credential` is an id such as `env:GROQ_API_KEY`. Raises MissyError when that failed: send nothing.
        """
        what: dict[str, Any] = {
            "id": os.urandom(6).hex(),
            "category": category,
            "entry": entry,
            "host": host,
            "port": port,
            "method": method,
            "path": re.split("[?#]", path, maxsplit=1)[0],  # a query may hold a secret
            "credential": credential,
            "rule": rule,
        }
        if address:
            what["address"] = address
        for key, value in extra.items():
            what.setdefault(key, value)
        token = Opened({key: _plain(value) for key, value in what.items()}, is_open=allowed)
        try:
            self._append(kind if allowed else "refused", token.fields)
        except MissyError as error:
            raise MissyError(
                f"the audit could not be written ({error.message}); nothing was sent", hint=error.hint
            ) from error
        return token

    def closed(
        self,
        token: Opened,
        *,
        status: int | None = None,
        bytes_out: int = 0,
        bytes_in: int = 0,
        outcome: str = "ok",
        error: str = "",
    ) -> bool:
        """Write down how it ended, once. Returns False when that failed: the answer is there all the same."""
        if not token.open:
            return True
        token.open = False
        end = {
            "status": status,
            "bytes_out": bytes_out,
            "bytes_in": bytes_in,
            "duration_ms": round((time.monotonic() - token.start) * 1000, 1),
            "outcome": _plain(outcome),
            "error": _plain(error),
        }
        try:
            self._append("end", token.fields | end)
        except (MissyError, ValueError, TypeError):
            return False
        return True

    def close(self) -> None:
        """Give the file back. The next line opens it again."""
        with self._turn:
            self._forget()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0 and self._pid == os.getpid():
            with suppress(OSError):
                os.close(self._file)

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        if self._pid != os.getpid():  # only ever in the one thread that a fork leaves
            # After a fork, the descriptor shares the parent's lock on the file, and our own may be held for ever.
            self._turn = threading.Lock()
            self._forget()
            self._pid = os.getpid()
        with self._turn, os_errors.faults("write", self.path):
            try:
                self._write(self._lock_file(), {"time": _now(), "event": event} | fields)
            finally:
                if self._file >= 0:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock_file(self) -> int:
        """Lock the file that `path` names now, opened anew if it was rotated. Returns its size."""
        for _ in range(_MOST_ROTATIONS):
            if self._file < 0:
                self._open()
            files.wait_for_lock(self._file, self.path, _PATIENCE)
            with suppress(FileNotFoundError):
                info = os.lstat(self.path)
                if (info.st_dev, info.st_ino) == self._inode:
                    if info.st_nlink == 1:
                        return info.st_size
                    raise MissyError(
                        f"refused to use {self.path}: the file has a second name (hard link)",
                        hint="remove the other name, or put a copy in its place",
                    )
            self._forget()
        raise MissyError(f"{self.path} is replaced all the time", hint="find out which program does so")

    def _open(self) -> None:
        self._file = files.open_private(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        info = os.fstat(self._file)
        self._inode = (info.st_dev, info.st_ino)

    def _forget(self) -> None:
        """Close the file; that ends its lock too, unless a parent process holds the same one."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._tail = -1, (-1, 0, GENESIS)

    def _write(self, size: int, record: dict[str, Any]) -> None:
        """Write one line with one call, chained to the last whole one; take back what was cut short."""
        seq, prev = self._tail[1:] if self._tail[0] == size else _last(self._file, size)
        line, seal = _seal(record, seq + 1, prev)
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            line = b"\n" + line  # a writer was killed in the middle of its line: begin a new one
        self._tail = (-1, 0, GENESIS)
        written = 0
        try:
            written = os.write(self._file, line)
        finally:
            if written < len(line):
                os.ftruncate(self._file, size)
        if written < len(line):
            raise MissyError(
                f"{self.path}: the disk took only part of a line", hint="free some space on that disk"
            )
        self._tail = (size + written, seq + 1, seal)


class Report(NamedTuple):
    """What `verify` found: `lines` whole ones, the hash of the last, and what is wrong, by line number.

    `interrupted` are lines that a killed writer or a full disk cut short; they are no sign of tampering.
    """

    ok: bool
    lines: int
    head: str
    problems: tuple[tuple[int, str], ...]
    interrupted: tuple[int, ...]


def verify(path: str | os.PathLike[str]) -> Report:
    """Check every line of the file and the chain between them, while others may go on writing.

    Raises MissingFile when there is no audit yet, MissyError when it can't be read. The head of this file
    says what no chain can show.
    """
    count, expected, head = 0, 1, GENESIS
    problems: list[tuple[int, str]] = []
    interrupted: list[int] = []
    for number, line in enumerate(_raw_lines(path), 1):
        record = _whole(line)
        if record is None and _torn(line):
            interrupted.append(number)
        elif record is None:
            problems.append((number, "this is no line of the audit, or it was changed"))
        else:
            if what := _flaw(line, record, expected, head):
                problems.append((number, what))
            count, expected, head = count + 1, record["seq"] + 1, record["hash"]
    return Report(not problems, count, head if count else "", tuple(problems), tuple(interrupted))


def whole_lines(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each whole line, as it is in the file and as a record, oldest first. Raises as `verify` does."""
    for line in _raw_lines(path):
        if (record := _whole(line)) is not None:
            yield line, record


def newest(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the record of each whole line, newest first, reading no more than is asked for."""
    file = files.open_private(path, os.O_RDONLY)
    try:
        for line in _backwards(file, os.fstat(file).st_size, LONGEST_LINE):
            if (record := _whole(line)) is not None:
                yield record
    finally:
        os.close(file)


def _seal(record: dict[str, Any], seq: int, prev: str) -> tuple[bytes, str]:
    """Return the line for a record, and its hash."""
    record["seq"], record["prev"] = seq, prev
    body = json.dumps(record, separators=(",", ":")).encode("ascii")
    if len(body) > LONGEST_LINE - 128:
        raise MissyError(
            f"a line of {len(body)} bytes is too long for the audit", hint="report this; it is a bug"
        )
    seal = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{seal}"}}\n'.encode("ascii"), seal


def _whole(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line that has its end, or None for a torn or foreign one."""
    if not line.startswith(_START) or not _SEAL.search(line):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record.get("seq"), int) or not isinstance(record.get("prev"), str):
        return None
    assert isinstance(record, dict)
    return record


def _torn(line: bytes) -> bool:
    """Tell a line that its writer could not finish: the front of one, or zeros after a crash."""
    if not line.startswith(_START):
        return bool(line) and _START.startswith(line.strip(b"\0"))
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False  # the front of an object is no object: somebody took the end off and closed it


def _flaw(line: bytes, record: dict[str, Any], expected: int, head: str) -> str:
    """Return what is wrong with a whole line that should be number `expected` and follow on `head`, or ''."""
    body = line[:-_SEAL_LENGTH] + b"}"
    if hashlib.sha256(body).hexdigest() != record["hash"]:
        return "this line was changed"
    if record["prev"] == head and record["seq"] == expected:
        return ""
    missing = record["seq"] - expected
    if missing > 0:
        return f"{missing} line{'s' * (missing > 1)} before it removed, or this one moved"
    if missing < 0:
        return "this line was moved or added, or one before it was"
    return "it does not follow on the line before: that one was changed or added"


def _last(file: int, size: int) -> tuple[int, str]:
    """Return seq and hash of the last whole line."""
    for line in _backwards(file, size, 4096):
        if (record := _whole(line)) is not None:
            return record["seq"], record["hash"]
    return 0, GENESIS


def _backwards(file: int, size: int, block: int) -> Iterator[bytes]:
    """Yield the lines of an open file from the last to the first, without their ends."""
    rest, end = b"", size
    while end > 0:
        start = max(0, end - block)
        found = (os.pread(file, end - start, start) + rest).split(b"\n")
        rest = found.pop(0)
        yield from reversed(found)
        if len(rest) > LONGEST_LINE:
            rest = b""  # no line of ours; what is left of it in front has no end and counts as torn
        end = start
    yield rest


def _raw_lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the lines that are there now, none half written by a writer at work; a huge one in pieces."""
    file = files.open_private(path, os.O_RDONLY)
    with os.fdopen(file, "rb") as stream:
        files.wait_for_lock(file, path, _PATIENCE)
        left = os.fstat(file).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
        while left > 0 and (line := stream.readline(min(left, LONGEST_LINE))):
            left -= len(line)
            yield line.removesuffix(b"\n")


def _now() -> str:
    """Return the time as RFC 3339 has it: UTC, in milliseconds."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


def _plain(value: Any) -> Any:
    """Return a value that JSON has a short form for: text is cut, anything else becomes its text."""
    if value is None or type(value) in (bool, int):
        return value
    return str(value)[:_LONGEST_TEXT]
