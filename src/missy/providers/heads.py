"""The request line and headers that the `openai` package makes for a path, remembered from one run to the next.

The package builds every model call, and loading it takes most of the time of a short one. For one path its result is
always the same except for the host and the caller's values, so it is cached: in memory, and in a file without any secret.
A process that finds it there does not load the package; the first call with a path, and the first after an upgrade of the
package or of Missy, does.

The file cannot change where a request goes or which credential it carries: a head is used only if its method and target
are the requested ones, and if each header is one of ours or a placeholder for a value of the caller.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

from missy import files
from missy._version import __version__
from missy.net.door import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

# The headers of every model call, instead of the package's telemetry headers.
PLAIN_HEADERS = {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": USER_AGENT}

_MAX_REMEMBERED = 200  # heads in the file
# Headers that the package's HTTP client adds to each request, and their values.
_ADDED = {"accept-encoding": "identity", "connection": "keep-alive"}


class HeadKey(NamedTuple):
    """The key of a head: the request's target, and the names of the caller's headers in their order.

    `base` is the path of the base URL, without a slash at its end. The host is no part of it: a head has none.
    """

    method: str
    base: str
    path: str
    names: tuple[str, ...]
    has_body: bool

    @property
    def text(self) -> str:
        """The key in the file."""
        return " ".join([self.method, self.base + self.path, ",".join(self.names), str(self.has_body)])

    @property
    def target(self) -> str:
        """The path that the request must have."""
        return self.base + self.path


class Head(NamedTuple):
    """Method, path and headers of a request. A value of None is a placeholder for the caller's value."""

    method: str
    target: str
    headers: tuple[tuple[str, str | None], ...]

    def fill(self, values: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the headers with the caller's `values` (by lower-case name) filled in."""
        return [
            (name.encode("ascii"), (values[name.lower()] if value is None else value).encode("ascii"))
            for name, value in self.headers
        ]


def is_plain(key: HeadKey, head: Head) -> bool:
    """Tell whether a head matches the request and has only our own headers and placeholders for the caller's."""
    if head.method != key.method or head.target != key.target:
        return False
    ours = {name.lower(): value for name, value in PLAIN_HEADERS.items()} | _ADDED
    wanted = {name.lower() for name in key.names}
    found = [name.lower() for name, _ in head.headers]
    if len(set(found)) != len(found) or not wanted.issubset(found):
        return False
    return all(
        value is None if name.lower() in wanted else value == ours.get(name.lower())
        for name, value in head.headers
    )


class HeadStore:
    """The heads of one MISSY_HOME. If the file is lost, the package is loaded once more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[HeadKey, Head] = {}
        self._made_by = ""

    def find(self, key: HeadKey) -> Head | None:
        """Return a cached head that matches, or None."""
        known = self._known.get(key)
        if known is None:
            known = _read_head(self._load().get(key.text))
            if known is None or not is_plain(key, known):
                return None
            self._known[key] = known
        return known

    def keep(self, key: HeadKey, head: Head) -> None:
        """Cache a head; one that `find` would not accept from the file is kept only for this process."""
        self._known[key] = head
        if not is_plain(key, head):
            return
        heads = dict(list(self._load().items())[-_MAX_REMEMBERED:])
        heads[key.text] = [head.method, head.target, [list(header) for header in head.headers]]
        files.write_note(self._path, {"made_by": self._version(), "heads": heads})

    def _load(self) -> dict[str, Any]:
        note = files.read_note(self._path)
        heads = note.get("heads")
        return heads if note.get("made_by") == self._version() and isinstance(heads, dict) else {}

    def _version(self) -> str:
        """Return what the heads depend on besides the key: the versions of the package and of Missy."""
        if not self._made_by:
            self._made_by = f"openai {_package_version()}, missy {__version__}"
        return self._made_by


def _read_head(value: object) -> Head | None:
    """Parse a head from the file; None if it is invalid."""
    if not isinstance(value, list):
        return None
    try:
        method, target, headers = value
        pairs = tuple((name, text) for name, text in headers)
    except (TypeError, ValueError):
        return None
    texts: Sequence[object] = [method, target, *(name for name, _ in pairs)]
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        return None
    if not all(text is None or isinstance(text, str) for _, text in pairs):
        return None
    return Head(method, target, pairs)


def _package_version() -> str:
    """Read the version from the package's file: importing it, or `importlib.metadata`, would take the time saved."""
    found = PathFinder.find_spec("openai")
    if found is None or not found.submodule_search_locations:
        return "none"
    try:
        with open(f"{found.submodule_search_locations[0]}/_version.py", encoding="utf-8") as file:
            return file.read(1000).split('__version__ = "')[1].split('"')[0]
    except (OSError, IndexError, ValueError):
        return "unknown"
