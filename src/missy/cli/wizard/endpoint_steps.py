"""The wizard's questions about an entry's endpoint and name. It must never write anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import Steps
from missy.config.schema import NOT_YET
from missy.errors import UsageError
from missy.policy import parse
from missy.setup import plan
from missy.setup.plan import Draft
from missy.setup.services import SERVICES

if TYPE_CHECKING:
    from missy.cli.wizard.state import Answers, Turn

_KIND_OPTIONS = (
    Option("openai", "OpenAI (API key)", "paid by use, at api.openai.com"),
    Option("openai-codex", "OpenAI (OAuth/Codex)", "log in with ChatGPT: a subscription, no key"),
    Option(
        "compatible",
        "A compatible service or server",
        "Groq, Mistral, OpenRouter, Ollama, llama.cpp, ... or any base URL",
    ),
    Option("local", "The small model on this machine", "no account, no key, 93 MB: to try things out"),
)


class EndpointSteps(Steps):
    """Who is to answer, where, under which name."""

    def _ask_kind(self, answers: Answers) -> Turn:
        kind = self._talk.choose(
            "Who is to answer?", [one for one in _KIND_OPTIONS if one.value not in NOT_YET]
        )
        if kind == "compatible":
            return "service", replace(answers, draft=Draft())
        return "name", replace(answers, draft=Draft(kind=kind), service="openai")

    def _ask_service(self, answers: Answers) -> Turn:
        options = [Option(name, one.title, one.base_url) for name, one in SERVICES.items()]
        options.append(Option("other", "Another endpoint", "any base URL that speaks Chat Completions"))
        name = self._talk.choose("Which one?", options)
        answers = replace(answers, service=name)
        if name == "other" or SERVICES[name].here:
            return "address", answers
        if "{host}" in SERVICES[name].base_url:
            return "host", answers
        return "name", answers.with_draft(base_url=SERVICES[name].base_url)

    def _ask_host(self, answers: Answers) -> Turn:
        def check_host(text: str) -> str:
            host = text.strip().removeprefix("https://").partition("/")[0]
            return plan.check_base_url(SERVICES[answers.service].base_url.replace("{host}", host))

        question = "Host of the resource (NAME.openai.azure.com):"
        return "name", answers.with_draft(base_url=self._talk.ask(question, check_host))

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

        base = answers.draft.kind if answers.service == "openai" else answers.service
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
