"""Walking through a workspace by open folders: no link is followed, what .gitignore names is left out."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from missy.toolbox.workspace import join

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pathspec

MAX_ENTRIES = 20_000  # that are looked at in one walk
_MAX_IGNORE_BYTES = 256 << 10
_MAX_PATTERN_CHARS = 512
_MAX_STARS = 2  # of one kind in a pattern: the time grows with their power


class Entry(NamedTuple):
    """One name in a folder: its path in the workspace, what it is, and how to open it from its folder."""

    folder: int
    name: str
    path: str
    info: os.stat_result
    depth: int


def walk(folder: int, path: str, depth: int, hidden: str, root: str) -> Iterator[Entry]:
    """Yield what is in an open folder and in those below it, sorted, to `depth` levels.

    `hidden` is the absolute path of Missy's own folder, which is left out; `root` is that of the workspace. An entry can
    be opened as long as the next one was not asked for.
    """
    budget = [MAX_ENTRIES]
    yield from _walk(folder, path, depth, 1, [], budget, (hidden, root))


def _walk(
    folder: int,
    path: str,
    depth: int,
    level: int,
    ignores: list[tuple[str, pathspec.GitIgnoreSpec]],
    budget: list[int],
    places: tuple[str, str],
) -> Iterator[Entry]:
    own = _ignored(folder)
    known = [*ignores, (path, own)] if own is not None else ignores
    for name in sorted(os.listdir(folder)):
        budget[0] -= 1
        if budget[0] < 0:
            return
        with suppress(OSError):
            whole = join(path, name)
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_folder = stat.S_ISDIR(info.st_mode)
            if name == ".git" or _is_ignored(whole, is_folder, known):
                continue
            if os.path.join(places[1], whole) == places[0]:
                continue
            yield Entry(folder, name, whole, info, level)
            if is_folder and level < depth:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(name, flags, dir_fd=folder)
                try:
                    yield from _walk(inner, whole, depth, level + 1, known, budget, places)
                finally:
                    os.close(inner)


def _ignored(folder: int) -> pathspec.GitIgnoreSpec | None:
    """Read a folder's .gitignore. None where there is none that can be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(".gitignore", flags, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as reader:
        if not stat.S_ISREG(os.fstat(reader.fileno()).st_mode):
            return None
        text = reader.read(_MAX_IGNORE_BYTES).decode(errors="replace")
    import pathspec

    try:
        return pathspec.GitIgnoreSpec.from_lines(filter(_is_cheap, text.splitlines()))
    except ValueError:
        return None


def _is_cheap(line: str) -> bool:
    """Tell whether a pattern is compared in little time, whatever the names are: it comes from a stranger's workspace."""
    parts = line.split("/")
    return (
        len(line) <= _MAX_PATTERN_CHARS
        and parts.count("**") <= _MAX_STARS
        and all(part.count("*") <= _MAX_STARS for part in parts)
    )


def _is_ignored(path: str, is_folder: bool, known: list[tuple[str, pathspec.GitIgnoreSpec]]) -> bool:
    for base, spec in reversed(known):
        relative = path if base == "." else path[len(base) + 1 :]
        found = spec.check_file(relative + "/" * is_folder).include
        if found is not None:
            return found
    return False
