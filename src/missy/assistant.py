"""Missy: joins the configuration, the policy, the door, the credentials and a provider into an answer."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from missy import paths
from missy.answer import Answer, AsyncAnswer
from missy.config.load import load_chosen
from missy.errors import UsageError
from missy.events import Message, Notice
from missy.policy import parse
from missy.providers.base import Request
from missy.secrets.resolve import Credential, credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    import openai

    from missy.audit import Audit
    from missy.config.schema import Config, Entry
    from missy.events import Event, Image, Tool
    from missy.local.server import LocalServer
    from missy.net.client import Door
    from missy.providers.base import Preview, Provider

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
        self._notice = notice or (lambda _text: None)
        self._audit = audit or Audit(paths.home() / "audit.jsonl")
        self._doors: list[Door] = []
        self._main_door: Door | None = None
        self._providers: dict[str, Any] = {}
        self._servers: list[LocalServer] = []

    def door(self) -> Door:
        """Return the one way out for the configured entries."""
        if self._main_door is None:
            from missy.policy import Policy

            self._main_door = self._new_door(Policy(self.config.rules()))
        return self._main_door

    def _new_door(self, policy: Any) -> Door:
        from missy.net.client import Door

        network = self.config.network
        door = Door(policy, self._audit, proxy=network.proxy, ca_bundle=network.ca_bundle)
        self._doors.append(door)
        return door

    def provider(self, entry: Entry) -> Provider:
        """Return the provider of an entry, made once."""
        if entry.entry not in self._providers:
            self._providers[entry.entry] = self._makers[entry.kind](entry)
        provider: Provider = self._providers[entry.entry]
        return provider

    @property
    def _makers(self) -> dict[str, Callable[[Entry], Any]]:
        return {
            "openai": self._remote_provider,
            "openai-codex": self._codex_provider,
            "local": self._local_provider,
        }

    def _codex_provider(self, entry: Entry) -> Any:
        from missy.auth.limits import NOTE_FILE, LimitsNote
        from missy.auth.login import LOGIN_FILE
        from missy.auth.tokens import Logins
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
            limits=LimitsNote(paths.home() / NOTE_FILE),
        )

    def _remote_provider(self, entry: Entry) -> Any:
        base_url = entry.endpoint
        assert base_url is not None
        target = parse(base_url)

        def resolve() -> list[Credential]:
            return credentials(
                entry.entry,
                api_key=entry.api_key,
                api_keys=entry.api_keys,
                host=target.host,
                loopback=target.is_loopback,
                environ=os.environ,
            )

        return self._make(entry, self.door(), base_url, target.host, resolve)

    def _local_provider(self, entry: Entry) -> Any:
        from missy.local.server import LocalServer, running
        from missy.policy import Endpoint, Policy, Rules

        found = None if entry.model_path else running()
        if found is not None and parse(found[0]).is_loopback:
            base_url, key = found
        else:
            from missy.local.model import require

            server = LocalServer.start(entry.model_path or require())
            self._servers.append(server)
            base_url, key = server.base_url, server.key
        # A door of its own, that leads to this server and nowhere else.
        door = self._new_door(Policy(Rules(endpoints=(Endpoint(base_url, entry.entry),))))
        credential = Credential(key, "local", f"local:{entry.entry}")
        return self._make(entry, door, base_url, parse(base_url).host, lambda: [credential])

    def _make(self, entry: Entry, door: Door, base_url: str, host: str, resolve: Any) -> Any:
        from missy.providers.memory import EndpointMemory
        from missy.providers.registry import provider_class

        return provider_class(entry.kind)(
            door,
            entry=entry.entry,
            base_url=base_url,
            host=host,
            credentials=resolve,
            max_retries=entry.max_retries,
            memory=EndpointMemory(paths.home() / "endpoints.json"),
        )

    def request(
        self,
        entry: Entry,
        prompt: str | Sequence[Message],
        *,
        model: str | None = None,
        system: str | None = None,
        images: Sequence[Image] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
        reasoning: str | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        stream: bool = True,
    ) -> Request:
        """Build the request of one answer from the entry and the caller's wishes. Raises UsageError."""
        if isinstance(prompt, str):
            messages: tuple[Message, ...] = (Message("user", prompt, tuple(images)),)
            if not prompt.strip() and not images:
                raise UsageError(
                    "the prompt is empty", hint='try: missy ask "What is the capital of France?"'
                )
        else:
            messages = tuple(prompt)
        made = Request(
            messages,
            model or entry.model,
            system=system,
            temperature=temperature,
            max_tokens=max_tokens,
            reasoning=reasoning,
            tools=tuple(tools),
            tool_choice=tool_choice,
            stream=stream,
            timeout=timeout if timeout is not None else entry.timeout,
            deadline=deadline if deadline is not None else entry.deadline,
        )
        if entry.kind == "local":
            # The model's template ignores tools, so none are offered.
            made = replace(
                made,
                model=made.model or LOCAL_MODEL,
                system=system or _LOCAL_SYSTEM,
                tools=(),
                tool_choice=None,
            )
        return made

    def _stop_servers(self) -> None:
        while self._servers:
            self._servers.pop().stop()


