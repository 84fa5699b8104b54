"""`read`, `list` and `search`: they look at the workspace and change nothing."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from missy.approval import Action
from missy.approval.protected import holds_secret
from missy.toolbox import schemas
from missy.toolbox.arguments import Arguments
from missy.toolbox.base import Output, Prepared, ToolFailed
from missy.toolbox.matching import MAX_FOUND, STOPPED, Literal, Regex, one_line
from missy.toolbox.texts import decode, is_text, numbered
from missy.toolbox.walking import walk
from missy.toolbox.workspace import kind_of

if TYPE_CHECKING:
    from missy.events import Tool
    from missy.toolbox.matching import Matcher
    from missy.toolbox.results import ResultStore
    from missy.toolbox.workspace import OpenFile, Workspace
    from missy.toolbox.written import Written

MAX_READ_BYTES = 16 << 20  # of one file, of which a part is shown
MAX_LISTED = 1_000
MAX_SEARCHED_BYTES = 4 << 20  # of one file
MAX_SEARCH_BYTES = 256 << 20  # of all files of one search
_HEAD_BYTES = 4096


class Read:
    """`read(path, from?, lines?)`: a text file, its lines numbered. `result:N` is a long result of before."""

    tool: Tool = schemas.READ

    def __init__(self, workspace: Workspace, results: ResultStore, written: Written) -> None:
        self._workspace = workspace
        self._results = results
        self._written = written

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        path = given.text("path")
        first = given.number("from", 1, 1, 1 << 31)
        count = given.number("lines", 1 << 31, 1, 1 << 31)
        given.end()
        if path.startswith("result:"):
            text = self._results.load(path)
            return Prepared(Action("read", path=path), lambda: Output(_part(text, first, count), path))
        found = self._workspace.find(path)
        try:
            found.require_regular()
        except ToolFailed:
            found.close()
            raise
        return Prepared(
            Action("read", path=found.path), lambda: self._read(found, first, count), close=found.close
        )

    def _read(self, found: OpenFile, first: int, count: int) -> Output:
        file = found.reopen(os.O_RDONLY)
        with os.fdopen(file, "rb") as reader:
            data = reader.read(MAX_READ_BYTES + 1)
        if len(data) > MAX_READ_BYTES:
            raise ToolFailed(f"{found.path} is larger than {MAX_READ_BYTES >> 20} MiB")
        self._written.note_read(found.path, data)
        own = self._written.is_own(found.path, data)
        return Output(_part(decode(data, found.path).text, first, count), found.path, own=own)


def _part(text: str, first: int, count: int) -> str:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        return "(the file is empty)"
    if first > len(lines):
        raise ToolFailed(f"it has only {len(lines)} lines")
    return numbered(lines[first - 1 : first - 1 + count], first)


class List:
    """`list(path, depth?)`: names, kinds and sizes."""

    tool: Tool = schemas.LIST

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        path = given.text("path", ".")
        depth = given.number("depth", 1, 1, 5)
        given.end()
        found = self._workspace.find(path)
        return Prepared(Action("list", path=found.path), lambda: self._list(found, depth), close=found.close)

    def _list(self, found: OpenFile, depth: int) -> Output:
        if not stat.S_ISDIR(found.info.st_mode):
            raise ToolFailed(f"{found.path} is {kind_of(found.info.st_mode)}, not a folder")
        lines: list[str] = []
        folder = found.reopen(os.O_RDONLY | os.O_DIRECTORY)
        try:
            for entry in walk(folder, found.path, depth, self._workspace.hidden, self._workspace.path):
                if len(lines) == MAX_LISTED:
                    lines.append("... and more: name a folder further down")
                    break
                lines.append(_line(entry.path, entry.info))
        finally:
            os.close(folder)
        return Output("\n".join(lines) or "(the folder is empty)", f"the names in {found.path}")


def _line(path: str, info: os.stat_result) -> str:
    shown = one_line(path)
    if stat.S_ISDIR(info.st_mode):
        return f"{shown}/"
    if stat.S_ISREG(info.st_mode):
        return f"{shown}  {info.st_size:,} bytes"
    return f"{shown}  {kind_of(info.st_mode)}"


class Search:
    """`search(pattern, path?, glob?, regex?)`: lines with a text, or that match. Files with secrets are left out."""

    tool: Tool = schemas.SEARCH

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        pattern, path, glob = given.text("pattern"), given.text("path", "."), given.text("glob", "*")
        is_regex = given.flag("regex")
        given.end()
        matcher = Regex(pattern) if is_regex else Literal(pattern)
        if not pattern or "\n" in pattern:
            raise ToolFailed("pattern must be a text of one line")
        found = self._workspace.find(path)
        return Prepared(
            Action("search", path=found.path), lambda: self._search(found, matcher, glob), close=found.close
        )

    def _search(self, found: OpenFile, matcher: Matcher, glob: str) -> Output:
        cut = ""
        if stat.S_ISREG(found.info.st_mode):
            if holds_secret(found.path):
                raise ToolFailed(f"{found.path} is not searched: its name says that it holds a secret")
            _search_file(found.reopen(os.O_RDONLY), found.path, matcher)
        elif stat.S_ISDIR(found.info.st_mode):
            folder = found.reopen(os.O_RDONLY | os.O_DIRECTORY)
            try:
                cut = self._search_folder(folder, found.path, matcher, glob)
            finally:
                os.close(folder)
        else:
            raise ToolFailed(f"{found.path} is {kind_of(found.info.st_mode)}")
        lines = matcher.lines()
        if len(lines) > MAX_FOUND:
            lines[MAX_FOUND:] = ["... and more: search for less, or in a folder"]
        elif cut:
            lines.append(cut)
        return Output("\n".join(lines) or "(nothing was found)", f"a search in {found.path}")

    def _search_folder(self, folder: int, path: str, matcher: Matcher, glob: str) -> str:
        """Search what is in a folder; returns what is to be said of the end."""
        budget = MAX_SEARCH_BYTES
        for entry in walk(folder, path, 64, self._workspace.hidden, self._workspace.path):
            matches = fnmatchcase(entry.path if "/" in glob else entry.name, glob)
            if not stat.S_ISREG(entry.info.st_mode) or not matches or holds_secret(entry.path):
                continue
            budget -= min(entry.info.st_size, MAX_SEARCHED_BYTES)
            if budget < 0:
                return STOPPED
            with suppress(OSError):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                if not _search_file(os.open(entry.name, flags, dir_fd=entry.folder), entry.path, matcher):
                    return ""
        return ""


def _search_file(file: int, path: str, matcher: Matcher) -> bool:
    """Give a text file to the matcher; False if it wants no more."""
    with os.fdopen(file, "rb") as reader:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return True
        data = reader.read(MAX_SEARCHED_BYTES)
    return matcher.add(path, data) if is_text(data[:_HEAD_BYTES]) else True
