"""The request line and headers that the `openai` package makes for an endpoint, remembered from one run to the next.

The package is the author of every model call, and loading it is most of the time of a short one. What it makes for an
endpoint is always the same but for the values that come from the caller, so it is kept: in memory, and in a file without
any secret. A process that finds it there does not load the package; the first call to an endpoint, and the first after an
upgrade of the package or of Missy, does.

The file has no say in where a request goes, nor in what credential it carries: a head is used only if its method and
target are those that were asked for, and if each header is one of ours or a place for a value of the caller's.
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

# What every model call says of itself, in place of the package's fingerprint.
PLAIN_HEADERS = {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": USER_AGENT}

_MAX_REMEMBERED = 200  # heads in the file
# What the HTTP client under the package adds to each request, and with which value.
_ADDED = {"accept-encoding": "identity", "connection": "keep-alive"}


class HeadKey(NamedTuple):
    """What decides a head: where it goes, and which headers come from the caller, in the caller's order."""

    method: str
    base_url: str
    path: str
    names: tuple[str, ...]
    has_body: bool

    @property
    def text(self) -> str:
        """The key as the file has it."""
        return " ".join([self.method, self.base_url, self.path, ",".join(self.names), str(self.has_body)])

    @property
    def target(self) -> str:
        """The path that the request must ask for."""
        _, slash, base = self.base_url.partition("://")[2].partition("/")
        return f"{slash}{base}".rstrip("/") + self.path


class Head(NamedTuple):
    """Method, path and headers of a request. A header whose value is None takes the caller's."""

    method: str
    target: str
    headers: tuple[tuple[str, str | None], ...]

    def fill(self, values: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the headers with the caller's `values` in their places, by lower-case name."""
        return [
            (name.encode("ascii"), (values[name.lower()] if value is None else value).encode("ascii"))
            for name, value in self.headers
        ]


def is_plain(key: HeadKey, head: Head) -> bool:
    """Tell whether a head is what was asked for, with nothing in it but headers of ours and places for the caller's."""
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
    """The heads of one MISSY_HOME. Losing the file costs the loading of the package once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[HeadKey, Head] = {}
        self._made_by = ""

    def find(self, key: HeadKey) -> Head | None:
        """Return a remembered head that fits, or None."""
        known = self._known.get(key)
        if known is None:
            known = _read_head(self._load().get(key.text))
            if known is None or not is_plain(key, known):
                return None
            self._known[key] = known
        return known

    def keep(self, key: HeadKey, head: Head) -> None:
        """Remember a head; one that `find` would not trust is kept for this process alone."""
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
    """Return the head that a file holds, None for whatever is none."""
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
    """Read the version from the package's own file: importing it, or `importlib.metadata`, would cost what is saved."""
    found = PathFinder.find_spec("openai")
    if found is None or not found.submodule_search_locations:
        return "none"
    try:
        with open(f"{found.submodule_search_locations[0]}/_version.py", encoding="utf-8") as file:
            return file.read(1000).split('__version__ = "')[1].split('"')[0]
    except (OSError, IndexError, ValueError):
        return "unknown"
