"""Whether the configuration file is another one than it was: one stat a look, a read only where it has changed.

It must never wait, and never take a file that cannot be used in place of one that could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.config.load import fingerprint, load
from missy.errors import ConfigError

if TYPE_CHECKING:
    from missy.config.schema import Config


class Watch:
    """Watches the file that a configuration was loaded from; one that came from no file never changes."""

    def __init__(self, config: Config) -> None:
        self._path = config.path
        self._kinds = config.kinds
        self._seen = config.fingerprint

    def newer(self) -> Config | None:
        """Return the configuration if its file has changed since the last look, else None.

        Raises ConfigError, once for each change, for a file that is broken or gone.
        """
        if self._seen is None:
            return None
        found = fingerprint(self._path)
        if found == self._seen:
            return None
        self._seen = found
        if not found:
            raise ConfigError(f"{self._path} is gone", hint="put it back: missy config rollback")
        return load(self._path, self._kinds)
