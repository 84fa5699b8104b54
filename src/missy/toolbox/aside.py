"""Putting aside what a command newly made and what would run later, outside of the sandbox: it is never left in place.

A mount cannot hold the place of a file that does not exist without making it, so the workspace is looked through after the
command, when nothing of it runs any more. A file is new if it was not there before, or if its status changed since the
command began: that time is the kernel's, and no program can set it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from missy import folders, paths
from missy.sandbox.plan import PROTECTED

MAX_ENTRIES = 100_000  # that are looked at after a command
_ANYWHERE = (".git", ".envrc")  # looked for in every folder, the others at the top
_NOT_ENTERED = (".git", "node_modules")
_MAX_CONFIG_BYTES = 16 << 10
# What `git init` and `git clone` write. Every other key of a configuration may name a program.
_PLAIN_CONFIG = re.compile(
    r"""\s*(?:
      \[core\] | (?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks)\s*=\s*\w+
    | \[user\] | (?:name|email)\s*=\s*[\w.@+ -]*
    | \[(?:remote|branch)\ "[\w./-]+"\] | url\s*=\s*(?:https://[\w./:@~+-]+|git@[\w./:~+-]+)
    | fetch\s*=\s*[+\w/:*.-]+ | remote\s*=\s*[\w./-]+ | merge\s*=\s*[\w./-]+ |
    )\s*""",
    re.VERBOSE | re.ASCII,
)


class Watch:
    """What runs later in a workspace, as it was when this was made. `changed` and `put_aside` look again."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._began = time.clock_gettime_ns(getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME))
        self._before = self._states()
        self._git = _number(os.path.join(workspace, ".git"))
        self.is_complete: bool = True  # False after `put_aside` if there was too much to look through

    def changed(self) -> list[str]:
        """Return what was there before, and is not as it was."""
        after = self._states()
        return sorted(name for name, state in self._before.items() if after.get(name) != state)

    def put_aside(self, run: str) -> dict[str, str]:
        """Move what is new out of the workspace, for the run of that id; returns names and where each is now."""
        moved: dict[str, str] = {}
        folder = paths.home() / "tools" / "aside" / run
        for name in self._found():
            place = os.path.join(self._workspace, name)
            parent = os.path.dirname(place)
            if (
                os.path.lexists(place) and os.path.realpath(parent) == parent
            ):  # not by a link to somewhere else
                moved[name] = _move(place, folders.ensure_dir(folder))
        return moved

    def _found(self) -> list[str]:
        found = [
            name
            for name in PROTECTED
            if name not in self._before and (self._git or not name.startswith(".git/"))
        ]
        found += self._new_anywhere()
        return list(dict.fromkeys(found))

    def _new_anywhere(self) -> list[str]:
        found: list[str] = []
        budget = MAX_ENTRIES
        for folder, inner, names in os.walk(self._workspace):
            budget -= len(inner) + len(names)
            if budget < 0:
                self.is_complete = False
                break
            for name in _ANYWHERE:
                place = os.path.join(folder, name)
                if (name in inner or name in names) and self._is_new(place) and not _is_plain(place):
                    found.append(os.path.relpath(place, self._workspace))
            inner[:] = [name for name in inner if name not in _NOT_ENTERED]
        return found

    def _is_new(self, place: str) -> bool:
        """Tell whether a file, or a folder with what makes it run something, is new; what stood at the top before is not."""
        if os.path.dirname(place) == self._workspace:
            name = os.path.basename(place)
            return self._git != _number(place) if name == ".git" else name not in self._before
        inner = [os.path.join(place, name) for name in ("config", "hooks", "commondir")]
        times = [_status_time(one) for one in (place, *inner, *_listed(inner[1]))]
        return max(times) >= self._began

    def _states(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in PROTECTED:
            place = os.path.join(self._workspace, name)
            try:
                info = os.lstat(place)
                inner = sorted(os.listdir(place)) if stat.S_ISDIR(info.st_mode) else []
            except OSError:
                continue
            found[name] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, inner)
        return found


def _number(path: str) -> int:
    """Return the inode of what is there, 0 for nothing: a folder that was replaced has another."""
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def _status_time(path: str) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []


def _is_plain(place: str) -> bool:
    """Tell whether this is a repository as git makes it, which runs nothing: no hook but samples, no unusual key."""
    config = os.path.join(place, "config")
    if (
        os.path.basename(place) != ".git"
        or not _is_kind(place, stat.S_ISDIR)
        or os.path.lexists(f"{place}/commondir")
    ):
        return False
    if not _is_kind(config, stat.S_ISREG) or os.lstat(config).st_size > _MAX_CONFIG_BYTES:
        return False
    text = Path(config).read_text(encoding="utf-8", errors="replace")
    hooks = os.path.join(place, "hooks")
    samples = all(name.endswith(".sample") for name in _listed(hooks))
    is_folder = not os.path.lexists(hooks) or _is_kind(hooks, stat.S_ISDIR)
    return is_folder and samples and all(_PLAIN_CONFIG.fullmatch(line) for line in text.splitlines())


def _is_kind(path: str, kind: object) -> bool:
    try:
        return bool(kind(os.lstat(path).st_mode))  # type: ignore[operator]
    except OSError:
        return False


def _move(place: str, folder: Path) -> str:
    """Move a file or folder; where it cannot leave its file system, it gets a name that nothing runs.

    Returns where it is now.
    """
    number = 1
    while os.path.lexists(target := f"{folder}/{number}-{os.path.basename(place)}"):
        number += 1
    with suppress(OSError, shutil.Error):
        shutil.move(place, target)
        return target
    os.rename(place, f"{place}.put-aside")
    return f"{place}.put-aside"
