"""Missy and AsyncMissy: the two faces of a runtime, for sync and for async code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from missy.answer import Answer, AsyncAnswer
from missy.answering.driving import aevents, answering, async_answering, events
from missy.answering.route import Route
from missy.config.load import load_chosen
from missy.conversation.methods import AsyncSessionMethods, SessionMethods, StoreHandle
from missy.kinds import KINDS
from missy.runtime import Runtime
from missy.spending.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Any, Unpack

    import openai

    from missy.audit import Audit
    from missy.auth.prompter import Prompter
    from missy.auth.ways import LoginStatus, Method
    from missy.config.schema import Config, Entry
    from missy.events import Message
    from missy.net.door import Door
    from missy.options import AskOptions, BatchOptions
    from missy.providers.base import Preview, Provider
    from missy.toolbox.box import Toolbox


class _Face:
    """What Missy and AsyncMissy have in common: everything but the driving."""

    def __init__(
        self, config: Config, *, audit: Audit | None = None, notice: Callable[[str], None] | None = None
    ) -> None:
        self._runtime = Runtime(config, audit=audit, notice=notice)
        self._keeping = StoreHandle()
        self._ledger = Ledger(self._keeping.to_record, self._runtime.notice)

    @classmethod
    def open(cls, config: str | Path | None = None, *, notice: Callable[[str], None] | None = None) -> Self:
        """Load the configuration (`config`, else MISSY_CONFIG, else MISSY_HOME/config.yaml). Raises ConfigError.

        The file is looked at again before each answer. `notice` is told what the user should know and is no answer.
        """
        return cls(load_chosen(str(config) if config is not None else None, KINDS), notice=notice)

    @property
    def runtime(self) -> Runtime:
        """What stands behind it: for the rooms of Missy itself."""
        return self._runtime

    @property
    def config(self) -> Config:
        """The configuration as it was looked at last."""
        return self._runtime.config

    def entry(self, name: str | None = None) -> Entry:
        """Return an entry of the configuration as its file is now, the default one without a name. Raises UsageError."""
        return self._runtime.entry(name)

    def record_at_close(self) -> None:
        """Record what answers cost when this is closed, and not after each one."""
        self._ledger.deferred = True

    def _close_sessions(self) -> None:
        self._ledger.flush()
        self._keeping.close(self.config.sessions.keep_days, self._runtime.notice)

    def door(self) -> Door:
        """Return the one way out for the configured entries."""
        return self._runtime.door()

    def provider(self, entry: Entry) -> Provider:
        """Return the provider of an entry, made once. Raises MissyError."""
        return self._runtime.provider(entry)

    def connect_ahead(self, name: str | None = None) -> None:
        """Begin the connection that an answer of this entry will need. Raises nothing: asking tells what is wrong."""
        self._runtime.connect_ahead(name)

    def toolbox(self, **changes: Any) -> Toolbox:
        """Return the tools of the configuration, with changes: `m.ask("...", toolbox=m.toolbox(use=["read"]))`."""
        from missy.toolbox.box import Toolbox

        return Toolbox.of(self.config.tools, **changes)

    def login_status(self, entry: str | None = None) -> LoginStatus:
        """Look at an entry's login as its file has it; nothing is sent. Raises UsageError for an entry without one."""
        from missy import login

        return login.status(login.find_entry(self.config, entry))


