"""Loads the client of the `openai` package without what no call of ours uses: 500 modules of types and other services.

For the command line only: it alters how one package is imported, and a library must not do that to its host. Some of its
packages become shells that run their real code when something of it is asked for, so everything is still there. Whatever
is not as expected, the plain import happens instead: slower, and just as right.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

_CLIENT = "openai._base_client"
_SHELLS = ("openai.types", "openai.lib")  # and every package under the first
_TESTED = ((3, 54), (4, 0))  # from, up to but without


class _Shell(ModuleType):
    """A package whose code has not run yet. One name of it costs its own module; a second look costs nothing."""

    def __getattr__(self, name: str) -> Any:
        waiting = self.__dict__.get("__waiting__")
        if waiting is None or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if PathFinder.find_spec(f"{self.__name__}.{name}", self.__path__) is not None:
            return import_module(f"{self.__name__}.{name}")
        home = _defining_module(waiting.path, name)
        if home is not None:
            value = getattr(import_module(f"{self.__name__}.{home}"), name)
            self.__dict__[name] = value
            return value
        del self.__dict__[
            "__waiting__"
        ]  # something else is asked for than a re-exported name: run the real code
        waiting.exec_module(self)
        return getattr(self, name)


def _defining_module(path: str, name: str) -> str | None:
    """Return the submodule that a package's `__init__` takes `name` from, as its import statements say."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    end = text.find(f" {name} as {name}")
    start = text.rfind("from .", 0, end) if end >= 0 else -1
    if start < 0:
        return None
    home, _, names = text[start + 6 : end].partition(" import")
    return home if home.isidentifier() and "import" not in names and home in text else None


class _Loader:
    def __init__(self, real: Any) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Shell(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__waiting__"] = self._real


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name != "openai" and not name.startswith(_SHELLS):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.submodule_search_locations is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


def load_openai() -> bool:
    """Import `openai`, lightly if it is a version that this was tested with. Returns whether it was lightly."""
    if "openai" in sys.modules or not _is_tested():
        return False
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        import_module(_CLIENT)
    except Exception:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == "openai" or name.startswith("openai.")]:
            del sys.modules[name]
        return False
    return True


def _is_tested() -> bool:
    """Read the version from the package's own file: `importlib.metadata` would cost as much as is saved here."""
    found = PathFinder.find_spec("openai")
    if found is None or not found.submodule_search_locations:
        return False
    try:
        with open(f"{found.submodule_search_locations[0]}/_version.py", encoding="utf-8") as file:
            text = file.read(1000)
        numbers = text.split('__version__ = "')[1].split('"')[0].split(".")
        version = (int(numbers[0]), int(numbers[1]))
    except (OSError, IndexError, ValueError):
        return False
    return _TESTED[0] <= version < _TESTED[1]
