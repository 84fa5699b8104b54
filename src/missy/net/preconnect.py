"""Preconnect: DNS lookup, TCP and TLS of a connection start in a thread while the process still loads its modules.

The connection is authorized, checked and recorded like any other, by the same backend.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from missy.net.gate import Attribution, RequestContext
from missy.net.limits import Clock
from missy.policy import parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from missy.net.streams import Backend, Stream


class Preconnect:
    """One connection being opened in its own thread."""

    def __init__(
        self, backend: Backend, url: str, *, entry: str, timeout: float, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        self._target = parse(url)
        self._stream: Stream | None = None
        self._wanted = True
        self._turn = threading.Lock()
        self._thread = threading.Thread(
            target=self._connect, args=(backend, entry, timeout, tls), daemon=True
        )
        self._thread.start()

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self._target.host, self._target.port

    def _connect(
        self, backend: Backend, entry: str, timeout: float, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        decision = backend.gate.policy.decide(self._target)
        if not decision.allowed:
            return  # the request itself will be refused and recorded
        request_context = RequestContext(Attribution(Clock(timeout), entry=entry), self._target, decision)
        try:
            stream = backend.connect(*self.place, request_context)
            if self._target.scheme == "https":
                stream = stream.start_tls(tls(), self._target.host, request_context)
                stream.secured_for = self._target.host
        except Exception:  # any error: it would be lost in a thread
            return  # the request will meet the same error and report it
        with self._turn:
            if self._wanted:
                self._stream = stream
                return
        stream.close()

    def claim(self, clock: Clock) -> Stream | None:
        """Wait for the connection and return it; None if it failed. Raises TimedOut."""
        self._thread.join(clock.remaining())
        with self._turn:
            stream, self._stream, self._wanted = self._stream, None, False
        if stream is None and self._thread.is_alive():
            raise clock.expired()
        return stream

    def cancel(self) -> None:
        """Close the connection, which was not used."""
        with self._turn:
            stream, self._stream, self._wanted = self._stream, None, False
        if stream is not None:
            stream.close()
