"""`missy setup`: the wizard on a terminal, or options for a script. The wizard writes nothing before it is confirmed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from missy import paths
from missy.cli.app import App, emit, notice
from missy.cli.interrupts import exit_on_ctrl_c
from missy.errors import CredentialError, UsageError
from missy.plural import counted
from missy.setup.stores import STORES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.auth.ways import SignIn
    from missy.config.schema import Config
    from missy.secrets.redact import Secret
    from missy.setup.plan import Draft, Plan

    Say = Callable[[str], None]

_MAX_KEY_BYTES = 1 << 16  # of one key


@click.command("setup")
@click.argument("rest", nargs=-1, metavar="")
@click.option("--no-prompt", is_flag=True, help="Ask nothing; use only the options.")
@click.option(
    "--provider",
    metavar="KIND",
    help="openai, chatgpt, openai-codex, local, or a preset such as groq (missy presets). Default: what --entry names.",
)
@click.option("--entry", metavar="NAME", help="The entry's name. Default: the kind, or the service.")
@click.option(
    "--set", "parts", metavar="PART=VALUE", multiple=True, help="A part of a preset: --set resource=NAME."
)
@click.option("--base-url", metavar="URL", help="The endpoint, if not the default of the kind.")
@click.option("--model", metavar="M", help="The model.")
@click.option(
    "--header",
    "headers",
    metavar="NAME=VALUE",
    multiple=True,
    help="Send this header too; a secret as '$VAR'.",
)
@click.option(
    "--query", metavar="NAME=VALUE", multiple=True, help="Add this to the query string; a secret as '$VAR'."
)
@click.option(
    "--api-key-header", metavar="NAME", help="The header that carries the bare key (Azure: api-key)."
)
@click.option("--api-key-env", metavar="VAR", help="The variable that holds the key; its name is written.")
@click.option("--api-key-stdin", is_flag=True, help="Read the key from stdin, and store it as --store says.")
@click.option("--store", type=click.Choice(list(STORES)), help="Where to store the key. Default: vault.")
@click.option("--default", "as_default", is_flag=True, help="Make this the default entry.")
@click.option("--serve", is_flag=True, help="Offer the entry to other programs on this machine: missy serve.")
@click.option("--force", is_flag=True, help="Change an existing entry.")
@click.option(
    "--check", is_flag=True, help="List the models of the endpoint first; write only if that works."
)
@click.pass_obj
def command(app: App, /, rest: tuple[str, ...], no_prompt: bool, **given: Any) -> None:
    """Set up an entry: a key or a login, where it is kept, a live check, the model.

    On a terminal it asks, and writes nothing before you confirm the summary. With --no-prompt it asks nothing. No
    option takes a key as its value. The old file is kept as a backup.

    \b
    Example:
      missy setup
      missy setup --no-prompt --provider groq --model llama-3.3-70b-versatile --api-key-env GROQ_API_KEY
      missy setup --no-prompt --provider azure --set resource=my-resource --model my-deployment
      pass show openai | missy setup --no-prompt --provider openai --api-key-stdin --check --default
    """
    if rest:  # never shown: it may be a key
        raise UsageError(
            "setup takes only options; the extra argument is not shown, since it may be a key",
            hint="the key goes to --api-key-stdin; see missy setup --help",
        )
    path = paths.config_file(app.config_path)
    config = _config(app, path)
    if not no_prompt:
        _refuse_options(given)
        _run_wizard(path, config)
        return
    made = _make_plan(config, **given)
    if given["check"]:
        _check(path, made)
    _write(path, made, emit, notice)


def _config(app: App, path: Path) -> Config:
    """Load the file that will be changed. It may be missing, even if it was named: then it will be made."""
    from missy.config.load import load
    from missy.kinds import KINDS

    return app.config() if path.exists() else load(path, KINDS)


def _refuse_options(given: dict[str, Any]) -> None:
    params = click.get_current_context().command.params
    named = [param.opts[0] for param in params if given.get(param.name or "")]
    if named:
        raise UsageError(f"{', '.join(named)}: the wizard asks for that itself", hint="add --no-prompt")
    dumb = os.environ.get("TERM") in (None, "", "dumb", "unknown")
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or dumb:
        raise UsageError(
            "the wizard needs a terminal, and there is none",
            hint="for example: missy setup --no-prompt --provider openai --api-key-env OPENAI_API_KEY",
        )


def _run_wizard(path: Path, config: Config) -> None:
    exit_on_ctrl_c(on_terminal=True)  # the imports below take a while
    from missy.cli.wizard.prompts import WizardPrompter
    from missy.cli.wizard.steps import Wizard
    from missy.cli.wizard.summary import shorten
    from missy.setup import commit
    from missy.setup.plan import Draft, Plan

    probe = Draft(name=next(iter(config.always_there)), replaces=True)
    commit.outcome(path, Plan((probe,)))  # raises before the questions if the file cannot be changed
    with WizardPrompter() as prompter:

        def say(text: str) -> None:
            prompter.say(shorten(text))

        prompter.say("Nothing is written before the summary's yes. Ctrl-C leaves everything as it is.")
        made = Wizard(prompter, path, config, _log_in).run()
        if made is not None:
            _write(path, made, say, say)
        else:
            prompter.say("Nothing was written.")


def _log_in(config: Config, entry: str, asked: SignIn) -> None:
    """Sign in for an entry that is not written yet. The login is stored at once, in its own file."""
    from missy.cli.commands.auth import sign_in
    from missy.login import find_entry

    sign_in(App.from_config(config), find_entry(config, entry), asked)


def _make_plan(config: Config, *, as_default: bool, serve: bool, check: bool, **given: Any) -> Plan:  # noqa: ARG001
    """Return a plan from the options. Raises UsageError if they do not go together."""
    from missy.setup.flags import Flags, draft_from_flags
    from missy.setup.plan import Plan

    draft = draft_from_flags(Flags(**given), config, _read_key)
    made = Plan((draft,), draft.name if as_default else None, served=serve)
    from missy.kinds import KINDS
    from missy.setup import commit

    KINDS[draft.kind].require_setup(commit.outcome(config.path, made).providers[draft.name])
    return made


def _read_key() -> Secret:
    from missy.cli.piped_stdin import read_bytes
    from missy.setup.plan import check_key

    if sys.stdin.isatty():
        raise UsageError("--api-key-stdin reads a pipe, and stdin is a terminal", hint="or run: missy setup")
    data = read_bytes(_MAX_KEY_BYTES + 1)
    if not data.strip():
        raise UsageError("stdin is empty: no key came", hint="pipe the key alone into it")
    try:
        return check_key(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError("stdin is not text", hint="pipe the key alone into it") from None


def _check(path: Path, made: Plan) -> None:
    """Ask the endpoint with the configuration that would be written. Raises MissyError; then nothing is written."""
    from missy.setup import check, commit

    draft = made.drafts[0]
    config = commit.outcome(path, made, literal=True)
    try:
        models, better = check.list_models(config, draft.name, notice)
    except CredentialError as error:
        keyed = draft.store or error.status is None
        give = "" if keyed else ": give it with --api-key-env VAR or --api-key-stdin"
        error.hint += f"{give}; nothing was written"
        raise
    if better is not None:
        raise UsageError(better.advice, hint=f"nothing was written; give --base-url {better.url}")
    model = config.providers[draft.name].model
    notice(f"checked: {draft.name} answers" + (f", {counted(len(models), 'model')}" if models else ""))
    if model and models and not any(name in (model, f"models/{model}") for name in models):
        notice(f"{model} is not among them: missy models --provider {draft.name}")


def _write(path: Path, made: Plan, tell: Say, warn: Say) -> None:
    """Write the plan, then print what is left to do."""
    from missy.config.load import load
    from missy.kinds import KINDS
    from missy.secrets.vault import Vault
    from missy.setup import commit, plan

    vault = Vault(paths.home())
    new_vault = any(draft.store == "vault" for draft in made.secrets) and vault.key_place() is None
    before = load(path, KINDS).providers
    changed = commit.write(path, made)
    if new_vault and vault.key_place() == "file":
        warn(f"no system keyring here: the vault's key is in {vault.key_file}, readable by you alone")
    tell(f"{'wrote' if changed else 'left as it is:'} {path}")
    config = load(path, KINDS)
    names = {draft.name for draft in made.drafts}
    refused = {name for name in names if plan.refusal(config, name) is not None}  # their warning comes last
    for caution in config.warnings:
        if names.intersection(caution.entries) - refused:
            warn(caution)
    for draft in made.drafts:
        old, model = before.get(draft.name), config.providers[draft.name].model
        is_new = old is None or old.model != model
        if draft.base_url and not draft.model and model == config.providers[draft.name].spec.model and is_new:
            warn(
                f"no model was named: {draft.name} will ask for {model}; see: missy models --provider {draft.name}"
            )
    for draft in made.drafts:
        _say_next(draft, config, tell, warn)
    if made.served:
        tell("for other programs: missy keys create NAME, then missy serve")


def _say_next(draft: Draft, config: Config, tell: Say, warn: Say) -> None:
    from missy.setup import plan

    if draft.store == "config":
        warn(f"the key is readable in the file itself; safer: missy vault set {draft.name}")
    kept = "the key that was given is not kept; " if draft.secret and draft.store == "env" else ""
    named = [draft.variable or "", *plan.variables(draft)] if draft.store == "env" else plan.variables(draft)
    unset = [name for name in named if not os.environ.get(name)]
    for name in unset:
        warn(f"{kept}{name} is not set here: export {name}=... before asking")
    if draft.install:
        from missy.audit import Audit
        from missy.local import model

        model.install(Audit(paths.home() / "audit.jsonl"), warn)
    refused = plan.refusal(config, draft.name)
    if refused is not None:
        warn(f"{draft.name} is written, but it will be refused: {refused.reason}")
        if refused.fix:
            warn(f"to allow it, add to config.yaml: {refused.fix}")
        return
    if not unset and (missing := _missing(config, draft.name)):
        warn(f"{draft.name} is not ready yet: {missing}")
    tell(f"try it: missy ask --provider {draft.name} hello")


def _missing(config: Config, name: str) -> str:
    """Return what an entry still lacks, without the advice to use another one; "" if nothing."""
    from missy.readiness import readiness

    return readiness(config, config.providers[name], os.environ).reason.partition("; on this machine")[0]
