"""The workspace: the one folder that file tools can reach. Every path is opened beneath it, and then asked for its name.

A path is never compared before it is opened: what a rule decides on is the real path of the open file, so that no link,
no `..` and no rename in between can make it another one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from missy import paths
from missy.errors import UsageError
from missy.toolbox.base import ToolFailed
from missy.toolbox.openat2 import open_beneath

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATH_BYTES = 4000
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link"),
)


class OpenFile:
    """A file or folder of the workspace that is open; `path` is its real path from the workspace on."""

    def __init__(self, file: int, path: str, info: os.stat_result) -> None:
        self.file: int = file
        self.path = path
        self.info = info

    def close(self) -> None:
        """Close it."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    def require_regular(self) -> None:
        """Raise ToolFailed for anything but a regular file: a pipe would wait for ever, a device would act."""
        if not stat.S_ISREG(self.info.st_mode):
            raise ToolFailed(f"{self.path} is {kind_of(self.info.st_mode)}, not a regular file")

    def reopen(self, flags: int) -> int:
        """Open the same file again for reading: it was found without any right to read."""
        return os.open(f"/proc/self/fd/{self.file}", flags | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)


class NewPath(NamedTuple):
    """Where a file is written: the open folder that exists, the folders to make in it, and the name of the file."""

    folder: OpenFile
    missing: tuple[str, ...]
    name: str
    path: str


class _NotThere(ToolFailed):
    """There is no such file or folder."""


class Workspace:
    """The folder, open as long as the toolbox is used. `hidden` are folders in it that belong to Missy."""

    def __init__(self, folder: str) -> None:
        path = os.path.realpath(paths.expand(folder))
        _check(path)
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(
                f"the workspace {path} cannot be opened: {error.strerror}",
                hint="name a folder: tools.workspace",
            ) from None
        self.path = path
        self.hidden: str = os.path.realpath(paths.home())

    def close(self) -> None:
        """Close the folder."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def find(self, path: str) -> OpenFile:
        """Find a file or folder by a path that a model wrote. Raises ToolFailed; nothing is read yet."""
        wanted = self._relative(path)
        with _explained(path):
            return self._named(open_beneath(self._folder, wanted, os.O_PATH), path)

    def find_new(self, path: str) -> NewPath:
        """Find the place of a file that may not exist yet, nor its folders. Raises ToolFailed; nothing is made yet."""
        parts = self._relative(path).split("/")
        name = parts.pop()
        if name in ("", ".", ".."):
            raise ToolFailed(f"{path} names no file")
        missing: list[str] = []
        while True:
            parent = "/".join(parts) or "."
            try:
                with _explained(path):
                    opened = open_beneath(self._folder, parent, os.O_RDONLY | os.O_DIRECTORY)
                break
            except _NotThere:
                missing.insert(0, parts.pop())
                if missing[0] in ("", ".", ".."):
                    raise ToolFailed(f"there is no {parent}") from None
        folder = self._named(opened, parent)
        place = join(folder.path, "/".join([*missing, name]))
        if self._is_hidden(place):
            folder.close()
            raise ToolFailed(f"{path} belongs to Missy itself")
        return NewPath(folder, tuple(missing), name, place)

    def _named(self, file: int, path: str) -> OpenFile:
        """Ask the system for the real path of what was opened."""
        try:
            info = os.fstat(file)
            real = os.readlink(f"/proc/self/fd/{file}")
            relative = os.path.relpath(real, self.path)
            if relative.startswith("../") or relative == ".." or not info.st_nlink:
                raise ToolFailed(f"{path} was moved away just now")
            if self._is_hidden(relative):
                raise ToolFailed(f"{path} belongs to Missy itself")
        except BaseException:
            os.close(file)
            raise
        return OpenFile(file, relative, info)

    def _is_hidden(self, relative: str) -> bool:
        whole = os.path.normpath(os.path.join(self.path, relative))
        return whole == self.hidden or whole.startswith(self.hidden + os.sep)

    def _relative(self, path: str) -> str:
        try:
            raw = path.encode()
        except UnicodeEncodeError:
            raise ToolFailed("the path is not valid Unicode") from None
        if not raw or b"\0" in raw or len(raw) > MAX_PATH_BYTES:
            raise ToolFailed("the path is empty, too long, or has a NUL in it")
        if path == self.path or path.startswith(self.path + "/"):
            return path[len(self.path) + 1 :] or "."
        return path


def _check(path: str) -> None:
    """Refuse a workspace that would hold everything. Raises UsageError."""
    person = os.path.realpath(os.environ.get("HOME") or "/")
    hint = "go to a project's folder, or set tools.workspace"
    if path in ("/", person) or person.startswith(path + "/"):
        raise UsageError(f"{path} cannot be the workspace: it holds all your files", hint=hint)
    home = os.path.realpath(paths.home())
    if path == home or path.startswith(home + "/"):
        raise UsageError(f"{path} cannot be the workspace: it holds Missy's own files", hint=hint)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = _NotThere if error.errno == errno.ENOENT else ToolFailed
        raise kind(explain(path, error)) from None


def explain(path: str, error: OSError) -> str:
    """Return an error of the system as a sentence for the model."""
    if error.errno in (errno.EXDEV, errno.ELOOP):
        return f"{path} lies outside of the workspace, or leads there by a link; nothing was done"
    if error.errno == errno.ENOENT:
        return f"there is no {path}"
    return f"{path} cannot be used: {error.strerror}"


def join(folder: str, name: str) -> str:
    """Join two parts of a path in the workspace."""
    return name if folder == "." else f"{folder}/{name}"


def kind_of(mode: int) -> str:
    """Return what a file is, in words."""
    return next(
        (name for test, name in _KINDS if test(mode)), "a device" if not stat.S_ISREG(mode) else "a file"
    )
