"""The wizard's conversation: each step asks one question and names the next. It must never write anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.endpoint_steps import EndpointSteps
from missy.cli.wizard.extra_steps import ExtraSteps
from missy.cli.wizard.key_steps import KeySteps
from missy.cli.wizard.prompts import Back, Option
from missy.cli.wizard.state import Answers
from missy.cli.wizard.summary import summarise
from missy.setup.plan import Plan

if TYPE_CHECKING:
    from missy.cli.wizard.state import Turn


class Wizard(EndpointSteps, KeySteps, ExtraSteps):
    """One run, from the first question to the summary's yes."""

    def run(self) -> Plan | None:
        """Hold the conversation. Returns what to write, or None if the person wants nothing written."""
        step, answers = "kind", Answers()
        trail: list[Turn] = []
        while step not in ("write", "leave"):
            try:
                then = getattr(self, f"_ask_{step}")(answers)
            except Back:
                if trail:
                    step, answers = trail.pop()
                continue
            trail.append((step, answers))
            step, answers = then
        return Plan(answers.done, answers.default) if step == "write" else None

    def _ask_more(self, answers: Answers) -> Turn:
        if self._talk.agree("Set up another one?", default=False):
            return "kind", answers
        names = [draft.name for draft in answers.done]
        now = self._config.default
        if len({*names, now} - {None}) == 1:
            return "confirm", replace(answers, default=None)
        return "default", answers

    def _ask_default(self, answers: Answers) -> Turn:
        names = [draft.name for draft in answers.done]
        now = self._config.default
        options = [Option(name, name) for name in dict.fromkeys([*names, *([now] if now else [])])]
        chosen = self._talk.choose("Which one answers when none is named?", options, now or names[0])
        return "confirm", replace(answers, default=chosen if chosen != now else None)

    def _ask_confirm(self, answers: Answers) -> Turn:
        self._talk.say(summarise(self._path, self._config, Plan(answers.done, answers.default)))
        options = (Option("write", "yes, write it"), Option("back", "no, back"), Option("leave", "no, leave"))
        chosen = self._talk.choose("Is this right?", options)
        if chosen == "back":
            raise Back
        return chosen, answers
