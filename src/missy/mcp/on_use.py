"""The servers of one Missy before there are any: nothing of them is loaded until one is wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.audit import Audit
    from missy.mcp.servers import Servers


class ServersOnUse:
    """Call it for the servers; `close` ends those that there are."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._mutex = threading.Lock()
        self._servers: Servers | None = None

    def __call__(self) -> Servers:
        """Return the servers, made with the first call."""
        from missy.mcp.servers import Servers

        with self._mutex:
            self._servers = self._servers or Servers(self._audit)
            return self._servers

    def close(self) -> None:
        """End what runs."""
        if self._servers is not None:
            self._servers.close()
