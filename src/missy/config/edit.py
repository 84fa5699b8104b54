"""Editing the configuration file: every line that is not changed stays byte for byte.

A configuration that cannot be loaded is never written, a broken file is never changed, and no concurrent edit is
lost: each edit reads, changes and writes under the file's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from missy import files
from missy.config import backups, file_reader
from missy.config.template import template
from missy.config.yaml_edit import same, splice
from missy.config.yaml_layout import CannotSplice
from missy.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from missy.config.kind_spec import Kinds
    from missy.config.schema import Config

Data = dict[str, Any]
Change = Callable[[Data], None]  # receives the plain data of the file and changes it in place


def edit(path: Path, change: Change, kinds: Kinds) -> bool:
    """Apply a change to a configuration file, which starts as the template. Returns whether it was written.

    Raises ConfigError if the file is broken, would be broken, or is written in a form that cannot be changed
    in place; errors of `change` are passed on. In all these cases the file stays unchanged.
    """
    with files.lock(path):
        before, text = _read(path, kinds)
        after = apply(path, text, change, kinds)
        if before is not None and after == text:
            return False
        backups.replace(path, before, after, kinds)
    return True


def outcome(path: Path, change: Change, kinds: Kinds) -> Config:
    """Return the configuration that would result from `edit`. Writes nothing; raises as `edit` does."""
    from missy.config.positions import SourceMap
    from missy.config.validate import build
    from missy.config.yaml_reader import parse

    source_map = SourceMap(path)
    text = apply(path, _read(path, kinds)[1], change, kinds)
    return build(parse(text.removeprefix("\ufeff"), source_map), source_map, kinds)


def add_entry(path: Path, name: str, entry: Data, kinds: Kinds) -> bool:
    """Add an entry under `providers`. Raises UsageError if it exists."""
    return edit(path, lambda data: put_entry(data, name, entry), kinds)


def set_default(path: Path, name: str, kinds: Kinds) -> bool:
    """Make an entry the default. Raises UsageError if there is no such entry."""
    return edit(path, lambda data: put_default(data, name), kinds)


def put_entry(data: Data, name: str, entry: Data, *, force: bool = False) -> None:
    """Like `add_entry`, as a part of a larger change. `force` replaces an entry that exists."""
    providers = section(data, "providers")
    if name in providers and not force:
        raise UsageError(
            f"there is an entry '{name}' already", hint="choose another name, or replace it with --force"
        )
    providers[name] = entry


def put_default(data: Data, name: str) -> None:
    """Like `set_default`, as a part of a larger change. A new line for it goes to the top."""
    if name not in section(data, "providers"):
        known = ", ".join(data["providers"]) or "none"
        raise UsageError(f"there is no entry '{name}'", hint=f"the entries are: {known}")
    rest = dict(data)
    data.clear()
    data.update({"default_provider": name} if "default_provider" not in rest else {}, **rest)
    data["default_provider"] = name


def section(data: Data, key: str) -> Data:
    """Return the mapping under a key, created if missing. Raises UsageError for another type."""
    if data.get(key) is None:
        data[key] = {}
    found = data[key]
    if not isinstance(found, dict):
        raise UsageError(f"{key} is not a section of the configuration", hint="see: missy config schema")
    return found


def _read(path: Path, kinds: Kinds) -> tuple[bytes | None, str]:
    """Return the bytes of the file, None without one, and the text to change."""
    if file_reader.read(path) is None:  # this also refuses invalid text, with its line
        return None, template(kinds)
    before = files.read_private(files.follow_own_link(path), file_reader.LIMIT)
    return before, before.decode()


def apply(path: Path, text: str, change: Change, kinds: Kinds) -> str:
    """Apply a change to the text of a configuration; `path` is for error messages. Raises as `edit` does."""
    old = backups.check(path, text, kinds)
    wanted = _copy(old) or {}
    change(wanted)
    try:
        after = splice(text, old if old is not None or wanted else {}, wanted)
        if after == text or same(backups.check(path, after, kinds), wanted):
            return after
        raise CannotSplice("it uses anchors or rare YAML syntax")
    except CannotSplice as error:
        raise ConfigError(
            f"{path} cannot be changed by a command: {error}", hint="make this change by hand", file=str(path)
        ) from None


def _copy(data: Any) -> Any:
    """Copy data deeply, so that a value shared by two aliases changes in one place only."""
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(item) for item in data] if isinstance(data, list) else data
