"""What the sync and the async session share: everything except waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from missy.conversation.history import attached, cache_key, messages, question
from missy.conversation.recorder import Recorder, host_of
from missy.errors import UsageError
from missy.sessions import export, find, listing, tree, turns
from missy.sessions.records import TurnStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from missy.config.schema import Config, Entry
    from missy.events import Message
    from missy.sessions.listing import Totals
    from missy.sessions.records import SessionRecord, StoredFile, Turn
    from missy.sessions.store import Store

_KEPT_OPTIONS = ("model", "temperature", "max_tokens", "reasoning")


class Asker(Protocol):
    """The part of Missy that a session uses."""

    @property
    def config(self) -> Config:
        """The configuration."""

    def entry(self, name: str | None = None) -> Entry:
        """Return an entry of the configuration."""

    def ask(
        self, prompt: str | Sequence[Message], *, provider: str | None = None, **request_options: Any
    ) -> Any:
        """Return an answer; its request is sent when it is iterated."""


class Plan:
    """One question to a session: its text and files, its options, and the turn that it follows."""

    def __init__(
        self,
        prompt: str,
        files: tuple[StoredFile, ...],
        request_options: dict[str, Any],
        after: Callable[[SessionRecord], int | None],
    ) -> None:
        self.prompt = prompt
        self.files = files
        self.request_options = request_options
        self.after = after


class SessionBase:
    """One conversation, in the store or (`save=False`) in memory."""

    def __init__(self, missy: Any, store: Store, stored: SessionRecord) -> None:
        self._missy: Asker = missy
        self._store = store
        self._stored = stored

    @property
    def id(self) -> str:
        """The id, which never changes."""
        return self._stored.id

    @property
    def name(self) -> str | None:
        """The name, or None."""
        return self._stored.name

    @property
    def is_new(self) -> bool:
        """Whether it is not stored yet."""
        return not self._stored.created_ms

    @property
    def entry(self) -> str | None:
        """The entry that its next turn asks unless another is given; None before its first turn."""
        return self._stored.entry

    @property
    def model(self) -> str | None:
        """The model that was chosen for it; None if its entry's own is used."""
        return self._stored.model

    @property
    def system(self) -> str | None:
        """The instructions that its requests begin with."""
        return self._stored.system

    def _plan(
        self,
        prompt: str,
        attachments: Sequence[Any],
        options: dict[str, Any],
        *,
        after: Callable[[SessionRecord], int | None] | None = None,
    ) -> Plan:
        """Check a question before anything is written or sent. Raises UsageError."""
        if not isinstance(prompt, str):
            raise UsageError(
                "the prompt of a session must be a string", hint="the session adds the earlier turns itself"
            )
        request_options = dict(options)
        if request_options.get("role") is not None:
            from missy.config.roles import with_role

            request_options = with_role(self._missy.config, request_options)
        files = attached([*request_options.pop("images", ()), *attachments])
        plan = Plan(prompt, files, request_options, after or (lambda stored: stored.tip))
        if not prompt.strip() and not plan.files:
            raise UsageError("the prompt is empty", hint="ask something")
        provider, given = self._request_options(plan)
        self._missy.ask([question(prompt, plan.files)], provider=provider, **given)  # sends nothing
        return plan

    def _plan_edit(
        self, last: Turn, prompt: str, attachments: Sequence[Any] | None, options: dict[str, Any]
    ) -> Plan:
        """Plan a question in the place of the last one: with the same files, unless others are given."""
        if attachments is None:
            attachments = () if "images" in options else last.attachments
        return self._plan(prompt, attachments, options, after=lambda _: last.parent)

    def _request_options(self, plan: Plan) -> tuple[str | None, dict[str, Any]]:
        """Return the entry and the options of the request: those not given are taken from the last turn."""
        given, stored = dict(plan.request_options), self._stored
        provider = given.pop("provider", None)
        if provider is None or provider == stored.entry:
            provider = stored.entry
            given["model"] = given.get("model") or stored.model
        if given.get("system") is None:
            given["system"] = stored.system
        given["cache_key"] = cache_key(stored.id)
        return provider, {name: value for name, value in given.items() if value is not None}

    def _refresh(self) -> None:
        """Load what other processes have changed in the session in the meantime."""
        if not self.is_new:
            self._stored = find.get(self._store, self.id)
        elif self.name is not None:
            self._stored = find.claim(self._store, self._stored)

    def _look(self) -> int:
        """Load what other processes have changed; return how many turns they added after the last one known here."""
        before = self._stored.tip
        self._refresh()
        if self._stored.tip == before:
            return 0
        with self._store.read() as db:
            line = tree.line_ids(db, self.id)
        return len(line) - (line.index(before) + 1 if before in line else 0)

    def _totals(self) -> Totals:
        return listing.totals(self._store, self.id)

    def _messages(self, plan: Plan) -> list[Message]:
        last = plan.after(self._stored)
        line = tree.turns(self._store, self.id, data=True)
        if last is not None and last not in {
            turn.id for turn in line
        }:  # another process made it inactive in the meantime
            line = tree.turns(self._store, self.id, data=True, aside=True)
        return [*messages(_before(line, last)), question(plan.prompt, plan.files)]

    def _start(self, plan: Plan) -> Recorder:
        """Store the question and prepare its answer. The session's lock is held."""
        self._refresh()
        provider, request_options = self._request_options(plan)
        answer = self._missy.ask(self._messages(plan), provider=provider, **request_options)
        entry = self._missy.entry(provider)
        asked = TurnStart(
            plan.prompt,
            plan.files,
            entry=answer.provider,
            kind=entry.kind,
            host=host_of(entry),
            model=answer.model,
            options=_kept(request_options, answer),
            system=request_options.get("system"),
        )
        turn, n = turns.begin(self._store, self._stored, asked, parent=plan.after(self._stored))
        self._stored = find.get(self._store, self.id)
        answer.charge_to(self.id if self._store.path else None, lambda: self._totals().cost_micro or 0)
        return Recorder(self._store, turn, n, answer, asked)

    def _tell(self, text: str) -> None:
        """Give a notice that is not part of an answer."""
        missy: Any = self._missy
        missy._runtime.notice(text)  # noqa: SLF001 same package

    @staticmethod
    def _show(shown: Any, recorder: Recorder) -> None:
        """Set the attributes of the answer that are known once its turn has begun."""
        answer = recorder.answer
        shown.turn, shown.model, shown.provider = recorder.n, answer.model, answer.provider
        shown._schema, shown._asked = answer._schema, answer._asked  # noqa: SLF001 same package

    def _turn(self, n: int | Turn | None) -> int | None:
        number = n if n is None or isinstance(n, int) else n.n
        return None if number is None else tree.turn_id(self._store, self.id, number)

    def _turns(self, *, aside: bool = False) -> list[Turn]:
        return tree.turns(self._store, self.id, aside=aside)

    def _undo(self, count: int = 1) -> int:
        left = turns.undo(self._store, self.id, count)
        self._refresh()
        return left

    def _fork(self, turn: int | Turn | None, name: str | None) -> SessionRecord:
        kept = None if name is None else find.check_name(name)
        self._refresh()
        return turns.fork(self._store, self._stored, new_id=find.new_id(), turn=self._turn(turn), name=kept)

    def _rename(self, name: str) -> str:
        kept = find.rename(self._store, self.id, name)
        self._refresh()
        return kept

    def _export(self, format_: str, *, reasoning: bool, aside: bool) -> str:
        if format_ not in ("md", "json"):
            raise UsageError(f"there is no format '{format_}'", hint="md or json")
        found = self._turns(aside=aside)
        if format_ == "md":
            return export.as_markdown(found, reasoning=reasoning)
        import json

        return json.dumps(export.as_json(self._stored, found), indent=2)

    def _last(self, *, data: bool = False) -> Turn:
        line = tree.turns(self._store, self.id, data=data)
        if not line:
            raise UsageError("this session has no turn yet", hint="ask something")
        return line[-1]


def again(turn: Turn, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options to repeat a turn with: its own, overridden by those given."""
    own = dict(turn.options)
    first = own.pop("fallback_from", None) or turn.entry  # who was asked, whoever answered
    if options.get("provider") not in (None, first):
        own.pop("model", None)  # it belongs to the other entry
    return {**own, "provider": first, **options}


def _kept(request_options: dict[str, Any], answer: Any) -> dict[str, Any]:
    """Return the options to store for a repeat.

    A schema is stored as the JSON Schema that was sent: a file that was named may change, and a class cannot be stored.
    """
    kept = {
        name: request_options[name]
        for name in _KEPT_OPTIONS
        if isinstance(request_options.get(name), str | int | float)
    }
    if answer._schema is not None:  # noqa: SLF001 same package
        kept["schema"] = answer._schema.body  # noqa: SLF001 same package
    return kept


def _before(every: Sequence[Turn], last: int | None) -> list[Turn]:
    """Return the path that ends with a turn."""
    found, line = {turn.id: turn for turn in every}, []
    while last is not None and last in found:
        turn = found.pop(last)
        line.append(turn)
        last = turn.parent
    return line[::-1]
