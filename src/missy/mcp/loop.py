"""The thread of the servers: an event loop for async code, which sync code gives its work to."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from concurrent.futures import Future

END_SECONDS = 5.0


class Loop:
    """One event loop in a thread of its own, which begins with the first work."""

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run async code in the thread."""
        import asyncio

        with self._mutex:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="missy-mcp", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def tell(self, event: asyncio.Event | None) -> None:
        """Set an event of the thread."""
        if event is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(event.set)

    @property
    def runs(self) -> bool:
        """Whether there was any work."""
        return self._loop is not None

    def close(self) -> None:
        """End the thread."""
        with self._mutex:
            loop, self._loop = self._loop, None
            if loop is None:
                return
            loop.call_soon_threadsafe(loop.stop)
            assert self._thread is not None
            self._thread.join(END_SECONDS)
            if not self._thread.is_alive():
                with suppress(RuntimeError):
                    loop.close()
