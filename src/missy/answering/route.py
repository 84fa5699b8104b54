"""Who is asked for one answer: the entry, and after a failure the entries of its `fallback`, in order.

Another entry is asked only before any part of the answer was shown, and only if the endpoint failed, limited the caller
or refused every key. A question to a private entry never goes to a public host.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from missy.config.fallbacks import in_cidrs, is_private
from missy.errors import CredentialError, LimitError, MissyError, ProviderError, UsageError
from missy.events import Notice, Usage
from missy.providers.checked import HeldText
from missy.spending.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.config.schema import Entry
    from missy.events import Event, Message
    from missy.options import AskOptions
    from missy.providers.base import Request
    from missy.runtime import Runtime
    from missy.spending.ledger import Ledger
    from missy.toolbox.bench import Surroundings, ToolRun

LOOKUP_SECONDS = 5.0  # for the addresses of a name
_PLANNED = "budget"  # the type of an error that says to spend no more, and not only here


class Route:
    """The entry that is asked now, and what it is asked. See `missy.answer.Asked`."""

    def __init__(
        self,
        runtime: Runtime,
        ledger: Ledger,
        prompt: str | Sequence[Message],
        provider: str | None,
        options: AskOptions,
    ) -> None:
        name, self._options = runtime.resolve(provider, options)
        self._runtime = runtime
        self._prompt = prompt
        self.entry: Entry
        self.request: Request
        self.entry, self.request = runtime.plan(prompt, name, cast("AskOptions", self._options))
        self.meter: Meter = Meter(ledger, runtime.config)
        self.held: HeldText = HeldText()
        self._first = self.entry
        self._left = list(dict.fromkeys(self.entry.fallback))
        self.has_others: bool = bool(self._left)
        self._error: MissyError | None = None  # of the last entry that was really asked
        self._started = monotonic()
        self.fallback_from: str | None = None

    @property
    def provider(self) -> str:
        """The name of the entry that is asked."""
        return self.entry.entry

    @property
    def model(self) -> str | None:
        """The model that it is asked for."""
        return self.request.model

    @property
    def held_back(self) -> str:
        """The text that is not given out yet, because it must fit a schema."""
        return self.held.text

    def tool_run(self) -> tuple[ToolRun, Surroundings]:
        """Return what the tools of the answer stand on. Only for a request that offers them."""
        from missy.toolbox.bench import Surroundings, ToolRun

        runtime = self._runtime
        around = Surroundings(runtime.config, runtime.audit, runtime.door, runtime.servers, self.provider)
        return ToolRun(self._options["toolbox"], self._options.get("approve")), around

    def move(self, error: MissyError) -> tuple[list[str], MissyError | None]:
        """Go on to the next entry after a failure; may look up a name.

        Returns what to say, and the error to raise if nobody else is asked.
        """
        passed_over = self.fallback_from is not None and isinstance(error, UsageError | CredentialError)
        if not passed_over or error.status is not None:
            self._error = error
            if not _may_move(error):
                return [], error
        told = [f"{self.provider} failed: {error.message}"] if self._left else []
        while self._left:
            name = self._left.pop(0)
            try:
                entry, request = self._next(name)
            except MissyError as why:
                told.append(f"{name} is not asked: {why.message}")
                continue
            self.fallback_from, self.entry = self._first.entry, entry
            self.request = request._replace(fallback_from=self._first.entry)
            told.append(f"asking {name} instead" + (f" ({request.model})" if request.model else ""))
            return told, None
        return told, self._error or error

    def _next(self, name: str) -> tuple[Entry, Any]:
        """Return an entry and its request. Raises MissyError for one that must not or cannot be asked."""
        options = {**self._options, "model": None}  # it was a model of the first entry
        deadline = options.get("deadline")
        if deadline is not None:
            options["deadline"] = deadline - (monotonic() - self._started)
            if options["deadline"] <= 0:
                raise UsageError("the deadline has passed")
        entry, request = self._runtime.plan(self._prompt, name, cast("AskOptions", options))
        if self._private(self._first, unknown=True) and not self._private(entry, unknown=False):
            raise UsageError(f"it is a public host, and {self._first.entry} is on this machine or network")
        return entry, request

    def _private(self, entry: Entry, *, unknown: bool) -> bool:
        """Tell whether an entry is private. Behind a proxy names are not looked up here: then it is `unknown`."""
        config = self._runtime.config
        found = is_private(config, entry)
        if found is not None:
            return found
        if config.network.proxy is not None:
            return unknown
        from missy.net.limits import Clock
        from missy.net.names import resolve
        from missy.policy import parse

        target = parse(entry.endpoint or "")
        try:
            return in_cidrs(config, resolve(target.host, target.port, Clock(LOOKUP_SECONDS)))
        except MissyError:
            return unknown


def is_shown(event: Event) -> bool:
    """Tell whether an event is a part of the answer, after which nobody else is asked."""
    return not isinstance(event, Notice | Usage)


def _may_move(error: MissyError) -> bool:
    """Tell whether another entry may be asked after an error: the fault is at the endpoint, its limits or its keys."""
    if error.type == _PLANNED:
        return False
    if isinstance(error, CredentialError):
        return error.status in (401, 403)
    return isinstance(error, ProviderError | LimitError)
