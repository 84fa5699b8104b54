"""`write` and `edit`: a diff first, a backup, and then the whole file at once, or nothing."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.approval import Action
from missy.toolbox import schemas
from missy.toolbox.arguments import Arguments
from missy.toolbox.base import Output, Prepared, ToolFailed
from missy.toolbox.texts import FileText, decode
from missy.toolbox.workspace import explain, kind_of
from missy.toolbox.written import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.events import Tool
    from missy.toolbox.undo import Backups
    from missy.toolbox.workspace import NewPath, Workspace
    from missy.toolbox.written import Written

MAX_FILE_BYTES = 8 << 20
MAX_DIFF_LINES = 5_000  # of both texts; comparing longer ones could take very long
_TEMPORARY = ".missy-{}.tmp"


class _Current(NamedTuple):
    """The file as it is: its bytes and mode; None where there is none."""

    data: bytes
    mode: int


class Write:
    """`write(path, text)`: a new file, or the whole content of one."""

    tool: Tool = schemas.WRITE

    def __init__(self, workspace: Workspace, written: Written, backups: Backups) -> None:
        self._changer = _Changer(workspace, written, backups)

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        path, text = given.text("path"), given.text("text")
        given.end()

        def change(before: FileText | None) -> FileText:
            return FileText(text) if before is None else before._replace(text=_plain(text, before))

        return self._changer.prepare("write", path, change)


class Edit:
    """`edit(path, old, new, count=1)`: exact text, which must occur exactly so often."""

    tool: Tool = schemas.EDIT

    def __init__(self, workspace: Workspace, written: Written, backups: Backups) -> None:
        self._changer = _Changer(workspace, written, backups)

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        path, old, new = given.text("path"), given.text("old"), given.text("new")
        count = given.number("count", 1, 1, 100_000)
        given.end()
        if not old or old == new:
            raise ToolFailed("old is empty: use write for a new file" if not old else "old and new are equal")

        def change(before: FileText | None) -> FileText:
            if before is None:
                raise ToolFailed(f"there is no {path}; use write for a new file")
            wanted = _plain(old, before)
            found = before.text.count(wanted)
            if found != count:
                raise ToolFailed(f"old occurs {found} times in {path}, not {count}; nothing was changed")
            return before._replace(text=before.text.replace(wanted, _plain(new, before)))

        return self._changer.prepare("edit", path, change)


def _plain(text: str, like: FileText) -> str:
    """Return a text with plain newlines, if the file's own line ends are put back when it is written."""
    return text.replace("\r\n", "\n") if like.crlf else text


class _Changer:
    """What `write` and `edit` have in common."""

    def __init__(self, workspace: Workspace, written: Written, backups: Backups) -> None:
        self._workspace = workspace
        self._written = written
        self._backups = backups

    def prepare(self, tool: str, path: str, change: Callable[[FileText | None], FileText]) -> Prepared:
        place = self._workspace.find_new(path)
        try:
            current = None if place.missing else _read(place.folder.file, place.name, place.path)
            before = decode(current.data, place.path) if current else None
            after = change(before)
            if len(after.encode()) > MAX_FILE_BYTES:
                raise ToolFailed(f"the text is longer than {MAX_FILE_BYTES >> 20} MiB")
            if current is not None and self._written.changed(place.path, current.data):
                raise ToolFailed(
                    f"{place.path} was changed by somebody else since it was read: read it again"
                )
        except OSError as error:
            place.folder.close()
            raise ToolFailed(explain(path, error)) from None
        except BaseException:
            place.folder.close()
            raise
        return Prepared(
            Action(tool, path=place.path),
            lambda: self._apply(place, current, change),
            preview=diff(before.text if before else None, after.text, place.path),
            acts=True,
            close=place.folder.close,
        )

    def _apply(
        self, place: NewPath, seen: _Current | None, change: Callable[[FileText | None], FileText]
    ) -> Output:
        """Change the file as it is now. It may differ from what was shown only by what this run itself wrote since."""
        folder, opened = place.folder.file, []
        try:
            for name in place.missing:
                folder = _make_folder(folder, name)
                opened.append(folder)
            now = _read(folder, place.name, place.path)
            same = (now is None) if seen is None else now is not None and now.data == seen.data
            if not same and (now is None or not self._written.is_own(place.path, now.data)):
                raise ToolFailed(f"{place.path} was changed by somebody else just now; nothing was written")
            data = change(decode(now.data, place.path) if now else None).encode()
            self._backups.save(self._workspace.path, place.path, now.data if now else None, digest(data))
            _replace(folder, place.name, data, now, place.path)
        finally:
            for one in reversed(opened):
                os.close(one)
        self._written.note_write(place.path, data)
        return Output(f"{place.path} is written: {len(data):,} bytes", own=True, private=False)


def _read(folder: int, name: str, path: str) -> _Current | None:
    """Read a file of an open folder; no link is followed. Returns None where there is none."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(info.st_mode):
        raise ToolFailed(f"{path} is {kind_of(info.st_mode)}, not a regular file; nothing was written")
    with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as reader:
        info = os.fstat(reader.fileno())
        data = reader.read(MAX_FILE_BYTES + 1) if stat.S_ISREG(info.st_mode) else b""
    if not stat.S_ISREG(info.st_mode) or len(data) > MAX_FILE_BYTES:
        raise ToolFailed(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB, or no regular file")
    return _Current(data, stat.S_IMODE(info.st_mode))


def _make_folder(folder: int, name: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _replace(folder: int, name: str, data: bytes, before: _Current | None, path: str) -> None:
    """Write a file beside it and rename that: another name of the old file (a hard link) keeps its content."""
    temporary = _TEMPORARY.format(os.urandom(6).hex())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as writer:
            if before is not None:
                os.fchmod(file, before.mode & 0o777)
            writer.write(data)
            writer.flush()
            os.fsync(file)
        now = _read(folder, name, path)
        if (now and now.data) != (before and before.data):
            raise ToolFailed(f"{path} was changed by somebody else just now; nothing was written")
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def diff(before: str | None, after: str, path: str) -> str:
    """Return a unified diff; for a new or a very long file, its whole text."""
    if before is None:
        return f"new file {path}\n" + "\n".join(f"+{line}" for line in after.split("\n"))
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > MAX_DIFF_LINES:
        return f"all of {path}, {len(old)} lines before\n" + "\n".join(f"+{line}" for line in new)
    from difflib import unified_diff

    return "\n".join(unified_diff(old, new, path, path, lineterm="", n=3))