class Missy(_Face, SessionMethods):
    """The assistant for sync code. Use it as a context manager, or call `close()`."""

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Answer:
        """Ask; the answer's events come as it is iterated over. See `missy.AskOptions` for the options.

        `provider` names an entry and is binding. Raises UsageError; the answer itself raises MissyError.
        """
        route = Route(self._runtime, self._ledger, prompt, provider, options)
        return Answer(events(self._runtime, route), asked=route, schema=route.request.schema)

    def preview(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Preview:
        """Return the exact request that `ask` would send, secrets masked. Raises PolicyError where it would be refused."""
        return self._runtime.preview(prompt, provider, options)

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> list[str]:
        """Return the live list of models of an entry's endpoint. Raises MissyError."""
        entry = self._runtime.entry(provider)
        with answering(self._runtime):
            return self._runtime.models(entry, timeout)

    def log_in(
        self,
        entry: str | None = None,
        *,
        prompter: Prompter,
        method: Method = "browser",
        replace: bool = False,
        account: str | None = None,
        new: bool = False,
        enable_plan: bool = False,
    ) -> LoginStatus:
        """Sign in with ChatGPT for an entry; see `missy.login.log_in`. Raises MissyError; the login before is kept then."""
        from missy import login

        chosen = login.find_entry(self.config, entry)
        asked = login.SignIn(method, replace, account, new, enable_plan)
        return login.log_in(self.config, self._runtime.audit, chosen, prompter, asked)

    def log_out(self, entry: str | None = None) -> bool:
        """Revoke an entry's login and delete it from this machine. Returns whether there was one. Raises MissyError."""
        from missy import login

        chosen = login.find_entry(self.config, entry)
        return login.log_out(self.config, self._runtime.audit, chosen, notice=self._runtime.notice)

    def openai_client(self, entry: str | None = None) -> openai.OpenAI:
        """Return a real `openai.OpenAI` that reaches this entry's endpoint: same policy, credential and audit."""
        from missy.providers._scoped_clients import make_client

        return make_client(self._runtime.lease(entry))

    def close(self) -> None:
        """Close every connection and every client that was lent, and stop the local model if it was started here."""
        for door in self._runtime.end():
            door.close()
        self._close_sessions()
        self._runtime.audit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncMissy(_Face, AsyncSessionMethods):
    """The same for async code."""

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> AsyncAnswer:
        """Ask; see Missy.ask."""
        route = Route(self._runtime, self._ledger, prompt, provider, options)
        return AsyncAnswer(aevents(self._runtime, route), asked=route, schema=route.request.schema)

    def batch(
        self,
        rows: Iterable[str | dict[str, Any]],
        *,
        job: str,
        provider: str | None = None,
        retry_failed: bool = False,
        changed: bool = False,
        **options: Unpack[BatchOptions],
    ) -> AsyncGenerator[dict[str, Any]]:
        """Ask for each row once, and yield it when its answer is stored; see docs/batch.md. Rows of earlier runs come first.

        A row is a prompt, or a dict of columns. Raises UsageError; at the end, the MissyError that ended the run early.
        """
        from missy.batch.library import batch_rows
        from missy.batch.prepare import Wanted
        from missy.batch.runner import Ground

        wanted = Wanted("-", provider=provider, job=job, **options)
        if wanted.schema is not None:
            from missy.structured.reading import read_schema

            wanted = wanted._replace(schema=read_schema(wanted.schema))
        ground = Ground(self._runtime, self._ledger)
        return batch_rows(ground, rows, wanted, retry_failed=retry_failed, changed=changed)

    async def log_in(
        self,
        entry: str | None = None,
        *,
        prompter: Prompter,
        method: Method = "browser",
        replace: bool = False,
        account: str | None = None,
        new: bool = False,
        enable_plan: bool = False,
    ) -> LoginStatus:
        """Sign in with ChatGPT; see Missy.log_in. It waits for the person in a thread, from which `prompter` is called."""
        import asyncio

        from missy import login

        chosen = login.find_entry(self.config, entry)
        asked = login.SignIn(method, replace, account, new, enable_plan)
        return await asyncio.to_thread(
            login.log_in, self.config, self._runtime.audit, chosen, prompter, asked
        )

    async def log_out(self, entry: str | None = None) -> bool:
        """Revoke an entry's login and delete it from this machine; see Missy.log_out."""
        import asyncio

        from missy import login

        chosen = login.find_entry(self.config, entry)
        return await asyncio.to_thread(
            login.log_out, self.config, self._runtime.audit, chosen, notice=self._runtime.notice
        )

    async def models(  # its `timeout` is that of the sync call
        self,
        provider: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[str]:
        """Return the live list of models of an entry's endpoint; see Missy.models. It is fetched in a thread."""
        import asyncio

        entry = self._runtime.entry(provider)
        async with async_answering(self._runtime):
            return await asyncio.to_thread(self._runtime.models, entry, timeout)

    async def preview(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Preview:
        """Return the exact request that `ask` would send, secrets masked; see Missy.preview."""
        import asyncio

        return await asyncio.to_thread(self._runtime.preview, prompt, provider, options)

    def openai_client(self, entry: str | None = None) -> openai.AsyncOpenAI:
        """Return a real `openai.AsyncOpenAI`; see Missy.openai_client."""
        from missy.providers._scoped_clients import make_async_client

        return make_async_client(self._runtime.lease(entry))

    async def aclose(self) -> None:
        """Close every connection and every client that was lent, and stop the local model if it was started here."""
        for door in self._runtime.end():
            await door.aclose()
        if self._keeping.is_open or self._ledger.is_pending:
            import asyncio

            await asyncio.to_thread(self._close_sessions)
        self._runtime.audit.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
