"""Writing the record: one line before anything is sent, another when it has ended."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from missy import files, os_errors, paths
from missy.audit.chain import START, VERSION, Link, link_of, seal_line
from missy.audit.head import begin_head, head_path, read_head, write_head
from missy.audit.reader import last_records
from missy.audit.segments import SEGMENT, SEGMENT_BYTES, begin_segment, drop_segments, finish_rotation
from missy.errors import MissyError
from missy.masking import mask

if TYPE_CHECKING:
    from pathlib import Path

MAX_VALUE_CHARS = 512  # of one value, so that no line comes near the longest
_OWN_FIELDS = frozenset(
    ("id", "category", "port", "method", "credential", "rule", "address")
)  # values that Missy itself chooses
MAX_LOCK_SECONDS = 10.0  # to wait for other writers, who need microseconds each
MAX_ROTATIONS = 100  # of the file while one line waits to be written


class PendingRecord:
    """A request or connection on record as begun, until `Audit.finish` records how it ended."""

    __slots__ = ("fields", "id", "open", "start")

    def __init__(self, fields: dict[str, Any], *, is_open: bool) -> None:
        self.id: str = fields["id"]
        self.fields: dict[str, Any] = fields
        self.open: bool = is_open
        self.start: float = time.monotonic()


class Audit:
    """The writer. One object may serve all threads of a process, and its children after a fork.

    After `segment_bytes` it begins another file, and deletes all but `keep` ended ones.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, segment_bytes: int = SEGMENT_BYTES, keep: int | None = None
    ) -> None:
        self.path: Path = paths.expand(path)
        self._segment_bytes = segment_bytes
        self._keep = keep
        self._pid = os.getpid()
        self._file = self._head = -1
        self._inode = (0, 0)
        self._tail = (-1, *START)  # file size, seq and hash after the last line that this object wrote
        self._thread_lock = threading.Lock()

    def begin(
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
    ) -> PendingRecord:
        """Record what is about to be sent (`kind` connect or request) or was refused, before anything is sent.

        `credential` is an id such as `env:GROQ_API_KEY`. Raises MissyError if the line cannot be
        written: then nothing may be sent.
        """
        what: dict[str, Any] = {
            "id": os.urandom(6).hex(),
            "category": category,
            "entry": entry,
            "host": host,
            "port": port,
            "method": method,
            "path": path.partition("?")[0].partition("#")[0],  # a query may hold a secret
            "credential": credential,
            "rule": rule,
        }
        if address:
            what["address"] = address
        for key, value in extra.items():
            what.setdefault(key, value)
        token = PendingRecord(
            {key: _plain(value) if key in _OWN_FIELDS else _masked(value) for key, value in what.items()},
            is_open=allowed,
        )
        try:
            self._append(kind if allowed else "refused", token.fields)
        except MissyError as error:
            raise MissyError(
                f"the audit could not be written ({error.message}); nothing was sent", hint=error.hint
            ) from error
        return token

    def finish(
        self,
        token: PendingRecord,
        *,
        status: int | None = None,
        bytes_out: int = 0,
        bytes_in: int = 0,
        outcome: str = "ok",
        error: str = "",
    ) -> bool:
        """Record how it ended, once. Returns False if the line cannot be written: the answer is kept all the same."""
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
        """Close the file. The next line opens it again."""
        with self._thread_lock:
            self._close_files()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0 and self._pid == os.getpid():
            self._close_files()

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        if self._pid != os.getpid():  # after a fork only one thread is left
            # The descriptor shares the parent's flock, and the inherited thread lock may be held for ever.
            self._thread_lock = threading.Lock()
            self._close_files()
            self._pid = os.getpid()
        with self._thread_lock:
            try:
                try:
                    size = self._lock_file()
                    if size >= self._segment_bytes and self._rotate(size):
                        size = os.fstat(self._file).st_size
                    self._write(size, {"time": _now(), "event": event, "v": VERSION, **fields})
                finally:
                    if self._file >= 0:
                        fcntl.flock(self._file, fcntl.LOCK_UN)
            except OSError as error:
                raise os_errors.fault("write", self.path, error) from error

    def _lock_file(self) -> int:
        """Lock the file that `path` names now, reopened if it was rotated. Returns its size."""
        for _ in range(MAX_ROTATIONS):
            if self._file < 0:
                self._open()
            files.wait_for_lock(self._file, self.path, MAX_LOCK_SECONDS)
            with suppress(FileNotFoundError):
                info = os.lstat(self.path)
                if (info.st_dev, info.st_ino) == self._inode:
                    if info.st_nlink == 1 or (info.st_nlink == 2 and finish_rotation(self.path, self._inode)):
                        return info.st_size
                    raise MissyError(
                        f"refused to use {self.path}: the file has a second name (hard link)",
                        hint="remove the other name, or put a copy in its place",
                    )
            self._close_files()
        raise MissyError(f"{self.path} is replaced again and again", hint="find out which program does so")

    def _open(self) -> None:
        self._file = files.open_private(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        info = os.fstat(self._file)
        self._inode = (info.st_dev, info.st_ino)
        self._head = files.open_private(head_path(self.path), os.O_RDWR | os.O_CREAT)

    def _close_files(self) -> None:
        """Close the file; that releases its lock too, unless a parent process holds the same one."""
        for file in (self._file, self._head):
            if file >= 0:
                with suppress(OSError):
                    os.close(file)
        self._file, self._head, self._tail = -1, -1, (-1, *START)

    def _rotate(self, size: int) -> bool:
        """End the file and begin another one, under the locks of both. Returns whether it was done."""
        record: dict[str, Any] = {"time": _now(), "event": SEGMENT, "v": VERSION, "category": SEGMENT}
        link = Link(*self._tail[1:]) if self._tail[0] == size else self._find_end(size, record)
        begun = begin_segment(self.path, self._file, link, record, self._keep)
        if begun is None:
            return False
        os.close(self._file)
        self._file, last = begun
        info = os.fstat(self._file)
        self._inode, self._tail = (info.st_dev, info.st_ino), (info.st_size, *last)
        with suppress(OSError):
            write_head(self._head, *last)
            drop_segments(self.path, self._file)
        return True

    def _write(self, size: int, record: dict[str, Any]) -> None:
        """Write one line with one system call, chained to the last one; remove a line that was cut short."""
        is_ours = self._tail[0] == size  # nobody has written since: the end is known
        seq, prev = self._tail[1:] if is_ours else self._find_end(size, record)
        line, seal = seal_line(record, seq + 1, prev)
        if size and not is_ours and os.pread(self._file, 1, size - 1) != b"\n":
            line = b"\n" + line  # a writer was killed in the middle of a line: start a new one
        self._tail = (-1, *START)
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
        with suppress(OSError):  # the line is written; a head file one line behind is no sign of tampering
            write_head(self._head, seq + 1, seal)

    def _find_end(self, size: int, record: dict[str, Any]) -> Link:
        """Return the link that the next line is chained to.

        Where the record does not match the head file, because lines were cut off or rewritten, that is the
        head's link: the gap then stays visible in the chain. `record` is marked if the head file is missing.
        """
        newest = next(last_records(self._file, size), None)
        last = link_of(newest) if newest else START
        head = read_head(self._head)
        if head is None:
            if newest and "v" in newest:
                record["head_lost"] = True
            begin_head(self._head, last)
        elif not self._contains(size, head):
            return Link(max(head.seq, last.seq), head.hash)
        return last

    def _contains(self, size: int, head: Link) -> bool:
        """Tell whether the line that the head file names is in the record: the last one, or one shortly before it."""
        if head == START:
            return True
        oldest: dict[str, Any] | None = None
        for oldest in last_records(self._file, size):
            if oldest["seq"] <= head.seq:
                return link_of(oldest) == head
        # The first line of a file is chained to the last one of the file before.
        return oldest is not None and Link(oldest["seq"] - 1, oldest["prev"]) == head


def _now() -> str:
    """Return the current time in RFC 3339 format: UTC, in milliseconds."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _plain(value: Any) -> Any:
    """Return a value fit for the record: text is shortened, other types than bool, int and None become text."""
    if value is None or type(value) in (bool, int):
        return value
    return str(value)[:MAX_VALUE_CHARS]


def _masked(value: Any) -> Any:
    """Return a value that others influence (a path, a name): secrets in it are masked before it is shortened."""
    return _plain(mask(value) if isinstance(value, str) else value)
