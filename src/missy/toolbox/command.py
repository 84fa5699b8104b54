"""`run(argv, stdin?, cwd?)`: a program in the sandbox, without a shell, with the workspace to write in."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

from missy import folders, paths
from missy.approval import Action
from missy.errors import MissyError, UsageError
from missy.net import egress
from missy.sandbox import parent, probe
from missy.sandbox.filter import make_filter
from missy.sandbox.plan import FLOOR_PROCESSES, PRIVATE, PROTECTED, SYSTEM, Limits, Plan, search_path, within
from missy.toolbox import aside, schemas
from missy.toolbox.arguments import Arguments
from missy.toolbox.base import Output, Prepared, ToolFailed

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Callable

    from missy.events import Tool
    from missy.net.door import Door
    from missy.sandbox.parent import Finished
    from missy.toolbox.box import Toolbox
    from missy.toolbox.workspace import Workspace

MAX_WORDS = 256
MAX_STDIN_BYTES = 1 << 20
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_FLOOR_WARNING = (
    "at this level the command may also write .git and other files of the workspace that run later"
)
_ENDED = {
    "timeout": "it was ended after {seconds:g} seconds",
    "output": "it was ended: it printed too much",
    "cancelled": "it was cancelled by the person",
}


class Run:
    """See the module. Raises MissyError where this machine has no sandbox: nothing is run outside of one."""

    tool: Tool = schemas.RUN

    def __init__(
        self,
        workspace: Workspace,
        toolbox: Toolbox,
        run: str,
        cancelled: threading.Event,
        door: Callable[[], Door],
    ) -> None:
        found = probe.walls()
        if found.level is None:
            raise MissyError(
                f"this machine gives no sandbox, so that nothing is run ({found.reason})",
                hint="see: missy doctor",
            )
        self._level = found.level
        self._network = toolbox.network == "tool"
        if self._network and self._level != "full":
            raise UsageError(
                f"a network for commands needs the full sandbox ({found.reason})",
                hint="set tools.sandbox.network: none",
            )
        self._id = run
        self._door = door
        self._workspace = workspace
        self._seconds = toolbox.limits.command_seconds
        self._cancelled = cancelled
        self._read = tuple(os.path.realpath(paths.expand(path)) for path in toolbox.read)
        self._write = tuple(os.path.realpath(paths.expand(path)) for path in toolbox.write)
        self._missy = os.path.realpath(paths.home())
        if self._level == "floor" and within(self._missy, (workspace.path, *self._read, *self._write)):
            raise UsageError(
                f"commands could read Missy's own files: {self._missy} lies in what they reach",
                hint="set MISSY_HOME to a folder elsewhere, or name another workspace",
            )
        self._private = paths.home() / "tools" / "private" / run
        program = make_filter(os.uname().machine, network=self._network)
        assert program is not None
        self._filter = program
        readable = (*SYSTEM, *self._read, *self._write)
        self._path = search_path(os.environ.get("PATH", ""), readable, workspace.path)

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler."""
        given = Arguments(arguments)
        argv = given.words("argv", MAX_WORDS)
        stdin, cwd = given.text("stdin", ""), given.text("cwd", ".")
        given.end()
        if not argv[0] or any("\0" in word for word in argv):
            raise ToolFailed("a word of argv has a NUL in it, or the program has no name")
        if len(stdin.encode("utf-8", "replace")) > MAX_STDIN_BYTES:
            raise ToolFailed(f"stdin is longer than {MAX_STDIN_BYTES >> 20} MiB")
        found = self._workspace.find(cwd)
        folder = found.path
        is_folder = stat.S_ISDIR(found.info.st_mode)
        found.close()
        if not is_folder:
            raise ToolFailed(f"cwd {cwd} is no folder")
        try:
            data = stdin.encode()
            for word in argv:
                word.encode()
        except UnicodeEncodeError:
            raise ToolFailed("argv or stdin is not valid Unicode") from None
        return Prepared(
            Action("run", argv=argv, in_workspace=self._in_workspace(argv[0]), sends=self._network),
            lambda: self._run(argv, data, folder),
            preview="" if self._level == "full" else _FLOOR_WARNING,
            level=self._level,
            network=self._network,
            acts=True,
        )

    def _in_workspace(self, program: str) -> bool:
        """Tell whether a program is named by a path, or is found in a folder that the workspace's programs can write."""
        if "/" in program:
            return True
        found = shutil.which(program, path=self._path)
        if found is None:
            return False
        real = os.path.realpath(found)
        own = (self._workspace.path, *self._write)
        return any(real == place or real.startswith(place + "/") for place in own)

    def _run(self, argv: tuple[str, ...], stdin: bytes, folder: str) -> Output:
        workspace = self._workspace.path
        watch = aside.Watch(workspace)
        home = PRIVATE if self._level == "full" else str(folders.ensure_dir(self._private))
        plan = Plan(
            self._level,
            argv,
            os.path.join(workspace, folder),
            workspace,
            self._filter,
            read=self._read,
            write=self._write,
            hide=(os.path.realpath(os.path.expanduser("~")), self._missy),
            veil=(self._missy,),
            protect=tuple(os.path.join(workspace, name) for name in PROTECTED),
            environ=self._environ(home),
            home=home,
            listen=egress.PORT if self._network else 0,
            limits=Limits() if self._level == "full" else Limits(processes=FLOOR_PROCESSES),
        )
        try:
            done = parent.run(
                plan, stdin, self._seconds, self._cancelled, self._serve if self._network else None
            )
        except FileNotFoundError as error:
            raise ToolFailed(f"{error}; programs are looked for in {self._path}") from None
        return self._output(argv, done, watch)

    def _environ(self, home: str) -> tuple[tuple[str, str], ...]:
        kept = [(name, os.environ[name]) for name in _KEPT if name in os.environ]
        own = [("PATH", self._path), ("HOME", home), ("TMPDIR", home), ("TERM", "dumb"), ("NO_COLOR", "1")]
        proxy = f"http://127.0.0.1:{egress.PORT}"
        proxies = [(name, proxy) for name in _PROXIES] if self._network else []
        return (*own, *kept, *proxies)

    def _serve(self, listener: socket.socket) -> Callable[[], None]:
        """Be the network of the box, by the policy; returns how to stop that."""
        return egress.Egress(self._door(), listener, entry="tool:run", run=self._id).stop

    def _output(self, argv: tuple[str, ...], done: Finished, watch: aside.Watch) -> Output:
        text = done.output.decode("utf-8", "replace")
        said = _ENDED.get(done.ended, "").format(seconds=self._seconds)
        status = said or f"exit code {done.exit}"
        notice = self._notice(watch)
        return Output(
            f"[{status}]\n{text}",
            f"the output of {argv[0]}",
            exit=done.exit,
            notice=notice,
            failed=bool(done.exit) or bool(said),
            cancelled=done.ended == "cancelled",
        )

    def _notice(self, watch: aside.Watch) -> str:
        """Put aside what is new and runs later; returns what the person is told."""
        changed, moved = watch.changed(), watch.put_aside(self._id)
        told = [f"the command changed what runs later: {', '.join(changed)}"] if changed else []
        told += [
            f"the command made {name}, which runs later: it was moved to {to}" for name, to in moved.items()
        ]
        if not watch.is_complete:
            told.append("the workspace has too many files to look through all of it for what runs later")
        return "; ".join(told)

    def close(self) -> None:
        """Delete the private folder of commands."""
        shutil.rmtree(self._private, ignore_errors=True)
