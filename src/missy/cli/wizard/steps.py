"""The wizard: each step asks one question and names the next step. It must never write anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.endpoint_steps import EndpointSteps
from missy.cli.wizard.extra_steps import ExtraSteps
from missy.cli.wizard.key_steps import KeySteps
from missy.cli.wizard.prompts import GoBack, Option
from missy.cli.wizard.state import WizardState
from missy.cli.wizard.summary import summarise
from missy.kinds import KINDS
from missy.setup.plan import Plan

if TYPE_CHECKING:
    from missy.cli.wizard.state import Transition


class Wizard(EndpointSteps, KeySteps, ExtraSteps):
    """One run, from the first question to the confirmed summary."""

    def run(self) -> Plan | None:
        """Ask all questions. Returns the plan to write, or None if nothing is to be written."""
        step, state = "kind", WizardState()
        history: list[Transition] = []
        while step not in ("write", "serve", "leave"):
            try:
                transition = getattr(self, f"_ask_{step}")(state)
            except GoBack:
                if history:
                    step, state = history.pop()
                continue
            history.append((step, state))
            step, state = transition
        return Plan(state.done, state.default, served=step == "serve") if step != "leave" else None

    def _ask_more(self, state: WizardState) -> Transition:
        if self._prompter.confirm("Set up another entry?", default=False):
            return "kind", state
        names = [draft.name for draft in state.done]
        now = self._config.default
        if len({*names, now} - {None}) == 1:
            return "confirm", replace(state, default=None)
        return "default", state

    def _ask_default(self, state: WizardState) -> Transition:
        names = [draft.name for draft in state.done]
        now = self._config.default
        options = [Option(name, name) for name in dict.fromkeys([*names, *([now] if now else [])])]
        chosen = self._prompter.choose("Which one is the default?", options, now or names[0])
        return "confirm", replace(state, default=chosen if chosen != now else None)

    def _ask_confirm(self, state: WizardState) -> Transition:
        self._prompter.say(summarise(self._path, self._config, Plan(state.done, state.default)))
        options = [Option("write", "yes, write it"), Option("back", "no, back"), Option("leave", "no, leave")]
        if not any(KINDS[draft.kind].unserved for draft in state.done):
            options.append(
                Option(
                    "serve",
                    "yes, and offer it to other programs",
                    "on this machine, by the gateway: missy serve",
                )
            )
        chosen = self._prompter.choose("Is this right?", options)
        if chosen == "back":
            raise GoBack
        return chosen, state
