"""One server that runs or is connected, for sync code: started on first use, and ended.

It lives from its first call to the end of its owner, or until a call of it is cancelled or takes too long.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, MissyError, PolicyError, TimedOut
from missy.mcp.identity import identify
from missy.mcp.loop import END_SECONDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from missy.config.section_schema import McpServer
    from missy.mcp.boxed import Boxed
    from missy.mcp.client import Session
    from missy.mcp.content import Result
    from missy.mcp.definition import Definition
    from missy.mcp.loop import Loop
    from missy.net.door import Door
    from missy.net.one_origin import OneOrigin

START_SECONDS = 30.0
_IDLE_SECONDS = 300.0  # of one request to an endpoint; calls have their own limit
_WAKE_SECONDS = 0.1
MAX_STARTS = 2  # of a server that ends by itself


class Cancelled(MissyError):
    """A call was given up."""

    type = "cancelled"


class Live:
    """One server of one configuration. `stale`: it said that its tools have changed, or they were not listed yet."""

    def __init__(self, server: McpServer, workspace: str, loop: Loop, door: Callable[[], Door]) -> None:
        self.server = server
        self.identity: dict[str, Any] = identify(server)
        self.stale: bool = True
        self._workspace = workspace
        self._loop = loop
        self._door = door
        self._mutex = threading.RLock()
        self._tools: list[Definition] = []
        self._session: Session | None = None
        self._program: Boxed | None = None
        self._held: Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._starts = 0

    @property
    def level(self) -> str:
        """The level of its sandbox, "none" for an endpoint and for what does not run."""
        return self._program.level if self._program is not None else "none"

    def tools(self, cancelled: threading.Event) -> list[Definition]:
        """Return its tools as they are now; they are listed again after it said that they have changed."""
        with self._mutex:
            if self.stale or not self._runs():
                self.stale = False
                session = self._started(cancelled)
                try:
                    self._tools = self._wait(
                        session.tools(), self._start_seconds, "list its tools", cancelled
                    )
                except BaseException:
                    self.stale = True
                    raise
            return self._tools

    def call(self, name: str, arguments: dict[str, Any], cancelled: threading.Event) -> Result:
        """Call a tool. Raises MissyError; after a cancel, or too long a time, the server is ended."""
        with self._mutex:
            session = self._started(cancelled)
            work = session.call(name, arguments)
            result: Result = self._wait(work, self.server.seconds, f"answer {name}", cancelled)
            return result

    @property
    def _start_seconds(self) -> float:
        return min(START_SECONDS, self.server.seconds)

    def _runs(self) -> bool:
        return self._session is not None and self._held is not None and not self._held.done()

    def _started(self, cancelled: threading.Event) -> Session:
        if self._runs():
            assert self._session is not None
            return self._session
        if self._starts >= MAX_STARTS:
            raise BadReply(
                f"the MCP server {self.server.name} has ended {self._starts} times; it is not started again"
            )
        if identify(self.server) != self.identity:
            raise PolicyError(
                f"the MCP server {self.server.name} was replaced meanwhile, and is not started",
                hint=f"run: missy mcp diff {self.server.name}",
                rule="pin",
            )
        self.end(at_once=True)
        self._starts += 1
        opened: Future[Session] = Future()
        link = self._open()
        self._held = self._loop.submit(self._hold(link, opened))
        self._held.add_done_callback(lambda held: _pass_on(held, opened))
        self._session = self._take(opened, self._start_seconds, "start", cancelled)
        return self._session

    def _open(self) -> Boxed | OneOrigin:
        server = self.server
        if server.url is None:
            from missy.mcp.boxed import Boxed

            self._program = Boxed(server, self._workspace, self._door)
            return self._program
        import os

        from missy.net.one_origin import OneOrigin
        from missy.secrets.references import read

        reference = read(server.key, "key") if server.key else None
        return OneOrigin(
            self._door(), server.url, category="tool", entry=server.entry, timeout=_IDLE_SECONDS,
            key=reference and reference.resolve(server.entry, os.environ),
            credential=reference.audit_id(server.entry) if reference else "none",
        )  # fmt: skip

    async def _hold(self, link: Boxed | OneOrigin, opened: Future[Session]) -> None:
        import asyncio

        from missy.mcp.client import hold

        self._stop = asyncio.Event()
        await hold(
            self.server.name, link, self.server.url, self._workspace,
            ready=opened.set_result, changed=self._changed, stop=self._stop,
        )  # fmt: skip

    def _changed(self) -> None:
        self.stale = True

    def _wait(
        self, work: Coroutine[Any, Any, Any], seconds: float, what: str, cancelled: threading.Event
    ) -> Any:
        return self._take(self._loop.submit(work), seconds, what, cancelled)

    def _take(self, future: Future[Any], seconds: float, what: str, cancelled: threading.Event) -> Any:
        """Wait for a result. Without one in time, or when the answer is cancelled, the server is ended."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                try:
                    return future.result(min(_WAKE_SECONDS, max(0.0, deadline - time.monotonic())))
                except NotYet:
                    if future.done():
                        raise
                if cancelled.is_set():
                    raise Cancelled("it was cancelled by the person")
                if time.monotonic() >= deadline:
                    said = self._program.said() if self._program is not None else ""
                    raise TimedOut(
                        f"the MCP server {self.server.name} did not {what} within {seconds:g} seconds{said}",
                        hint=f"mcp.{self.server.name}.seconds is the limit",
                    )
        except BadReply:
            raise  # it answered
        except BaseException:
            future.cancel()
            self.end(at_once=True)
            raise

    def end(self, *, at_once: bool = False) -> None:
        """End the server, if it runs: a program with everything in its box."""
        program, held, self._session = self._program, self._held, None
        self._program = self._held = None
        if program is not None and at_once:
            program.close()
        self._loop.tell(self._stop)
        if program is not None and not at_once:
            program.finish()
        if held is not None:
            with suppress(Exception):
                held.result(END_SECONDS)
            held.cancel()
        if program is not None:
            program.close()


def _pass_on(held: Future[None], opened: Future[Session]) -> None:
    """Tell who waits for the session that there will be none."""
    if opened.done():
        return
    error = None if held.cancelled() else held.exception()
    opened.set_exception(error or Cancelled("it was stopped"))
