"""A connection begun before its request: name, address and TLS are done while the process still loads what it sends with.

It is decided on, checked and put on record like any other, by the same backend; who takes it finds it open.
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
    """One connection on its way, made in a thread of its own."""

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
            return  # the request itself is refused in a moment, and that is put on record
        request_context = RequestContext(Attribution(Clock(timeout), entry=entry), self._target, decision)
        try:
            stream = backend.connect(*self.place, request_context)
            if self._target.scheme == "https":
                context = tls()
                context.set_alpn_protocols(["http/1.1"])
                stream = stream.start_tls(context, self._target.host, request_context)
                stream.secured_for = self._target.host
        except Exception:  # whatever it was: of a thread nobody would hear it
            return  # the request meets the same trouble, and tells it
        with self._turn:
            if self._wanted:
                self._stream = stream
                return
        stream.close()

    def claim(self, clock: Clock) -> Stream | None:
        """Return the connection as soon as it is there; None where there is none to be had. Raises TimedOut."""
        self._thread.join(clock.remaining())
        with self._turn:
            stream, self._stream, self._wanted = self._stream, None, False
        if stream is None and self._thread.is_alive():
            raise clock.expired()
        return stream

    def cancel(self) -> None:
        """Close the connection, which nobody took."""
        with self._turn:
            stream, self._stream, self._wanted = self._stream, None, False
        if stream is not None:
            stream.close()
