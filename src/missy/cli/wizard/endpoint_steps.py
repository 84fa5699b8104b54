"""The wizard's questions about an entry's endpoint and name. It must never write anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import Steps
from missy.errors import UsageError
from missy.kinds import KINDS
from missy.policy import parse
from missy.services import SERVICES
from missy.setup import plan
from missy.setup.plan import Draft

if TYPE_CHECKING:
    from missy.cli.wizard.state import Answers, Turn

_COMPATIBLE = Option(
    "", "A compatible service or server", "Groq, Mistral, OpenRouter, Ollama, llama.cpp, ... or any base URL"
)


class EndpointSteps(Steps):
    """Who is to answer, where, under which name."""

    def _ask_kind(self, answers: Answers) -> Turn:
        kinds = [kind for kind in KINDS.values() if kind.title]
        far = [Option(kind.name, kind.title, kind.about) for kind in kinds if kind.base_url]
        near = [Option(kind.name, kind.title, kind.about) for kind in kinds if not kind.base_url]
        kind = self._talk.choose("Who is to answer?", [*far, _COMPATIBLE, *near])
        if not kind:
            return "service", replace(answers, draft=Draft())
        return "name", replace(answers, draft=Draft(kind=kind), service="")

    def _ask_service(self, answers: Answers) -> Turn:
        options = [Option(name, one.title, one.shown_url) for name, one in SERVICES.items() if not one.minor]
        options.append(Option("other", "Another endpoint", "any base URL that speaks Chat Completions"))
        name = self._talk.choose("Which one?", options)
        answers = replace(answers, service=name)
        if name == "other" or SERVICES[name].here:
            return "address", answers
        return self._ask_part(replace(answers, parts={}))

    def _ask_part(self, answers: Answers) -> Turn:
        """Ask for the first part that is open; with the last one, the URL and the headers are whole."""
        service = SERVICES[answers.service]
        asked = [part for part in service.parts if not part.optional]
        left = next((part for part in asked if part.name not in answers.parts), None)
        if left is None:
            url, headers = service.filled(answers.parts)
            draft = {"headers": tuple(headers.items()), "api_key_header": service.api_key_header}
            return "name", answers.with_draft(base_url=plan.check_base_url(url), **draft)
        value = self._talk.ask(
            left.question, lambda text: plan.check_part(service, left, text), default=left.default
        )
        answered = replace(answers, parts={**answers.parts, left.name: value})
        more = any(part.name not in answered.parts for part in asked)
        return ("part", answered) if more else self._ask_part(answered)

    def _ask_address(self, answers: Answers) -> Turn:
        def check_url(text: str) -> tuple[str, tuple[str, ...]]:
            url = plan.check_base_url(text)
            return url, plan.network_for(url)

        known = SERVICES.get(answers.service)
        default = known.base_url if known else ""
        url, networks = self._talk.ask("Base URL:", check_url, default=default)
        answers = answers.with_draft(base_url=url, networks=networks)
        return ("network" if networks else "name"), answers

    def _ask_network(self, answers: Answers) -> Turn:
        self._talk.say(
            f"{parse(answers.draft.base_url or '').host} is not public. A server on your own network has to be"
            " allowed by its address (network.allowed_cidrs), and what is sent there over http can be read on"
            " the way."
        )
        if not self._talk.agree("Allow it?", default=False):
            return "address", answers.with_draft(networks=())
        return "name", answers

    def _ask_name(self, answers: Answers) -> Turn:
        taken = {draft.name for draft in answers.done}

        def check_name(text: str) -> str:
            from missy.config.values import NAME

            if not NAME.fullmatch(text.strip()):
                raise UsageError("a name has 1 to 64 letters, digits, - _ .")
            if text.strip() in taken:
                raise UsageError(f"'{text.strip()}' is one of the entries before", hint="choose another name")
            return text.strip()

        base = answers.service or answers.draft.kind
        base = base if base != "other" else parse(answers.draft.base_url or "").host
        wanted = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 99))) if n not in taken)
        name = self._talk.ask("Name of the entry:", check_name, default=wanted[:64])
        there = name in self._config.providers
        return ("replace" if there else "credential"), answers.with_draft(name=name, replaces=False)

    def _ask_replace(self, answers: Answers) -> Turn:
        name = answers.draft.name
        if self._talk.agree(
            f"There is an entry '{name}'.", yes="change it", no="choose another name", default=False
        ):
            return "credential", answers.with_draft(replaces=True)
        return "name", answers
