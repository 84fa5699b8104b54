"""The wizard's questions about an entry's endpoint and name. It must never write anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import WizardSteps
from missy.errors import UsageError
from missy.kinds import KINDS
from missy.policy import parse
from missy.services import SERVICES
from missy.setup import plan
from missy.setup.plan import Draft

if TYPE_CHECKING:
    from missy.cli.wizard.state import Transition, WizardState

_COMPATIBLE = Option(
    "", "A compatible service or server", "Groq, Mistral, OpenRouter, Ollama, llama.cpp, ... or any base URL"
)


class EndpointSteps(WizardSteps):
    """The kind of provider, its endpoint, the name of the entry."""

    def _ask_kind(self, state: WizardState) -> Transition:
        kinds = sorted(
            (kind for kind in KINDS.values() if kind.title), key=lambda kind: not kind.offered_first
        )
        far = [Option(kind.name, kind.title, kind.about) for kind in kinds if kind.base_url]
        near = [Option(kind.name, kind.title, kind.about) for kind in kinds if not kind.base_url]
        kind = self._prompter.choose("Which provider?", [*far, _COMPATIBLE, *near])
        if not kind:
            return "service", replace(state, draft=Draft())
        return "name", replace(state, draft=Draft(kind=kind), service="")

    def _ask_service(self, state: WizardState) -> Transition:
        options = [Option(name, one.title, one.shown_url) for name, one in SERVICES.items() if not one.minor]
        options.append(Option("other", "Another endpoint", "any base URL that speaks Chat Completions"))
        name = self._prompter.choose("Which service?", options)
        state = replace(state, service=name)
        if name == "other" or SERVICES[name].here:
            return "address", state
        return self._ask_part(replace(state, parts={}))

    def _ask_part(self, state: WizardState) -> Transition:
        """Ask for the first part that is missing. After the last one, fill in the URL and the headers."""
        service = SERVICES[state.service]
        asked = [part for part in service.parts if not part.optional]
        left = next((part for part in asked if part.name not in state.parts), None)
        if left is None:
            url, headers = service.filled(state.parts)
            draft = {"headers": tuple(headers.items()), "api_key_header": service.api_key_header}
            return "name", state.with_draft(base_url=plan.check_base_url(url), **draft)
        value = self._prompter.ask(
            left.question, lambda text: plan.check_part(service, left, text), default=left.default
        )
        answered = replace(state, parts={**state.parts, left.name: value})
        more = any(part.name not in answered.parts for part in asked)
        return ("part", answered) if more else self._ask_part(answered)

    def _ask_address(self, state: WizardState) -> Transition:
        def check_url(text: str) -> tuple[str, tuple[str, ...]]:
            url = plan.check_base_url(text)
            return url, plan.network_for(url)

        known = SERVICES.get(state.service)
        default = known.base_url if known else ""
        url, networks = self._prompter.ask("Base URL:", check_url, default=default)
        state = state.with_draft(base_url=url, networks=networks)
        return ("network" if networks else "name"), state

    def _ask_network(self, state: WizardState) -> Transition:
        self._prompter.say(
            f"{parse(state.draft.base_url or '').host} is not public. A server on your own network has to be"
            " allowed by its address (network.allowed_cidrs), and what is sent there over http can be read on"
            " the way."
        )
        if not self._prompter.confirm("Allow it?", default=False):
            return "address", state.with_draft(networks=())
        return "name", state

    def _ask_name(self, state: WizardState) -> Transition:
        selected = {draft.name for draft in state.done}

        def check_name(text: str) -> str:
            from missy.config.values import NAME

            if not NAME.fullmatch(text.strip()):
                raise UsageError("a name has 1 to 64 letters, digits, - _ .")
            if text.strip() in selected:
                raise UsageError(
                    f"'{text.strip()}' is already set up in this run", hint="choose another name"
                )
            return text.strip()

        base = state.service or state.draft.kind
        base = base if base != "other" else parse(state.draft.base_url or "").host
        wanted = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 99))) if n not in selected)
        name = self._prompter.ask("Name of the entry:", check_name, default=wanted[:64])
        there = name in self._config.providers
        return ("replace" if there else "credential"), state.with_draft(name=name, replaces=False)

    def _ask_replace(self, state: WizardState) -> Transition:
        name = state.draft.name
        if self._prompter.confirm(
            f"There is an entry '{name}'.", yes="change it", no="choose another name", default=False
        ):
            return "credential", state.with_draft(replaces=True)
        return "name", state
