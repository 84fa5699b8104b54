"""The wizard's questions about what a gateway wants besides a key, once one has refused. It must never write anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import Steps
from missy.setup.pairs import split_pair

if TYPE_CHECKING:
    from missy.cli.wizard.state import Answers, Turn

_KINDS = (
    Option("headers", "A header", "x-team=blue; a secret is named: x-team=$TEAM_TOKEN, or x-team=vault://team"),
    Option("query", "A parameter of the query", "api-version=2024-10-21, as Azure's older API wants"),
    Option("key_header", "The key in a header of another name", "api-key, as Azure wants; then no Authorization is sent"),
)  # fmt: skip


class ExtraSteps(Steps):
    """A header, a parameter of the query, another header for the key."""

    def _ask_extra(self, answers: Answers) -> Turn:
        return str(self._talk.choose("What does it want?", _KINDS)), answers

    def _ask_headers(self, answers: Answers) -> Turn:
        return self._ask_pair(answers, "headers", "Header (NAME=VALUE):")

    def _ask_query(self, answers: Answers) -> Turn:
        return self._ask_pair(answers, "query", "Parameter (NAME=VALUE):")

    def _ask_key_header(self, answers: Answers) -> Turn:
        def check_name(text: str) -> Answers:
            return self._checked(answers, api_key_header=text.strip())

        return "check", self._talk.ask("Name of the header:", check_name, default="api-key")

    def _ask_pair(self, answers: Answers, key: str, question: str) -> Turn:
        """Ask for one pair; one of the same name takes the place of the one before."""

        def check_pair(text: str) -> Answers:
            name, value = split_pair(text.strip())
            kept = [pair for pair in getattr(answers.draft, key) if pair[0].lower() != name.lower()]
            return self._checked(answers, **{key: (*kept, (name, value))})

        return "check", self._talk.ask(question, check_pair)

    def _checked(self, answers: Answers, **changes: Any) -> Answers:
        """Return the answers with a change that the configuration allows. Raises ConfigError for any other."""
        changed = answers.with_draft(**changes)
        self._outcome(changed)
        return changed
