"""What the steps of the wizard share: the answers so far, and the configuration that they would make.

The state is frozen, so that going back means to use an earlier state again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from missy.policy import parse
from missy.setup import commit
from missy.setup.plan import Draft, Plan

if TYPE_CHECKING:
    from pathlib import Path

    from missy.auth.ways import SignIn
    from missy.cli.wizard.prompts import WizardPrompter
    from missy.config.schema import Config

    class LogIn(Protocol):
        """Signs in to an entry of a configuration, as it is asked for."""

        def __call__(self, config: Config, entry: str, asked: SignIn) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class WizardState:
    """The answers so far: the current entry, the finished ones, and the result of the check."""

    draft: Draft = field(default_factory=Draft)
    done: tuple[Draft, ...] = ()
    service: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = field(default=(), repr=False)
    default: str | None = None
    refused: bool = False  # the check of the current entry failed for lack of a valid key

    def with_draft(self, **changes: Any) -> WizardState:
        """Return this state with changes to the current entry."""
        return replace(self, draft=replace(self.draft, **changes))

    def finish(self) -> WizardState:
        """Return the state after the current entry, which is added to those that are done."""
        return replace(self, done=(*self.done, self.draft), draft=Draft(), models=(), refused=False)


Transition = tuple[str, WizardState]  # the name of the next step, and the state it starts with


class WizardSteps:
    """Base class of the steps: the prompter, the file, its current configuration, and the function that logs in."""

    def __init__(self, prompter: WizardPrompter, path: Path, config: Config, log_in: LogIn) -> None:
        self._prompter = prompter
        self._path = path
        self._config = config
        self._log_in = log_in

    def _outcome(self, state: WizardState, *, literal: bool = False) -> Config:
        return commit.outcome(self._path, Plan((*state.done, state.draft)), literal=literal)

    def _where(self, state: WizardState) -> str:
        endpoint = self._outcome(state).providers[state.draft.name].endpoint
        return parse(endpoint).authority if endpoint else "the local model"