class Missy(_Shared):
    """The assistant for sync code. Use it as a context manager, or call `close()`."""

    @classmethod
    def open(cls, config: str | Path | None = None) -> Missy:
        """Load the configuration (`config`, else MISSY_CONFIG, else MISSY_HOME/config.yaml). Raises ConfigError."""
        return cls(load_chosen(str(config) if config is not None else None))

    def ask(self, prompt: str | Sequence[Message], *, provider: str | None = None, **wishes: Any) -> Answer:
        """Ask; the answer's events come as it is iterated over. See `request` for what may be wished.

        `provider` names an entry and is binding. Raises UsageError; the answer itself raises MissyError.
        """
        entry = self.config.entry(provider)
        request = self.request(entry, prompt, **wishes)
        return Answer(self._events(entry, request), provider=entry.entry, model=request.model)

    def _events(self, entry: Entry, request: Request) -> Iterator[Event]:
        if entry.kind == "local":
            yield Notice(_LOCAL_NOTICE)
        yield from self.provider(entry).stream(request)

    def preview(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **wishes: Any
    ) -> Preview:
        """Return the exact request that `ask` would send, secrets masked. Raises PolicyError where it would be refused."""
        entry = self.config.entry(provider)
        request = self.request(entry, prompt, **wishes)
        preview = self.provider(entry).preview(request)
        if entry.kind != "local":
            from missy.net.gate import refusal

            decision = self.door().gate.policy.decide(parse(preview.url))
            if not decision.allowed:
                raise refusal(decision)
        return preview

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> list[str]:
        """Return the live list of models of an entry's endpoint. Raises MissyError."""
        entry = self.config.entry(provider)
        return self.provider(entry).models(timeout if timeout is not None else entry.timeout)

    def openai_client(self, entry: str | None = None) -> openai.OpenAI:
        """Return a real `openai.OpenAI` whose traffic passes the same policy, credential and audit."""
        provider: Any = self.provider(self.config.entry(entry))
        client: openai.OpenAI = provider.openai_client()
        return client

    def close(self) -> None:
        """Close every connection, and stop the local model if it was started here."""
        for door in self._doors:
            door.close()
        self._stop_servers()
        self._providers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncMissy(_Shared):
    """The same for async code."""

    @classmethod
    def open(cls, config: str | Path | None = None) -> AsyncMissy:
        """Load the configuration. Raises ConfigError."""
        return cls(load_chosen(str(config) if config is not None else None))

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **wishes: Any
    ) -> AsyncAnswer:
        """Ask; see Missy.ask."""
        entry = self.config.entry(provider)
        request = self.request(entry, prompt, **wishes)
        return AsyncAnswer(self._events(entry, request), provider=entry.entry, model=request.model)

    async def _events(self, entry: Entry, request: Request) -> AsyncIterator[Event]:
        provider = self._providers.get(entry.entry)
        if entry.kind == "local":
            import asyncio

            yield Notice(_LOCAL_NOTICE)
            provider = provider or await asyncio.to_thread(self.provider, entry)
        async for event in (provider or self.provider(entry)).astream(request):
            yield event

    async def aclose(self) -> None:
        """Close every connection, and stop the local model if it was started here."""
        for door in self._doors:
            await door.aclose()
        self._stop_servers()
        self._providers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
