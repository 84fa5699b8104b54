"""The state of a conversation in `missy run`: its session, the options of the next turn, and what waits to be sent.

The session is opened on first use: beginning a conversation touches no database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.assistant import Missy
    from missy.cli.session_choice import Place
    from missy.cli.talk.line import Line
    from missy.config.schema import Config, Entry
    from missy.conversation.session import Session
    from missy.events import Attachment, Event


@dataclass(slots=True)
class TurnOptions:
    """What each turn is asked with, until it is changed. None: the session's or the entry's own."""

    model: str | None = None
    system: str | None = None
    reasoning: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    schema: Any = None

    def given(self) -> dict[str, Any]:
        """Return the options that are set."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(slots=True)
class Talk:
    """One conversation. `entry` is pinned: a change of the configuration's default does not switch it.

    `draft` is what the next input begins with; `edits`: the next message replaces the last question.
    """

    open_missy: Callable[[], Missy]
    loaded: Config
    entry: str
    options: TurnOptions
    place: Place | None = None  # None: a new session
    temporary: bool = False
    clipboard: bool = True
    attachments: list[Attachment] = field(default_factory=list)
    draft: Line | None = None
    edits: bool = False
    endpoint: str | None = None  # that the last turn was sent to
    plain: bool = False
    tools: dict[str, Any] = field(default_factory=dict)  # the options of each turn about tools
    show: Callable[[Event], None] = lambda _: None  # shows an event in the answer that is under way
    kind_notice: str = ""  # that was said last
    _missy: Missy | None = None
    _session: Session | None = None

    @property
    def missy(self) -> Missy:
        """The assistant, made on first use: it takes longer to load than all that the first input line needs."""
        if self._missy is None:
            self._missy = self.open_missy()
        return self._missy

    @property
    def config(self) -> Config:
        """The configuration as it was looked at last."""
        return self.loaded if self._missy is None else self._missy.config

    def close(self) -> None:
        """Close what was opened; sessions that are too old are deleted by it."""
        if self._missy is not None:
            self._missy.close()

    @property
    def session(self) -> Session:
        """The session, opened on first use. Raises MissyError."""
        if self._session is None:
            if self.temporary:
                self._session = self.missy.session(save=False)
            else:
                self._session = self.place.open(self.missy) if self.place else self.missy.session()
        return self._session

    @property
    def has_session(self) -> bool:
        """Whether there is, or was, a turn in it."""
        return self._session is not None or (self.place is not None and self.place.is_stored)

    def use(self, session: Session) -> None:
        """Go on with another session."""
        self._session = session
        self.draft, self.edits, self.endpoint = None, False, None
        self.options = TurnOptions(timeout=self.options.timeout)
        self.entry = session.entry or self.entry

    def begin(self, name: str | None = None) -> None:
        """Go on with a new session, which is not stored before its first question; the options stay."""
        from missy.cli.session_choice import Place

        self._session, self.place = None, Place(None, name) if name else None
        self.draft, self.edits = None, False

    def configured(self) -> Entry:
        """Return the entry as it is configured now. Raises UsageError if there is none of its name any more."""
        return self.missy.entry(self.entry)

    def turn_options(self) -> dict[str, Any]:
        """Return the options of the next request."""
        return {"provider": self.entry, **self.options.given(), **self.tools}

    @property
    def model(self) -> str | None:
        """The model of the next turn, as far as it is known."""
        if self.options.model:
            return self.options.model
        if self._session is not None and self._session.entry == self.entry and self._session.model:
            return self._session.model
        entry = self.config.providers.get(self.entry)
        return entry.model if entry else None

    @property
    def system(self) -> str | None:
        """The instructions of the next turn."""
        if self.options.system is not None:
            return self.options.system or None
        return self.session.system if self.has_session else None

    def is_told(self, notice: str) -> bool:
        """Tell whether a notice is what an entry's kind says before each answer, and was said in this conversation."""
        from missy.kinds import kind_of

        if notice != kind_of(self.config.entry(self.entry)).notice:
            return False
        was_told, self.kind_notice = self.kind_notice == notice, notice
        return was_told

    def last_answer(self) -> str:
        """Return the text of the last answer. Raises UsageError."""
        found = [turn.answer for turn in self.session.turns if turn.answer] if self.has_session else []
        if not found:
            raise UsageError("there is no answer yet", hint="ask something first")
        return found[-1]
