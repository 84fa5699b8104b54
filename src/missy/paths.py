"""MISSY_HOME: where Missy stores its files. Nothing is created or read here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy.errors import MissyError

if TYPE_CHECKING:
    from pathlib import Path

    AnyPath = str | os.PathLike[str]


def expand(text: AnyPath) -> Path:
    """Return `text` as an absolute path, `~` expanded. Raises MissyError when `~` stands for no folder."""
    from pathlib import Path  # imported here: it is slow, and `missy --version` does not need it

    path = os.fspath(text)
    if path.startswith("~"):
        if path.split("/", 1)[0] == "~" and not os.environ.get("HOME"):
            raise MissyError(f"cannot expand {path}: HOME is not set", hint="set HOME or write the path out")
        path = os.path.expanduser(path)
        if path.startswith("~"):
            raise MissyError(f"cannot expand {path}: there is no such user", hint="write the path out")
    try:
        return Path(os.path.abspath(path))
    except OSError as error:  # a relative path, and the current folder was removed
        raise MissyError(
            f"cannot find {path}: the current folder is gone ({error.strerror})",
            hint="change to another folder, or write the path out",
        ) from error


def home() -> Path:
    """Return MISSY_HOME, or `~/.missy`; create nothing. Raises MissyError if neither MISSY_HOME nor HOME is set."""
    named = os.environ.get("MISSY_HOME")
    if not named and not os.environ.get("HOME"):
        raise MissyError(
            "no place to keep Missy's files: neither MISSY_HOME nor HOME is set",
            hint="set MISSY_HOME to a folder of your own",
        )
    return expand(named or "~/.missy")


def config_file(override: str | None = None) -> Path:
    """Return the configuration file: `override`, else MISSY_CONFIG, else `config.yaml` in MISSY_HOME."""
    named = override or os.environ.get("MISSY_CONFIG")
    return expand(named) if named else home() / "config.yaml"
