"""The wizard's questions about what a gateway needs besides a key, after it refused one. It must never write anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import WizardSteps
from missy.setup.pairs import split_pair

if TYPE_CHECKING:
    from missy.cli.wizard.state import Transition, WizardState

_KINDS = (
    Option("headers", "A header", "x-team=blue; a secret is named: x-team=$TEAM_TOKEN, or x-team=vault://team"),
    Option("query", "A query parameter", "api-version=2024-10-21, as Azure's older API needs"),
    Option("key_header", "The key in a header of another name", "api-key, as Azure needs; then no Authorization is sent"),
)  # fmt: skip


class ExtraSteps(WizardSteps):
    """A header, a query parameter, or another header for the key."""

    def _ask_extra(self, state: WizardState) -> Transition:
        return str(self._prompter.choose("What does it need?", _KINDS)), state

    def _ask_headers(self, state: WizardState) -> Transition:
        return self._ask_pair(state, "headers", "Header (NAME=VALUE):")

    def _ask_query(self, state: WizardState) -> Transition:
        return self._ask_pair(state, "query", "Parameter (NAME=VALUE):")

    def _ask_key_header(self, state: WizardState) -> Transition:
        def check_name(text: str) -> WizardState:
            return self._checked(state, api_key_header=text.strip())

        return "check", self._prompter.ask("Name of the header:", check_name, default="api-key")

    def _ask_pair(self, state: WizardState, key: str, question: str) -> Transition:
        """Ask for one pair. It replaces an earlier one of the same name."""

        def check_pair(text: str) -> WizardState:
            name, value = split_pair(text.strip())
            kept = [pair for pair in getattr(state.draft, key) if pair[0].lower() != name.lower()]
            return self._checked(state, **{key: (*kept, (name, value))})

        return "check", self._prompter.ask(question, check_pair)

    def _checked(self, state: WizardState, **changes: Any) -> WizardState:
        """Return the state with a change that the configuration allows. Raises ConfigError if it does not."""
        changed = state.with_draft(**changes)
        self._outcome(changed)
        return changed
