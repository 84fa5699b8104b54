"""Missy: joins the configuration, the policy, the door, the credentials and a provider into an answer."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from missy import paths
from missy.answer import Answer, AsyncAnswer
from missy.config.load import load_chosen
from missy.config.schema import Entry
from missy.errors import MissyError, UsageError
from missy.events import Notice
from missy.policy import parse
from missy.providers.request import build_request
from missy.secrets.resolve import Credential, credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Unpack

    import openai

    from missy.audit import Audit
    from missy.auth.prompter import Prompter
    from missy.config.schema import Config
    from missy.config.watch import Watch
    from missy.events import Event, Message
    from missy.local.server import LocalServer
    from missy.login import LoginStatus, Method
    from missy.net.client_lease import Account
    from missy.net.door import Door
    from missy.options import AskOptions
    from missy.providers._scoped_clients import Lease
    from missy.providers.base import Preview, Provider, Request
    from missy.providers.heads import HeadStore
    from missy.providers.quirks import LearnedQuirks

LOCAL_MODEL = "smollm2-135m"
_LOCAL_SYSTEM = "You are a helpful assistant."  # without one the model's template makes it talk nonsense
_LOCAL_NOTICE = "a small model on this machine (135 million parameters) answers: do not rely on what it says"


class _Shared:
    """What Missy and AsyncMissy have in common: everything but the driving."""

    def __init__(
        self, config: Config, *, audit: Audit | None = None, notice: Callable[[str], None] | None = None
    ) -> None:
        from missy.audit import Audit

        self.config = config
        self._watch: Watch | None = None
        self._untold: deque[str] = deque(maxlen=8)  # for the next answer, where nobody listens for notices
        self._notice = notice or self._untold.append
        self._audit = audit or Audit(paths.home() / "audit.jsonl")
        self._doors: list[Door] = []
        self._main_door: Door | None = None
        self._providers: dict[Entry, Any] = {}
        self._servers: dict[Entry, LocalServer] = {}
        self._mutex = threading.RLock()
        self._memory: LearnedQuirks | None = None
        self._heads: HeadStore | None = None
        self._starting = threading.Lock()  # one for what takes seconds, so that nobody else waits for it
        self._busy = 0  # answers under way
        self._retired: list[
            Door
        ] = []  # of a configuration that holds no more: closed when nobody is on the way
        self._lent = False
        self._closed = False

    def door(self) -> Door:
        """Return the one way out for the configured entries."""
        with self._mutex:
            if self._main_door is None:
                from missy.policy import Policy

                self._main_door = self._new_door(Policy(self.config.rules()))
            return self._main_door

    def _new_door(self, policy: Any) -> Door:
        from missy.net.door import Door

        network = self.config.network
        door = Door(policy, self._audit, proxy=network.proxy, ca_bundle=network.ca_bundle)
        with self._mutex:
            self._doors.append(door)
        return door

    def provider(self, entry: Entry) -> Provider:
        """Return the provider of an entry, made once."""
        key = _key(entry)
        with self._starting if entry.kind == "local" else self._mutex:
            made: Provider | None = self._providers.get(key)
            if made is None:
                made = self._makers[entry.kind](entry)
                with self._mutex:
                    self._providers[key] = made
            return made

    def entry(self, name: str | None = None) -> Entry:
        """Return an entry of the configuration as its file is now. Raises UsageError.

        A file that cannot be used changes nothing and is told once: to `notice`, else as a Notice of the next answer.
        """
        with self._mutex:
            if self._watch is None:
                from missy.config.watch import Watch

                self._watch = Watch(self.config)
            try:
                found = self._watch.newer()
            except MissyError as error:
                self._notice(
                    f"{error.message} ({error.hint}); the configuration as it was before still holds"
                )
                found = None
            if found is not None:
                self._take_up(found)
            return self.config.entry(name)

    def _take_up(self, found: Config) -> None:
        """Go on with another configuration. Answers under way end as they began."""
        before, self.config = self.config, found
        kept = {_key(entry) for entry in found.providers.values()}
        if (before.rules(), before.network) != (found.rules(), found.network) and self._main_door:
            self._retired.append(self._main_door)
            self._main_door = None
            kept = {key for key in kept if key.kind == "local"}  # the others go through the door
        self._providers = {key: made for key, made in self._providers.items() if key in kept or key == _LOCAL}

    def _enter(self) -> None:
        with self._mutex:
            self._busy += 1

    def _leave(self) -> list[Door]:
        """End an answer; returns the doors to close."""
        with self._mutex:
            self._busy -= 1
            if self._busy or self._lent:
                return []
            for key in [key for key in self._servers if key not in self._providers]:
                self._servers.pop(key).stop()
            doors, self._retired = self._retired, []
            self._doors = [door for door in self._doors if door not in doors]
            return doors

    @property
    def _makers(self) -> dict[str, Callable[[Entry], Any]]:
        return {
            "openai": self._remote_provider,
            "openai-codex": self._codex_provider,
            "local": self._local_provider,
        }

    def _codex_provider(self, entry: Entry) -> Any:
        from missy.auth.login import LOGIN_FILE
        from missy.auth.tokens import Logins
        from missy.auth.usage import NOTE_FILE, UsageCache
        from missy.providers.catalogue import Catalogue
        from missy.providers.registry import provider_class

        assert entry.endpoint is not None
        logins = Logins(
            paths.home() / LOGIN_FILE, self.door(), entry.issuer_url, entry.entry, notice=self._notice
        )
        return provider_class(entry.kind)(
            self.door(),
            entry=entry.entry,
            base_url=entry.endpoint,
            host=parse(entry.endpoint).host,
            logins=logins,
            max_retries=entry.max_retries,
            catalogue=Catalogue(paths.home() / "models" / "codex.json"),
            limits=UsageCache(paths.home() / NOTE_FILE),
            timeout=entry.timeout,
            heads=self._head_store(),
        )

    def _head_store(self) -> HeadStore:
        if self._heads is None:
            from missy.providers.heads import HeadStore

            self._heads = HeadStore(paths.home() / "request-heads.json")
        return self._heads

    def connect_ahead(self, name: str | None = None) -> None:
        """Begin the connection that an answer of this entry will need, while the caller gets ready to ask for it.

        Nothing is begun for an entry that could not be used. Raises nothing: asking tells what is wrong.
        """
        try:
            entry = self.config.entry(name)
            if entry.kind == "openai":
                _credentials(entry)
            ready = entry.kind == "openai" or (entry.kind == "openai-codex" and _has_login())
            if ready and entry.endpoint:
                self.door().connect_ahead(entry.endpoint, entry=entry.entry, timeout=entry.timeout)
        except MissyError:
            return

    def _remote_provider(self, entry: Entry) -> Any:
        assert entry.endpoint is not None
        host = parse(entry.endpoint).host
        return self._make(entry, self.door(), entry.endpoint, host, lambda: _credentials(entry))

    def _local_provider(self, entry: Entry) -> Any:
        from missy.local.server import LocalServer, running
        from missy.policy import Endpoint, Policy, Rules

        found = None if entry.model_path else running()
        if found is not None and parse(found[0]).is_loopback:
            base_url, key = found
        else:
            from missy.local.model import require

            server = LocalServer.start(entry.model_path or require())
            self._servers[_key(entry)] = server
            base_url, key = server.base_url, server.key
        # A door of its own, that leads to this server and nowhere else.
        door = self._new_door(Policy(Rules(endpoints=(Endpoint(base_url, entry.entry),))))
        credential = Credential(key, "local", f"local:{entry.entry}")
        return self._make(entry, door, base_url, parse(base_url).host, lambda: [credential])

    def _make(self, entry: Entry, door: Door, base_url: str, host: str, resolve: Any) -> Any:
        from missy.providers.registry import provider_class

        if self._memory is None:
            from missy.providers.quirks import LearnedQuirks

            self._memory = LearnedQuirks(paths.home() / "endpoints.json")
        return provider_class(entry.kind)(
            door,
            entry=entry.entry,
            base_url=base_url,
            host=host,
            credentials=resolve,
            max_retries=entry.max_retries,
            memory=self._memory,
            heads=self._head_store(),
            timeout=entry.timeout,
            # The vault and the keyring take a while, and a locked keyring asks the person first.
            may_wait=any("vault://" in text or "keyring://" in text for text in entry.secrets),
        )

    def request(self, entry: Entry, prompt: str | Sequence[Message], options: AskOptions) -> Request:
        """Build the request of one answer from the entry and the caller's options. Raises UsageError."""
        made = build_request(entry, prompt, options)
        if entry.kind == "local":
            # The model's template ignores tools, so none are offered.
            made = made._replace(
                model=made.model or LOCAL_MODEL,
                system=made.system or _LOCAL_SYSTEM,
                tools=(),
                tool_choice=None,
            )
        return made

    def _preview(self, prompt: str | Sequence[Message], name: str | None, options: AskOptions) -> Preview:
        entry = self.entry(name)
        request = self.request(entry, prompt, options)
        preview = self.provider(entry).preview(request)
        if entry.kind != "local":
            from missy.net.gate import refusal

            decision = self.door().gate.policy.decide(parse(preview.url))
            if not decision.allowed:
                raise refusal(decision)
        return preview

    def _lease(self, name: str | None) -> Lease:
        """Return what a lent client of an entry stands on: the entry as it is at each request, until we are closed."""
        from missy.providers._scoped_clients import Lease

        entry = self.entry(name).entry

        def account() -> Account:
            if self._closed:
                raise UsageError(
                    "the Missy that lent this client is closed", hint="open another, and ask it for a client"
                )
            return self.provider(self.entry(entry)).account()

        lease = Lease(account, account().base_url, lambda: self._closed)
        self._lent = True  # a lent client may be on its way at any time, so no door is closed before the end
        return lease

    def _end(self) -> list[Door]:
        """Stop the servers and forget the rest; returns the doors to close."""
        with self._starting, self._mutex:
            self._closed = True
            doors, self._doors, self._retired, self._main_door = self._doors, [], [], None
            self._providers.clear()
            while self._servers:
                self._servers.popitem()[1].stop()
            return doors


