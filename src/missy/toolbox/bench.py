"""The tools of one answer, opened: the workspace, the handlers, the executor. Closed when the answer has ended."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.approval import Taint
from missy.errors import UsageError
from missy.toolbox import schemas
from missy.toolbox.asking import AsyncApproval
from missy.toolbox.changes import Edit, Write
from missy.toolbox.executor import Executor
from missy.toolbox.fetch import Fetch
from missy.toolbox.files import List, Read, Search
from missy.toolbox.records import Recorder
from missy.toolbox.results import ResultStore
from missy.toolbox.undo import Backups
from missy.toolbox.workspace import Workspace
from missy.toolbox.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from missy.audit import Audit
    from missy.config.schema import Config
    from missy.events import Image, ToolCall, ToolResult
    from missy.mcp.servers import Servers
    from missy.net.door import Door
    from missy.providers.base import Request
    from missy.toolbox.asking import Approve
    from missy.toolbox.base import Handler
    from missy.toolbox.box import Toolbox
    from missy.toolbox.command import Run
    from missy.toolbox.servers import ServerTools


class ToolRun(NamedTuple):
    """What an answer with tools was asked with: the toolbox, and who answers questions."""

    toolbox: Toolbox
    approve: Approve | None

    def on_loop(self) -> ToolRun:
        """Return the same for async code: an async callback is awaited on the running event loop."""
        import asyncio
        import inspect

        if not any(map(inspect.iscoroutinefunction, (self.approve, getattr(self.approve, "__call__", None)))):  # noqa: B004
            return self
        assert self.approve is not None
        return self._replace(approve=AsyncApproval(self.approve, asyncio.get_running_loop()))


class Surroundings(NamedTuple):
    """What the tools of an answer stand on: configuration, record, door, servers, and the entry that is asked."""

    config: Config
    audit: Audit
    door: Callable[[], Door]
    servers: Callable[[], Servers]
    entry: str


def offer(request: Request, toolbox: Toolbox, config: Config) -> Request:
    """Return the request with the tools of the toolbox. Raises UsageError if it has others.

    Tools of servers are those that were approved, word for word; no server is started. Raises PolicyError for a server that
    was not approved as it is now.
    """
    if request.tools:
        raise UsageError("give tools or a toolbox, not both", hint="tools are run by you, a toolbox by Missy")
    tools = tuple(schemas.BUILT_IN[name] for name in dict.fromkeys(toolbox.use))
    if toolbox.mcp:
        from missy.toolbox.servers import approved

        servers = approved(config, toolbox.mcp)
        if toolbox.approve_all and any(one.server.has_network for one in servers):
            raise UsageError(
                "--approve-all and servers with a network exclude each other", hint="answer the questions"
            )
        tools += tuple(tool.tool() for one in servers for tool in one.tools)
    return request._replace(tools=tools, in_loop=True)


class Bench:
    """The open tools of one answer. `notices` are for the user, not given out yet."""

    def __init__(self, run: ToolRun, around: Surroundings, request: Request) -> None:
        toolbox = run.toolbox
        if toolbox.approve_all:
            require_full()
        self.limits = toolbox.limits
        self.notices: list[str] = []
        self._approve = run.approve
        self._config = around.config
        self._mutex = threading.Lock()
        self._cancelled = threading.Event()
        id_ = os.urandom(6).hex()
        self._command: Run | None = None
        self._servers: ServerTools | None = None
        self._results = ResultStore(id_)
        self._folder = toolbox.workspace
        self._opened: Workspace | None = None
        try:
            handlers = self._handlers(toolbox, around, _words(request, toolbox), id_)
            self._executor = Executor(
                handlers,
                toolbox.approvals(),
                Recorder(around.audit, id_, around.entry),
                self._results,
                approve=run.approve,
                save_rule=self._save_rule,
                notice=self.notices.append,
                output=toolbox.limits.output,
                taint=_first_taint(request, toolbox),
                cancelled=self._cancelled,
            )
        except BaseException:
            self._close_workspace()
            raise

    @property
    def _workspace(self) -> Workspace:
        """The workspace, opened on first use: not every tool needs one."""
        if self._opened is None:
            self._opened = Workspace(self._folder)
        return self._opened

    def _close_workspace(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _handlers(
        self,
        toolbox: Toolbox,
        around: Surroundings,
        words: str,
        id_: str,
    ) -> dict[str, Handler]:
        written = Written()
        makers: dict[str, Callable[[], Handler]] = {
            "read": lambda: Read(self._workspace, self._results, written),
            "list": lambda: List(self._workspace),
            "search": lambda: Search(self._workspace),
            "write": lambda: Write(self._workspace, written, Backups()),
            "edit": lambda: Edit(self._workspace, written, Backups()),
            "run": lambda: self._runner(toolbox, id_, around.door),
            "fetch": lambda: Fetch(around.door, words),
        }
        handlers = {name: makers[name]() for name in dict.fromkeys(toolbox.use)}
        if toolbox.mcp:
            from missy.toolbox.servers import ServerTools

            self._servers = ServerTools(
                around.config,
                toolbox.mcp,
                around.servers(),
                lambda: self._workspace.path,
                self._cancelled,
                self.notices.append,
            )
            handlers |= self._servers.handlers
        return handlers

    def _runner(self, toolbox: Toolbox, id_: str, door: Callable[[], Door]) -> Handler:
        from missy.toolbox.command import Run  # it tries the sandbox

        self._command = Run(self._workspace, toolbox, id_, self._cancelled, door)
        return self._command

    def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Deal with the calls of one round; see Executor.run."""
        with self._mutex:
            return self._executor.run(calls)

    @property
    def thought(self) -> float:
        """The seconds for which a person was asked."""
        return self._executor.thought

    @property
    def images(self) -> list[Image]:
        """The images of the last round's results."""
        return self._executor.images

    def take_notices(self) -> list[str]:
        """Return what the user was not told yet."""
        told, self.notices[:] = list(self.notices), []
        return told

    def cancel(self) -> None:
        """End what is running: a command, a question. For async code, whose answer was cancelled."""
        self._cancelled.set()
        cancel: Any = getattr(self._approve, "cancel", None)
        if cancel is not None:
            cancel()

    def close(self) -> None:
        """Release all of it, after what is running has ended."""
        with self._mutex:
            self._close_workspace()
            self._results.close()
            if self._command is not None:
                self._command.close()
            if self._servers is not None:
                self._servers.close()

    def _save_rule(self, rule: str) -> None:
        """Write a rule to the configuration file, as a person asked for."""
        from missy.config.edit import edit, section

        def change(data: dict[str, Any]) -> None:
            tools = section(data, "tools")
            allow = tools.get("allow") or []
            if rule not in allow:
                tools["allow"] = [*allow, rule]

        edit(self._config.path, change, self._config.kinds)
        self.notices.append(f"saved in {self._config.path}: tools.allow: {rule}")


def require_full() -> None:
    """Raise UsageError if this machine does not give the full sandbox: --approve-all needs it."""
    from missy.sandbox.probe import walls

    found = walls()
    if found.level != "full":
        raise UsageError(f"--approve-all needs the full sandbox ({found.reason})", hint="see: missy doctor")


def _first_taint(request: Request, toolbox: Toolbox) -> Taint:
    """Return the taint of the prompt. Earlier answers may repeat what tools read: they count as text from others."""
    taint = Taint(private=toolbox.private_prompt)
    if any(message.role in ("assistant", "tool") for message in request.messages):
        return taint.after(untrusted=True, private=True, source="an earlier answer")
    return taint


def _words(request: Request, toolbox: Toolbox) -> str:
    """Return what the user wrote."""
    if toolbox.words is not None:
        return toolbox.words
    return "\n".join(message.text for message in request.messages if message.role == "user")
