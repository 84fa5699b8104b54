"""A server as a program: started in the sandbox, spoken to in lines. Nothing of the `mcp` package is needed here.

Lines are bounded, in length and in number; stderr is kept at its end; with the box, everything in it ends.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from missy import folders, paths
from missy.errors import MissyError, UsageError
from missy.mcp.definition import clean
from missy.mcp.identity import find_program, program_folders
from missy.net import egress
from missy.sandbox import parent, probe
from missy.sandbox.filter import make_filter
from missy.sandbox.plan import PRIVATE, PROTECTED, SYSTEM, Plan, search_path, within
from missy.secrets.references import read

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from missy.config.section_schema import McpServer
    from missy.net.door import Door

MAX_LINE_BYTES = 4 << 20
MAX_UNASKED_BYTES = 32 << 20  # between two requests of ours
MAX_UNASKED_LINES = 20_000
MAX_JUNK_LINES = 100  # lines that are no messages, such as a banner
STDERR_BYTES = 8 << 10  # what is kept of stderr: its end
STDERR_BYTES_PER_SECOND = 64 << 10
_TERM_SECONDS = 0.5
_LAST_WORDS_SECONDS = 0.5  # how long the rest of stderr is waited for after the end
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class ServerEnded(MissyError):
    """A server has ended, or had to be ended; `message` says why, with the end of its stderr."""

    type = "mcp_server"


class Boxed:
    """One running server program. `workspace` is its folder if the configuration gives it one, "" for none."""

    def __init__(self, server: McpServer, workspace: str, door: Callable[[], Door]) -> None:
        walls = probe.walls()
        if walls.level is None:
            raise MissyError(
                f"this machine gives no sandbox, so that server {server.name} is not started ({walls.reason})",
                hint="see: missy doctor; servers with a url work",
            )
        if server.network == "tool" and walls.level != "full":
            raise UsageError(
                f"server {server.name}: a network needs the full sandbox ({walls.reason})",
                hint=f"set mcp.{server.name}.network: none",
            )
        self.level = walls.level
        self._server = server
        self._private = paths.home() / "mcp" / "private" / f"{server.name}-{os.urandom(6).hex()}"
        self._stderr = bytearray()
        self._stop_egress: Callable[[], None] | None = None
        self._unasked = [0, 0]
        self._junk = 0
        self._why = ""
        self._closing = threading.Lock()
        plan = self._plan(workspace)
        pipe = subprocess.PIPE
        self._box = parent.Box(plan, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            self._box.started()
            if self._box.listener is not None:
                self._stop_egress = self._serve(self._box.listener, door)
        except FileNotFoundError as error:
            self.close()
            raise UsageError(f"server {server.name} cannot be started: {error}") from None
        except BaseException:
            self.close()
            raise
        self._stderr_reader = threading.Thread(target=self._keep_stderr, name="missy-mcp-stderr", daemon=True)
        self._stderr_reader.start()

    def _plan(self, workspace: str) -> Plan:
        server, missy = self._server, os.path.realpath(paths.home())
        program = find_program(server)
        own = program_folders(program, server.command)
        given = [os.path.realpath(paths.expand(path)) for path in server.read]
        write = [os.path.realpath(paths.expand(path)) for path in server.write]
        reached = workspace if server.workspace != "none" else ""
        if self.level == "floor" and within(missy, (*own, *given, *write, *([reached] if reached else []))):
            raise UsageError(
                f"server {server.name} could read Missy's own files: {missy} lies in what it reaches",
                hint="set MISSY_HOME to a folder elsewhere, or install the server elsewhere",
            )
        home = PRIVATE if self.level == "full" else str(folders.ensure_dir(self._private))
        filter_ = make_filter(os.uname().machine, network=server.network == "tool")
        assert filter_ is not None
        readable = (*SYSTEM, *own, *given, *write)
        return Plan(
            self.level,
            (program, *map(os.path.expanduser, server.command[1:])),
            reached or home,
            reached,
            filter_,
            read=(*own, *given),
            write=tuple(write),
            hide=(os.path.realpath(os.path.expanduser("~")), missy),
            veil=(missy,),
            protect=tuple(os.path.join(reached, name) for name in PROTECTED) if reached else (),
            environ=self._environ(
                home, search_path(os.environ.get("PATH", ""), readable, reached or "/nowhere")
            ),
            home=home,
            listen=egress.PORT if server.network == "tool" else 0,
            writes_workspace=server.workspace == "write",
        )

    def _environ(self, home: str, path: str) -> tuple[tuple[str, str], ...]:
        server = self._server
        kept = [(name, os.environ[name]) for name in _KEPT if name in os.environ]
        own = [("PATH", path), ("HOME", home), ("TMPDIR", home), ("NO_COLOR", "1")]
        proxy = f"http://127.0.0.1:{egress.PORT}"
        proxies = [(name, proxy) for name in _PROXIES] if server.network == "tool" else []
        named = [
            (name, reference.prefix + reference.look_up(server.entry, os.environ))
            for name, text in server.env
            for reference in (read(text, f"env.{name}"),)
        ]
        return (*own, *kept, *proxies, *named)

    def _serve(self, listener: socket.socket, door: Callable[[], Door]) -> Callable[[], None]:
        return egress.Egress(door(), listener, entry=self._server.entry, run="").stop

    def _keep_stderr(self) -> None:
        """Keep the end of stderr; read no faster than allowed, so that a flood of it costs nothing."""
        source = self._box.process.stderr
        assert source is not None
        budget, since = float(1 << 20), time.monotonic()
        with suppress(OSError, ValueError):
            while block := os.read(source.fileno(), 1 << 14):
                self._stderr += block
                del self._stderr[:-STDERR_BYTES]
                budget -= len(block)
                if budget < 0:
                    time.sleep(0.2)
                    budget += (time.monotonic() - since) * STDERR_BYTES_PER_SECOND
                    since = time.monotonic()

    # --- lines

    async def open(self) -> None:
        """Connect to the program's pipes, on the running event loop."""
        loop, process = asyncio.get_running_loop(), self._box.process
        self._reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        reader = self._reader
        self._source, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        self._writing = _Flow()
        self._pipe, _ = await loop.connect_write_pipe(lambda: self._writing, process.stdin)

    async def shut(self) -> None:
        """Let go of the program's pipes, on the event loop that they were opened on."""
        self._pipe.abort()
        self._source.close()
        await asyncio.sleep(0)  # they are closed in its next round

    async def read_line(self) -> bytes:
        """Return the next line that may be a message. Raises ServerEnded."""
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise self.end(f"it wrote a line of more than {MAX_LINE_BYTES >> 20} MiB") from None
            except asyncio.IncompleteReadError:
                raise self.end("") from None
            except OSError as error:
                raise self.end(f"its output cannot be read: {error.strerror}") from None
            self._unasked[0] += len(line)
            self._unasked[1] += 1
            if self._unasked[0] > MAX_UNASKED_BYTES or self._unasked[1] > MAX_UNASKED_LINES:
                raise self.end("it writes without being asked")
            if line.lstrip()[:1] == b"{":
                return line
            if line.strip():
                self.junk()

    def junk(self) -> None:
        """Count a line that is no message. Raises ServerEnded for the one too many."""
        self._junk += 1
        if self._junk > MAX_JUNK_LINES:
            raise self.end("what it writes is not the Model Context Protocol")

    async def write_line(self, data: bytes, *, is_request: bool) -> None:
        """Write one message. Raises ServerEnded."""
        if is_request:
            self._unasked = [0, 0]
        await self._writing.ready.wait()
        if self._pipe.is_closing():
            raise self.end("")
        self._pipe.write(data + b"\n")

    def end(self, why: str) -> ServerEnded:
        """End the program now, and return the error that says why. The first reason counts."""
        self._why = self._why or why or "it ended by itself"
        self._kill()
        self._stderr_reader.join(_LAST_WORDS_SECONDS)
        return self.ended()

    def ended(self) -> ServerEnded:
        """Return the error that says why the program has ended."""
        return ServerEnded(
            f"the MCP server {self._server.name} has ended: {self._why or 'it was stopped'}{self.said()}",
            hint=f"missy mcp test {self._server.name} starts it alone",
        )

    def said(self) -> str:
        """Return the end of its stderr, cleaned, for a message; "" for nothing."""
        text = clean(bytes(self._stderr).decode("utf-8", "replace")).strip()
        return f"; its last words: {text[-1000:]}" if text else ""

    # --- the end

    def finish(self) -> None:
        """End the program as the protocol says: its input ends, then SIGTERM, then SIGKILL, for all in the box."""
        process = self._box.process
        for is_asked in (False, True):
            if is_asked:
                self._box.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TERM_SECONDS)
                break
        self.close()

    def _kill(self) -> None:
        with self._closing:
            self._box.close()

    def close(self) -> None:
        """End everything in the box at once, and release what it held."""
        if not hasattr(self, "_box"):
            return
        self._kill()
        stop, self._stop_egress = self._stop_egress, None
        if stop is not None:
            stop()
        for pipe in (self._box.process.stdin, self._box.process.stdout, self._box.process.stderr):
            with suppress(OSError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        shutil.rmtree(self._private, ignore_errors=True)


class _Flow(asyncio.Protocol):
    """Stops writing while the program does not read."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    def pause_writing(self) -> None:
        self.ready.clear()

    def resume_writing(self) -> None:
        self.ready.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.ready.set()