def _key(entry: Entry) -> Entry:
    """Return what an entry is, wherever it stands in the file."""
    return replace(entry, line=0)


_LOCAL = Entry(entry="local", kind="local")  # it needs no line in the file


def _credentials(entry: Entry) -> list[Credential]:
    """Resolve an entry's keys as they are now. Raises CredentialError."""
    return credentials(entry, os.environ)


def _has_login() -> bool:
    from missy.auth.login import LOGIN_FILE

    return (paths.home() / LOGIN_FILE).exists()


class Missy(_Shared):
    """The assistant for sync code. Use it as a context manager, or call `close()`."""

    @classmethod
    def open(cls, config: str | Path | None = None, *, notice: Callable[[str], None] | None = None) -> Missy:
        """Load the configuration (`config`, else MISSY_CONFIG, else MISSY_HOME/config.yaml). Raises ConfigError.

        The file is looked at again before each answer. `notice` is told what the user should know and is no answer.
        """
        return cls(load_chosen(str(config) if config is not None else None), notice=notice)

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Answer:
        """Ask; the answer's events come as it is iterated over. See `missy.AskOptions` for the options.

        `provider` names an entry and is binding. Raises UsageError; the answer itself raises MissyError.
        """
        entry = self.entry(provider)
        request = self.request(entry, prompt, options)
        return Answer(self._events(entry, request), provider=entry.entry, model=request.model)

    def _events(self, entry: Entry, request: Request) -> Iterator[Event]:
        with self._answering():
            while self._untold:
                yield Notice(self._untold.popleft())
            provider = self.provider(entry)
            if entry.kind == "local":
                yield Notice(_LOCAL_NOTICE)
            yield from provider.stream(request)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            for door in self._leave():
                door.close()

    def preview(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Preview:
        """Return the exact request that `ask` would send, secrets masked. Raises PolicyError where it would be refused."""
        return self._preview(prompt, provider, options)

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> list[str]:
        """Return the live list of models of an entry's endpoint. Raises MissyError."""
        entry = self.entry(provider)
        with self._answering():
            return self.provider(entry).models(timeout if timeout is not None else entry.timeout)

    def log_in(
        self,
        entry: str | None = None,
        *,
        prompter: Prompter,
        method: Method = "browser",
        replace: bool = False,
    ) -> LoginStatus:
        """Sign in with ChatGPT for an entry; see `missy.login.log_in`. Raises MissyError; the login before is kept then."""
        from missy import login

        chosen = login.find_entry(self.config, entry)
        return login.log_in(self.config, self._audit, chosen, prompter, method=method, replace=replace)

    def log_out(self, entry: str | None = None) -> bool:
        """Revoke an entry's login and delete it from this machine. Returns whether there was one. Raises MissyError."""
        from missy import login

        chosen = login.find_entry(self.config, entry)
        return login.log_out(self.config, self._audit, chosen, notice=self._notice)

    def login_status(self, entry: str | None = None) -> LoginStatus:
        """Look at an entry's login as its file has it; nothing is sent. Raises UsageError for an entry without one."""
        from missy import login

        return login.status(login.find_entry(self.config, entry))

    def openai_client(self, entry: str | None = None) -> openai.OpenAI:
        """Return a real `openai.OpenAI` that reaches this entry's endpoint: same policy, credential and audit."""
        from missy.providers._scoped_clients import make_client

        return make_client(self._lease(entry))

    def close(self) -> None:
        """Close every connection and every client that was lent, and stop the local model if it was started here."""
        for door in self._end():
            door.close()
        self._audit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncMissy(_Shared):
    """The same for async code."""

    @classmethod
    def open(
        cls, config: str | Path | None = None, *, notice: Callable[[str], None] | None = None
    ) -> AsyncMissy:
        """Load the configuration; see Missy.open. Raises ConfigError."""
        return cls(load_chosen(str(config) if config is not None else None), notice=notice)

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> AsyncAnswer:
        """Ask; see Missy.ask."""
        entry = self.entry(provider)
        request = self.request(entry, prompt, options)
        return AsyncAnswer(self._events(entry, request), provider=entry.entry, model=request.model)

    async def _events(self, entry: Entry, request: Request) -> AsyncIterator[Event]:
        async with self._answering():
            while self._untold:
                yield Notice(self._untold.popleft())
            provider = self._providers.get(_key(entry))
            if entry.kind == "local":
                import asyncio

                provider = provider or await asyncio.to_thread(self.provider, entry)
                yield Notice(_LOCAL_NOTICE)
            async for event in (provider or self.provider(entry)).astream(request):
                yield event

    async def log_in(
        self,
        entry: str | None = None,
        *,
        prompter: Prompter,
        method: Method = "browser",
        replace: bool = False,
    ) -> LoginStatus:
        """Sign in with ChatGPT; see Missy.log_in. It waits for the person in a thread, from which `prompter` is called."""
        import asyncio

        from missy import login

        chosen = login.find_entry(self.config, entry)
        return await asyncio.to_thread(
            login.log_in, self.config, self._audit, chosen, prompter, method=method, replace=replace
        )

    async def log_out(self, entry: str | None = None) -> bool:
        """Revoke an entry's login and delete it from this machine; see Missy.log_out."""
        import asyncio

        from missy import login

        chosen = login.find_entry(self.config, entry)
        return await asyncio.to_thread(login.log_out, self.config, self._audit, chosen, notice=self._notice)

    def login_status(self, entry: str | None = None) -> LoginStatus:
        """Look at an entry's login as its file has it; see Missy.login_status."""
        from missy import login

        return login.status(login.find_entry(self.config, entry))

    async def models(  # its `timeout` is that of the sync call
        self,
        provider: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[str]:
        """Return the live list of models of an entry's endpoint; see Missy.models. It is fetched in a thread."""
        import asyncio

        entry = self.entry(provider)
        async with self._answering():
            return await asyncio.to_thread(
                lambda: self.provider(entry).models(timeout if timeout is not None else entry.timeout)
            )

    async def preview(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **options: Unpack[AskOptions]
    ) -> Preview:
        """Return the exact request that `ask` would send, secrets masked; see Missy.preview."""
        import asyncio

        return await asyncio.to_thread(self._preview, prompt, provider, options)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        self._enter()
        try:
            yield
        finally:
            for door in self._leave():
                await door.aclose()
                door.close()

    def openai_client(self, entry: str | None = None) -> openai.AsyncOpenAI:
        """Return a real `openai.AsyncOpenAI`; see Missy.openai_client."""
        from missy.providers._scoped_clients import make_async_client

        return make_async_client(self._lease(entry))

    async def aclose(self) -> None:
        """Close every connection and every client that was lent, and stop the local model if it was started here."""
        for door in self._end():
            await door.aclose()
        self._audit.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
