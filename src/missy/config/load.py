"""Loading the configuration file to a Config. Any error fails the load, with its line; references stay unresolved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy import paths
from missy.config.schema import Config
from missy.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from missy.config.kind_spec import Kinds


def load_chosen(override: str | None, kinds: Kinds) -> Config:
    """Load the file that the user named (`override`, else MISSY_CONFIG), or MISSY_HOME/config.yaml.

    Only the last may be missing. `kinds` is the table of kinds that an entry can be of. Raises ConfigError.
    """
    path = paths.config_file(override)
    config = load(path, kinds)
    if not config.exists and (override or os.environ.get("MISSY_CONFIG")):
        hint = "check --config and MISSY_CONFIG, or run `missy init` to write it"
        raise ConfigError(f"{path}: there is no such file", hint=hint, file=str(path))
    return config


def load(path: Path, kinds: Kinds) -> Config:
    """Return the validated configuration; without a file, an empty one with `exists` False. Raises ConfigError."""
    from missy.config.file_reader import read

    state = fingerprint(path)  # before the read: an edit in between is then seen as a change
    found = read(path)
    if found is None:
        return Config(path, kinds, fingerprint=())
    from missy.config.positions import SourceMap
    from missy.config.validate import (  # imported here: without a file, YAML and the checks are not needed
        build,
        warn,
    )
    from missy.config.yaml_reader import parse

    text, mode = found
    source_map = SourceMap(path)
    config = build(parse(text, source_map), source_map, kinds)
    return config._replace(warnings=warn(config, mode), fingerprint=state)


def fingerprint(path: Path) -> tuple[int, ...]:
    """Return a value that changes with every edit of the file (inode, times, size), () without a file."""
    try:
        info = os.stat(path)
    except OSError:
        return ()
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
