"""Backups of the configuration file: the last ten versions before a command changed it, dated in UTC.

A key is never shown in a diff, and a configuration that cannot be loaded is never restored.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy import files, os_errors
from missy.config.schema import is_reference
from missy.errors import UsageError
from missy.masking import MASK as _MASK
from missy.masking import mask as redact

if TYPE_CHECKING:
    from pathlib import Path

    from missy.config.kind_spec import Kinds

KEPT = 10
_KEY = re.compile(r"""(?P<indent>[\s#-]*).*?\b(?P<name>api_keys?|headers|query)["']?\s*:\s*(?P<value>.*)""")
_PAIR = re.compile(r"""(?P<head>[\s#-]*[^\s:]{1,110}\s*:\s+)(?P<value>.*)""")
_ITEM = re.compile(r"(?P<head>[\s#-]*)(?P<body>.*?)(?P<comment>\s+#.*)?")
_SECRET_KEYS = ("api_key", "api_keys", "headers", "query")
_NOTHING = ("{}", "", "null", "~", "[", "]", "[]", "|", "|-", ">", ">-")
_WORD = re.compile(r"""[^\s,"'\[\]]+""")
_TOKEN = re.compile(r"(?=\S*\d)[A-Za-z0-9_+/=.-]{12,}")  # a word in a comment that may have been a key


class Backup:
    """One earlier configuration; `number` is 1 for the newest, `timestamp` is YYYYMMDD-HHMMSS in UTC."""

    __slots__ = ("count", "number", "path", "timestamp")

    def __init__(self, path: Path, timestamp: str, count: int) -> None:
        self.path: Path = path
        self.timestamp: str = timestamp
        self.count: int = count  # distinguishes backups of the same second
        self.number: int = 0


def find(path: Path) -> list[Backup]:
    """Return the backups of a configuration file, the newest first."""
    pattern = re.compile(re.escape(path.name) + r"\.bak-(\d{8}-\d{6})(?:-(\d{1,6}))?")
    found = []
    with os_errors.faults("list", path.parent), suppress(FileNotFoundError):
        matches = map(pattern.fullmatch, os.listdir(path.parent))
        found = [Backup(path.parent / match[0], match[1], int(match[2] or 0)) for match in matches if match]
    found.sort(key=lambda backup: (backup.timestamp, backup.count), reverse=True)
    for number, backup in enumerate(found, 1):
        backup.number = number
    return found


def diff(path: Path, number: int = 1) -> str:
    """Return the changes since a backup as a unified diff with keys masked; "" without changes."""
    backup = _choose(path, number)
    now = _read(path) if path.exists() else ""
    return compare(_read_backup(backup), now, backup.path.name, path.name)


def rollback(path: Path, number: int = 1, *, kinds: Kinds) -> bool:
    """Restore a backup; the present file becomes the newest backup. Returns whether anything changed.

    Raises UsageError if there is no such backup, ConfigError if it is not a configuration that can be loaded.
    """
    with files.lock(path):
        text = _read_backup(_choose(path, number))
        before = files.read_private(files.follow_own_link(path)) if path.exists() else None
        if before == text.encode():
            return False
        replace(path, before, text, kinds)
    return True


def delete_all(path: Path) -> int:
    """Delete the backups of a configuration file, under its lock; returns how many there were."""
    if not (found := find(path)):
        return 0
    with files.lock(path):
        for backup in (found := find(path)):
            with os_errors.faults("delete", backup.path):
                backup.path.unlink(missing_ok=True)
    return len(found)


def replace(path: Path, before: bytes | None, after: str, kinds: Kinds) -> None:
    """Check the new text, keep the old one as a backup, and write. The caller holds the file's lock.

    Raises ConfigError, and changes nothing, if the new text is no valid configuration.
    """
    check(path, after, kinds)
    target = files.follow_own_link(path)  # dotfiles are often symlinks to another folder; the link stays
    if before is not None:
        _keep(path, before)
    files.write_private(target, after.encode())


def check(path: Path, text: str, kinds: Kinds) -> Any:
    """Return the data of a configuration's text. Raises ConfigError if it cannot be loaded."""
    from missy.config.positions import SourceMap
    from missy.config.validate import build
    from missy.config.yaml_reader import parse

    source_map = SourceMap(path)
    data = parse(text.removeprefix("\ufeff"), source_map)
    build(data, source_map, kinds)
    return data


def compare(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return a unified diff of two configurations with keys masked. A changed key still shows as a changed line."""
    from difflib import unified_diff

    # the diff compares the real lines: each follows its masked form after a NUL, and is cut off again below
    one, other = (
        [f"{shown}\0{real}" for shown, real in zip(mask(text), text.splitlines(), strict=True)]
        for text in (old, new)
    )
    lines = unified_diff(one, other, old_name, new_name, lineterm="")
    return "\n".join(line.partition("\0")[0] for line in lines)


def mask(text: str) -> list[str]:
    """Return the lines of a configuration, valid or not, with everything masked that is or may be a key."""
    literals = sorted(_literals(text), key=len, reverse=True)
    shown, depth, named = (
        [],
        -1,
        False,
    )  # the indentation of the secret key whose value we are in; whether it is a mapping
    for real in text.splitlines():
        line, indent = real, len(real) - len(real.lstrip(" #"))
        for literal in literals:
            line = line.replace(literal, _MASK)
        if real.strip() and not (
            indent > depth >= 0 or (indent == depth and real.lstrip(" #").startswith("-"))
        ):
            depth = -1
        key = _KEY.match(line)
        if key:
            depth, named = len(key["indent"]), not key["name"].startswith("api_key")
            line = line[: key.start("value")] + _mask_value(key["value"])
        elif depth >= 0:
            pair = _PAIR.fullmatch(line) if named else None
            line = pair["head"] + _mask_value(pair["value"]) if pair else _mask_value(line)
        shown.append(redact(line))
    return shown


def _mask_value(text: str) -> str:
    """Mask the value after a key, or a line of it, unless it is empty, a reference or prose."""
    item = _ITEM.fullmatch(text)
    assert item  # the pattern matches any line
    body = item["body"]
    prose = "#" in item["head"] and " " in body
    if prose:
        body = _TOKEN.sub(_MASK, body)
    elif body not in _NOTHING and not all(map(is_reference, _WORD.findall(body))):
        body = _MASK
    return item["head"] + body + _TOKEN.sub(_MASK, item["comment"] or "")


def _literals(text: str) -> set[str]:
    """Return the literal keys in a configuration; none if it cannot be parsed."""
    from pathlib import Path

    from missy.config.positions import SourceMap
    from missy.config.yaml_reader import parse
    from missy.errors import ConfigError

    try:
        return set(_keys(parse(text.removeprefix("\ufeff"), SourceMap(Path("config")))))
    except ConfigError:
        return set()


def _keys(data: Any, name: str = "") -> list[str]:
    if isinstance(data, dict):
        of = name if name in ("headers", "query") else ""
        return [key for inner, value in data.items() for key in _keys(value, of or inner)]
    if isinstance(data, list):
        return [key for value in data for key in _keys(value, name)]
    held = name in _SECRET_KEYS and isinstance(data, str) and len(data) > 3
    return [data] if held and not is_reference(data) else []


def _keep(path: Path, data: bytes) -> None:
    """Write a backup and remove the oldest. Its name sorts last even if the clock was set back."""
    timestamp, count = time.strftime("%Y%m%d-%H%M%S", time.gmtime()), 0
    if (found := find(path)) and timestamp <= found[0].timestamp:
        timestamp, count = found[0].timestamp, found[0].count + 1
    files.write_private(path.with_name(f"{path.name}.bak-{timestamp}" + (f"-{count}" if count else "")), data)
    for old in find(path)[KEPT:]:
        with suppress(OSError):
            old.path.unlink()
    # No other process writes a backup under the lock: these were left by killed writers
    for name in os.listdir(path.parent):
        if name.startswith(f".{path.name}.bak-") and name.endswith(".tmp"):
            with suppress(OSError):
                (path.parent / name).unlink()


def _read(path: Path) -> str:
    return files.read_private(files.follow_own_link(path)).decode(errors="replace")


def _read_backup(backup: Backup) -> str:
    """Return the text of a backup. A symlink is refused: `_keep` only ever writes regular files."""
    return files.read_private(backup.path).decode(errors="replace")


def _choose(path: Path, number: int) -> Backup:
    found = find(path)
    if not 1 <= number <= len(found):
        what = f"the backups are 1 (the newest) to {len(found)}" if found else "no command has changed it yet"
        raise UsageError(f"{path} has no backup {number}", hint=what)
    return found[number - 1]
