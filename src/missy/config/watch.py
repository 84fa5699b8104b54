"""Detecting changes of the configuration file: one stat per check, a read only after a change.

A check never blocks, and a file that cannot be loaded never replaces the configuration in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.config.load import fingerprint, load
from missy.errors import ConfigError

if TYPE_CHECKING:
    from missy.config.schema import Config


class Watch:
    """Watches the file that a configuration was loaded from; a configuration without a file never changes."""

    def __init__(self, config: Config) -> None:
        self._path = config.path
        self._kinds = config.kinds
        self._seen = config.fingerprint

    def newer(self) -> Config | None:
        """Return the new configuration if the file has changed since the last check, else None.

        Raises ConfigError, once for each change, if the file is invalid or missing.
        """
        if self._seen is None:
            return None
        found = fingerprint(self._path)
        if found == self._seen:
            return None
        self._seen = found
        if not found:
            raise ConfigError(f"{self._path} was removed", hint="put it back: missy config rollback")
        return load(self._path, self._kinds)
