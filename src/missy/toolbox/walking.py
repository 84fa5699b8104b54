"""Walking through a workspace by open folders: no link is followed, what .gitignore names is left out."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from missy.toolbox.ignoring import Ignores
from missy.toolbox.workspace import join

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRIES = 20_000  # that are looked at in one walk
_MAX_IGNORE_BYTES = 256 << 10


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
    yield from _walk(folder, path, depth, 1, Ignores(), budget, (hidden, root))


def _walk(
    folder: int,
    path: str,
    depth: int,
    level: int,
    above: Ignores,
    budget: list[int],
    places: tuple[str, str],
) -> Iterator[Entry]:
    ignores = above.within(path, _ignore_file(folder))
    for name in sorted(os.listdir(folder)):
        budget[0] -= 1
        if budget[0] < 0:
            return
        with suppress(OSError):
            whole = join(path, name)
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_folder = stat.S_ISDIR(info.st_mode)
            if name == ".git" or ignores.leave_out(whole, is_folder=is_folder):
                continue
            if os.path.join(places[1], whole) == places[0]:
                continue
            yield Entry(folder, name, whole, info, level)
            if is_folder and level < depth:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(name, flags, dir_fd=folder)
                try:
                    yield from _walk(inner, whole, depth, level + 1, ignores, budget, places)
                finally:
                    os.close(inner)


def _ignore_file(folder: int) -> str | None:
    """Return the text of a folder's .gitignore. None where there is none that can be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(".gitignore", flags, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as reader:
        if not stat.S_ISREG(os.fstat(reader.fileno()).st_mode):
            return None
        return reader.read(_MAX_IGNORE_BYTES).decode(errors="replace")
