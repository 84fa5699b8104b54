"""The server process: uvicorn with our bounds, until a signal, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from missy.os_errors import fault
from missy.serve.protocol import BoundedProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from missy.serve.gateway import Gateway
    from missy.serve.http import Application

GRACE_SECONDS = 25.0  # for answers that are under way at the signal; those that remain are told
LAST_SECONDS = 30  # after which tasks are cancelled
_KEEP_ALIVE_SECONDS = 30
_POLL_SECONDS = 0.05


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: it would raise the signal again at its end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to Runner."""
        yield


def make_server(application: Any, cert: str | None, key: str | None) -> uvicorn.Server:
    """Return the server. Raises MissyError for a certificate or key that cannot be used."""
    logging.getLogger(
        "uvicorn.error"
    ).disabled = True  # what it would say is a caller's doing, or is told by us
    settings = uvicorn.Config(
        application,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_SECONDS,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    try:
        settings.load()
    except OSError as error:  # ssl.SSLError is one
        raise fault("use", cert or "", error) from error
    return _Server(settings)


class Runner:
    """The life of the server: the first signal ends it in order, the second one at once."""

    def __init__(self, server: uvicorn.Server, gateway: Gateway, application: Application) -> None:
        self._server = server
        self._gateway = gateway
        self._application = application
        self._signals: list[int] = []
        self._came = asyncio.Event()
        self._again = asyncio.Event()

    async def run(self, listening: socket.socket, ready: Callable[[], None]) -> int:
        """Serve until a signal. Returns 0 if every answer ended by itself, else 128 and the signal's number."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal, number)
        serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not serving.done():  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.005)
        ready()
        came = asyncio.create_task(self._came.wait())
        await asyncio.wait({came, serving}, return_when=asyncio.FIRST_COMPLETED)
        came.cancel()
        self._application.is_ending = True
        self._server.should_exit = True
        were_cut = await self._wait_for_answers()
        await serving
        return 128 + self._signals[0] if were_cut else 0

    def _signal(self, number: int) -> None:
        self._signals.append(number)
        (self._again if self._came.is_set() else self._came).set()

    async def _wait_for_answers(self) -> bool:
        """Wait for the answers under way; end what remains of them. Returns whether there was any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self._gateway.active and not self._again.is_set():  # noqa: ASYNC110 once in a life
                    await asyncio.sleep(_POLL_SECONDS)
        were_cut = bool(self._gateway.active)
        self._gateway.stop_all()
        return were_cut
