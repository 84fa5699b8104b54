"""Starting and stopping the model server, a child process, and finding one that runs already.

The child is always ended. Its key is not put on a command line or in an environment, the child does not get the user's
API keys, and starting returns only after the model is loaded.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from missy import files, paths
from missy.errors import MissyError, UsageError
from missy.hints import to_install
from missy.local.process import ServerProcess, given, package_folders
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

CONTEXT = 4096  # tokens
MAX_LOG_TAIL_BYTES = 4096  # bytes of the child's log that are kept


class LocalServer:
    """A running model server. `base_url` and `key` are those of an OpenAI endpoint.

    `pid` is that of the child, which is the launcher of its sandbox if it has one: it ends with it. `level` is that of the
    sandbox, None if this machine has none.
    """

    def __init__(self, process: ServerProcess, key: Secret) -> None:
        self.key = key
        self.base_url: str = ""
        self.pid: int = process.popen.pid
        self.level = process.level
        self._child = process
        self._process = process.popen
        self._log = bytearray()
        self._reader = threading.Thread(target=self._keep_log, name="missy-local-log", daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, model_path: str | os.PathLike[str], *, timeout: float = 60, port: int = 0) -> LocalServer:
        """Start a server for a GGUF file and wait until it answers, at most `timeout` seconds.

        `port` 0 chooses a free one. Blocks; needs no event loop and may run in any thread. Raises UsageError
        when the file or the `local` extra is missing, MissyError when the server does not start.
        """
        model = paths.expand(model_path)
        if not model.is_file():
            raise UsageError(
                f"there is no model file {model}", hint="run: missy local install, or set model_path"
            )
        server = cls(ServerProcess(model, port), Secret(secrets.token_urlsafe(32)))
        try:
            server._child.send(server._order(model, port))
            server._await_ready(timeout)
        except BaseException:
            server.stop()
            raise
        return server

    def stop(self) -> None:
        """End the child and wait until it is gone. May be called again."""
        self._child.stop()
        self._reader.join(timeout=1)
        self._child.close_pipes()

    def wait(self) -> int:
        """Block until the child ends by itself; returns its exit code, negative for a signal."""
        return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _order(self, model: Path, port: int) -> dict[str, Any]:
        return {
            "model": os.path.realpath(model),
            "key": self.key.reveal(),
            "port": port,
            "n_ctx": CONTEXT,
            "threads": _threads(),
            "packages": package_folders(),
        }

    def _await_ready(self, timeout: float) -> None:
        answer = json.loads(_read_line(given(self._process.stdout), timeout) or b"{}")
        if "url" in answer:
            self.base_url = (self._child.url or answer["url"]) + "/v1"
            return
        if answer.get("missing"):
            raise UsageError(
                f"the model server is not installed: {answer['error']}",
                hint=f"run: {to_install('local')}",
            )
        self._reader.join(timeout=5)  # the log ends when the child exits
        raise MissyError(
            f"the model server did not start: {self._reason(answer)}",
            hint="check the model file and the port",
        )

    def _reason(self, answer: dict[str, Any]) -> str:
        """Return the first error in the child's log, which is the cause of the others."""
        lines = self._log.decode(errors="replace").splitlines()
        for line in lines:
            _, mark, text = line.partition(" E ")
            if mark:
                return text.strip()
        last = lines[-1].strip() if lines else ""
        return last or str(answer.get("error") or f"it ended with code {self._process.poll()}")

    def _keep_log(self) -> None:
        """Read the child's stderr while it runs: a full pipe would block it. Keeps the beginning."""
        source = given(self._process.stderr)
        with suppress(OSError, ValueError):
            while block := os.read(source.fileno(), 4096):
                self._log += block[: MAX_LOG_TAIL_BYTES - len(self._log)]


@contextmanager
def publish(server: LocalServer) -> Iterator[Path]:
    """Let other processes find `server` within this context; yields the path of the file with its address.

    Raises UsageError if another server is running.
    """
    file = _state_file()
    with ExitStack() as stack:
        try:
            stack.enter_context(files.lock(file, timeout=1))
        except MissyError as error:
            if not _is_held(file):
                raise
            hint = "use that one, or end it first; see: missy local status"
            raise UsageError("a model server is running already", hint=hint) from error
        stack.callback(file.unlink, missing_ok=True)
        told = {"url": server.base_url, "key": server.key.reveal(), "pid": server.pid}
        files.write_private(file, json.dumps(told).encode())
        yield file


def running() -> tuple[str, Secret] | None:
    """Return base URL and key of the server that `missy local serve` runs, or None.

    Its process is certainly running, as it holds the lock; whether it answers is not checked.
    """
    file = _state_file()
    if not _is_held(file):
        return None  # left by a killed server: another program may use its port by now
    try:
        told = json.loads(files.read_private(file))
        return str(told["url"]), Secret(str(told["key"]))
    except (MissyError, ValueError, KeyError, TypeError):
        return None


def _state_file() -> Path:
    return paths.home() / "models" / "serve.json"


def _is_held(path: Path) -> bool:
    with suppress(MissyError):  # an odd file in the place of the lock is nobody's lock
        return files.is_locked(f"{path}.lock")
    return False


def _threads() -> int:
    """Return the number of threads, all cores but one: with all cores, a busy machine is ten times slower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def _read_line(pipe: IO[bytes], timeout: float) -> bytes:
    """Return the child's reply line, or its beginning if the child exited. Raises MissyError on timeout."""
    end, line = time.monotonic() + timeout, b""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not ready.select(max(0.0, end - time.monotonic())):
                raise MissyError(f"the model server was not ready after {timeout:g} seconds",
                                 hint="the machine may be busy: try again")  # fmt: skip
            block = os.read(pipe.fileno(), 4096)
            if not block:
                return b""
            line += block
    return line
