"""The process of the model server: in the sandbox where this machine has one, otherwise as a plain child.

At `full` the server has a network of its own. It is reached by a listener that is made here and handed over with the order;
the child passes its connections on. At `floor` it may bind its port and connect to nothing.
"""

from __future__ import annotations

import json
import os
import site
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from missy import paths
from missy.errors import MissyError
from missy.sandbox import probe

if TYPE_CHECKING:
    from missy.sandbox.parent import Box
    from missy.sandbox.plan import Level, Plan

CHILD = os.path.realpath(Path(__file__).with_name("child.py"))
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH")


class ServerProcess:
    """The child, and what it is told over its stdin. `level` is that of its sandbox, None outside of one."""

    def __init__(self, model: Path, port: int) -> None:
        self.level: Level | None = probe.walls().level
        self._box: Box | None = None
        self._listener = _listen(port) if self.level == "full" else None
        ours, theirs = socket.socketpair()
        # -P: modules in the current folder must not shadow ours. -S: the folders of packages come with the order.
        argv = (os.path.realpath(sys.executable), "-P", "-S", CHILD)
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if "PYTHONPATH" in environ:
            environ["PYTHONPATH"] = ":".join(
                map(os.path.realpath, filter(os.path.isabs, environ["PYTHONPATH"].split(":")))
            )
        streams: Any = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._channel = ours
        try:
            if self.level is not None:
                from missy.sandbox.parent import Box

                self._box = Box(_plan(self.level, argv, environ, model, port), **streams)
                self.popen: subprocess.Popen[bytes] = self._box.process
            else:
                self.popen = subprocess.Popen(  # noqa: S603 our own child
                    argv, env=environ, umask=0o077, start_new_session=True, **streams
                )  # Ctrl-C in a chat cancels an answer, not the server
        except BaseException:
            self._close_sockets()
            raise
        finally:
            theirs.close()

    def send(self, order: dict[str, Any]) -> None:
        """Tell the child what to serve, and hand over the listener that it is reached by. Raises MissyError."""
        if self._box is not None:
            try:
                self._box.started()
            except FileNotFoundError as error:
                raise MissyError(
                    f"the model server did not start in the sandbox: {error}", hint="see: missy doctor"
                ) from None
        with suppress(BrokenPipeError, ConnectionResetError):  # it exited at once: its answer says why
            files = [self._listener.fileno()] if self._listener else []
            socket.send_fds(self._channel, [json.dumps(order).encode() + b"\n"], files)

    @property
    def url(self) -> str | None:
        """The address of the listener that was handed over, None if the child has its own."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}" if self._listener else None

    def stop(self) -> None:
        """End the child, and wait until it is gone. May be called again."""
        if self._box is not None:
            self._box.close()
        elif self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._channel.close()
        if self._listener is not None:
            self._listener.close()

    def close_pipes(self) -> None:
        """Close what the child wrote to."""
        for pipe in (self.popen.stdout, self.popen.stderr):
            with suppress(OSError):
                given(pipe).close()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=64)
    except (OSError, OverflowError) as error:
        raise MissyError(
            f"the model server did not start: port {port}: {error}", hint="check the model file and the port"
        ) from None


def package_folders() -> list[str]:
    """Return the folders that packages are installed in, where this Python looks for them."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [os.path.realpath(folder) for folder in (*user, *site.getsitepackages()) if os.path.isdir(folder)]


def given(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return a pipe that was asked for."""
    assert pipe is not None
    return pipe


def _plan(level: Level, argv: tuple[str, ...], environ: dict[str, str], model: Path, port: int) -> Plan:
    from missy.sandbox.filter import make_filter
    from missy.sandbox.plan import PRIVATE, SYSTEM, serve_plan, within

    is_full = level == "full"
    program = make_filter(os.uname().machine, network=is_full, serves=not is_full)
    assert program is not None  # there would be no level
    hidden = tuple(os.path.realpath(folder) for folder in (os.path.expanduser("~"), paths.home()))
    named = [part for name in ("LD_LIBRARY_PATH", "PYTHONPATH") for part in environ.get(name, "").split(":")]
    folders = [sys.base_prefix, sys.base_exec_prefix, *package_folders(), *filter(os.path.isabs, named)]
    real = [os.path.realpath(folder) for folder in folders]
    # Not one that holds all that is hidden, nor one that can be read anyway.
    usable = [
        one for one in real if not within(one, SYSTEM) and not any(within(hide, (one,)) for hide in hidden)
    ]
    read = (*usable, CHILD, argv[0], os.path.realpath(model))
    own = {"HOME": PRIVATE, "TMPDIR": PRIVATE}
    plan = serve_plan(level, argv, program, tuple(dict.fromkeys(read)), hidden, port=port)
    return plan._replace(environ=tuple({**environ, **own}.items()))
