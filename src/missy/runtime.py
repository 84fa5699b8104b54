"""What stands behind Missy and AsyncMissy: the watched configuration, the doors, the providers, what is lent.

It must never know a kind of provider, and never take what an answer under way still needs.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from missy import paths
from missy.errors import MissyError, UsageError
from missy.kinds import kind_of
from missy.kinds.context import Context
from missy.mcp.on_use import ServersOnUse
from missy.policy import Policy, parse
from missy.providers.request import build_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from missy.audit import Audit
    from missy.config.schema import Config, Entry
    from missy.config.watch import Watch
    from missy.events import Message
    from missy.net.client_lease import Account
    from missy.net.door import Door
    from missy.options import AskOptions
    from missy.providers._scoped_clients import Lease
    from missy.providers.base import Preview, Provider, Request
    from missy.providers.heads import HeadStore
    from missy.providers.quirks import LearnedQuirks


def open_audit(config: Config) -> Audit:
    """Return the record of MISSY_HOME, in files as the configuration has them."""
    from missy.audit import Audit

    kept = config.audit
    return Audit(paths.home() / "audit.jsonl", segment_bytes=kept.segment_mb << 20, keep=kept.keep)


class Runtime:
    """The life of one Missy or AsyncMissy, until `end`. Safe to use from several threads."""

    def __init__(
        self, config: Config, *, audit: Audit | None = None, notice: Callable[[str], None] | None = None
    ) -> None:
        self.config: Config = config
        self.audit: Audit = audit or open_audit(config)
        self._pending_notices: deque[str] = deque(maxlen=8)  # for the next answer, where nobody listens
        self.notice: Callable[[str], None] = notice or self._pending_notices.append
        self._watch: Watch | None = None
        self._doors: list[Door] = []
        self._main_door: Door | None = None
        self._retired: list[Door] = []  # of a former configuration: closed when no answer is under way
        self._providers: dict[Entry, Provider] = {}
        self._releases: dict[
            Entry, list[Callable[[], None]]
        ] = {}  # what to call when an entry is not used any more
        self._mutex = threading.RLock()
        self._starting = threading.Lock()  # one for what takes seconds, so that nobody else waits for it
        self._quirks: LearnedQuirks | None = None
        self._heads: HeadStore | None = None
        self._busy = 0  # answers under way
        self._has_lent = False
        self.servers: ServersOnUse = ServersOnUse(self.audit)
        self._closed = False

    # --- the configuration

    def entry(self, name: str | None = None) -> Entry:
        """Return an entry of the configuration as its file is now. Raises UsageError."""
        return self.current().entry(name)

    def current(self) -> Config:
        """Return the configuration as its file is now.

        A file that cannot be used changes nothing and is told once: to `notice`, else as a Notice of the next answer.
        """
        with self._mutex:
            if self._watch is None:
                from missy.config.watch import Watch

                self._watch = Watch(self.config)
            try:
                found = self._watch.newer()
            except MissyError as error:
                self.notice(f"{error.message} ({error.hint}); the configuration as it was before still holds")
                found = None
            if found is not None:
                self._apply_reload(found)
            return self.config

    def _apply_reload(self, found: Config) -> None:
        """Go on with another configuration. Answers under way end as they began."""
        before, self.config = self.config, found
        kept = {identity(entry) for entry in found.providers.values()}
        if (before.rules(), before.network) != (found.rules(), found.network) and self._main_door:
            self._retired.append(self._main_door)
            self._main_door = None
            kept = {entry for entry in kept if kind_of(entry).own_server}  # the others go through the door
        kept |= {identity(entry) for entry in found.always_there.values()}
        self._providers = {key: made for key, made in self._providers.items() if key in kept}

    def pending_notices(self) -> Iterator[str]:
        """Yield what nobody was told yet."""
        while self._pending_notices:
            yield self._pending_notices.popleft()

    # --- doors and providers

    def door(self) -> Door:
        """Return the one way out for the configured entries."""
        with self._mutex:
            if self._main_door is None:
                self._main_door = self._new_door(Policy(self.config.rules()))
            return self._main_door

    def _new_door(self, policy: Policy) -> Door:
        from missy.net.door import Door

        network = self.config.network
        door = Door(policy, self.audit, proxy=network.proxy, ca_bundle=network.ca_bundle)
        with self._mutex:
            self._doors.append(door)
        return door

    def connect_ahead(self, name: str | None = None) -> None:
        """Begin the connection that an answer of this entry will need, while the caller gets ready to ask for it.

        Nothing is begun for an entry that could not be used. Raises nothing: asking tells what is wrong.
        """
        try:
            entry = self.config.entry(name)
            if entry.endpoint and kind_of(entry).can_ask(entry, os.environ):
                self.door().connect_ahead(entry.endpoint, entry=entry.entry, timeout=entry.timeout)
        except MissyError:
            return

    def provider(self, entry: Entry) -> Provider:
        """Return the provider of an entry, made once. Raises MissyError."""
        key, kind = identity(entry), kind_of(entry)
        with self._starting if kind.own_server else self._mutex:
            made = self._providers.get(key)
            if made is None:
                made = kind.build(entry, self._context(key))
                with self._mutex:
                    self._providers[key] = made
            return made

    def ready_provider(self, entry: Entry) -> Provider | None:
        """Return the provider of an entry if getting it takes no time to speak of, else None."""
        made = self._providers.get(identity(entry))
        return made if made is not None or kind_of(entry).own_server else self.provider(entry)

    def _context(self, key: Entry) -> Context:
        def on_release(stop: Callable[[], None]) -> None:
            with self._mutex:
                self._releases.setdefault(key, []).append(stop)

        return Context(
            door=self.door,
            new_door=self._new_door,
            home=paths.home(),
            notice=self.notice,
            heads=self._head_store,
            quirks=self._endpoint_memory,
            on_release=on_release,
        )

    def _head_store(self) -> HeadStore:
        if self._heads is None:
            from missy.providers.heads import HeadStore

            self._heads = HeadStore(paths.home() / "request-heads.json")
        return self._heads

    def _endpoint_memory(self) -> LearnedQuirks:
        if self._quirks is None:
            from missy.providers.quirks import LearnedQuirks

            self._quirks = LearnedQuirks(paths.home() / "endpoints.json")
        return self._quirks

    # --- answers

    def resolve(self, name: str | None, options: AskOptions) -> tuple[str | None, dict[str, Any]]:
        """Return the entry's name and the options, with those of the role. Raises UsageError."""
        given = cast("dict[str, Any]", dict(options))
        if given.get("role") is None:
            given.pop("role", None)
            return name, given
        from missy.config.roles import with_role

        given = with_role(self.current(), {**given, "provider": name})
        return given.pop("provider", None), given

    def plan(
        self, prompt: str | Sequence[Message], name: str | None, options: AskOptions
    ) -> tuple[Entry, Request]:
        """Return an entry and the request to it. Raises UsageError."""
        entry = self.entry(name)
        request = build_request(entry, prompt, options)
        toolbox = options.get("toolbox")
        if toolbox is None:
            return entry, kind_of(entry).adapt(request)
        from missy.toolbox.bench import offer

        request = kind_of(entry).adapt(offer(request, toolbox, self.config))
        if (toolbox.use or toolbox.mcp) and not request.tools:
            raise UsageError(f"the model of entry {entry.entry} cannot use tools", hint="name another entry")
        return entry, request

    def preview(self, prompt: str | Sequence[Message], name: str | None, options: AskOptions) -> Preview:
        """Return the exact request that would be sent, secrets masked. Raises PolicyError where it would be refused."""
        name, resolved = self.resolve(name, options)
        entry, request = self.plan(prompt, name, cast("AskOptions", resolved))
        preview = self.provider(entry).preview(request)
        if entry.endpoint is not None:
            from missy.net.gate import refusal

            decision = self.door().gate.policy.decide(parse(preview.url))
            if not decision.allowed:
                raise refusal(decision)
        return preview

    def models(self, entry: Entry, timeout: float | None) -> list[str]:
        """Return the live list of models of an entry's endpoint; `timeout` is in seconds. Raises MissyError."""
        return self.provider(entry).models(timeout if timeout is not None else entry.timeout)

    def acquire(self) -> None:
        """Begin an answer: nothing that it may need is closed before `release`."""
        with self._mutex:
            self._busy += 1

    def release(self) -> list[Door]:
        """End an answer; returns the doors to close."""
        with self._mutex:
            self._busy -= 1
            if self._busy or self._has_lent:
                return []
            for key in [key for key in self._releases if key not in self._providers]:
                self._stop(key)
            doors, self._retired = self._retired, []
            self._doors = [door for door in self._doors if door not in doors]
            return doors

    def _stop(self, key: Entry) -> None:
        for stop in self._releases.pop(key):
            stop()

    # --- lending, and the end

    def lease(self, name: str | None) -> Lease:
        """Return what a lent client of an entry stands on: the entry as it is at each request, until the end."""
        from missy.providers._scoped_clients import Lease

        chosen = self.entry(name)
        entry = chosen.entry
        if reason := kind_of(chosen).own_use:
            raise UsageError(
                f"entry '{entry}' lends no client: {reason}", hint="ask it, or name another entry"
            )

        def account() -> Account:
            if self._closed:
                raise UsageError(
                    "the Missy that lent this client is closed", hint="open another, and ask it for a client"
                )
            return self.provider(self.entry(entry)).account()

        lease = Lease(account, account().base_url, lambda: self._closed)
        self._has_lent = (
            True  # a lent client may be on its way at any time, so no door is closed before the end
        )
        return lease

    def end(self) -> list[Door]:
        """Stop what was started and forget the rest; returns the doors to close."""
        with self._starting, self._mutex:
            self._closed = True
            doors, self._doors, self._retired, self._main_door = self._doors, [], [], None
            self._providers.clear()
            while self._releases:
                self._stop(next(reversed(self._releases)))
            self.servers.close()
            return doors


@lru_cache(maxsize=64)
def identity(entry: Entry) -> Entry:
    """Return what an entry is, wherever it stands in the file."""
    return entry._replace(line=0)
