"""What the wizard's steps share: the answers so far, and the way to look at what they would make.

The answers are frozen, so that going back is taking up the answers from before a question.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from missy.policy import parse
from missy.setup import commit
from missy.setup.plan import Draft, Plan

if TYPE_CHECKING:
    from pathlib import Path

    from missy.cli.wizard.prompts import Talk
    from missy.config.schema import Config

    class LogIn(Protocol):
        """Signs in to an entry of a configuration, with a browser or a device code."""

        def __call__(self, config: Config, entry: str, *, device: bool) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Answers:
    """What has been answered so far: the entry under way, the ones before it, and what its check found."""

    draft: Draft = field(default_factory=Draft)
    done: tuple[Draft, ...] = ()
    service: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = field(default=(), repr=False)
    default: str | None = None
    refused: bool = False  # the check of the entry under way failed for want of a key

    def with_draft(self, **changes: Any) -> Answers:
        """Return these answers with others for the entry under way."""
        return replace(self, draft=replace(self.draft, **changes))

    def finish(self) -> Answers:
        """Put the entry under way with those that are done."""
        return replace(self, done=(*self.done, self.draft), draft=Draft(), models=(), refused=False)


Turn = tuple[str, Answers]  # the next step, and the answers it begins with


class Steps:
    """What a step has: the talk, the file, its configuration as it is now, and the way to log in."""

    def __init__(self, talk: Talk, path: Path, config: Config, log_in: LogIn) -> None:
        self._talk = talk
        self._path = path
        self._config = config
        self._log_in = log_in

    def _outcome(self, answers: Answers, *, literal: bool = False) -> Config:
        return commit.outcome(self._path, Plan((*answers.done, answers.draft)), literal=literal)

    def _where(self, answers: Answers) -> str:
        endpoint = self._outcome(answers).providers[answers.draft.name].endpoint
        return parse(endpoint).authority if endpoint else "the local model"
