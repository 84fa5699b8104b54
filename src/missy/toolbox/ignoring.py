"""The patterns of .gitignore files, as far as they can be matched in bounded time. Pure but for the clock.

A workspace may be anybody's. A pattern that is not valid, or whose match could take very long, is left out, and the others
apply: then more is listed than git would show.
"""

from __future__ import annotations

import re
from time import thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathspec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

MAX_PATTERNS = 1_000  # of one file
MAX_PATTERN_CHARS = 512
MAX_STARS = 3  # rows of `*` in one pattern: each multiplies the work of a match
MAX_SECONDS = 2.0  # of this thread's own time, for all matches of one walk
# In `[...]`, these mean something else to Python than to git, or will in a later version.
_SET_OPERATIONS = re.compile(r"\[.*(?:\[|--|&&|~~|\|\|)")


def read_patterns(text: str) -> pathspec.GitIgnoreSpec:
    """Return the patterns of one file."""
    import pathspec

    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [made for line in lines[:MAX_PATTERNS] if (made := _pattern(line)) is not None]
    return pathspec.GitIgnoreSpec(found)


def _pattern(line: str) -> GitIgnoreSpecPattern | None:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    costly = len(line) > MAX_PATTERN_CHARS or len(re.findall(r"\*+", line)) > MAX_STARS
    if costly or _SET_OPERATIONS.search(line):
        return None
    try:
        return GitIgnoreSpecPattern(line)
    except (ValueError, re.error):
        return None


class Ignores:
    """The patterns that apply in one folder of a walk: those of its own file, and those of the folders above it."""

    def __init__(self) -> None:
        self._specs: tuple[tuple[str, pathspec.GitIgnoreSpec], ...] = ()
        self._seconds = [0.0]  # used by all folders of the walk

    def within(self, folder: str, text: str | None) -> Ignores:
        """Return what applies in a folder whose .gitignore has this text; None if it has no such file."""
        if text is None:
            return self
        inner = Ignores()
        inner._specs, inner._seconds = (*self._specs, (folder, read_patterns(text))), self._seconds
        return inner

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether a path is left out. Once the matches of a walk took too long, nothing more is."""
        if not self._specs or self._seconds[0] > MAX_SECONDS:
            return False
        begun = thread_time()
        try:
            return self._matches(path, is_folder)
        finally:
            self._seconds[0] += thread_time() - begun

    def _matches(self, path: str, is_folder: bool) -> bool:
        for base, spec in reversed(self._specs):
            relative = path if base == "." else path[len(base) + 1 :]
            found = spec.check_file(relative + "/" * is_folder).include
            if found is not None:
                return found
        return False
