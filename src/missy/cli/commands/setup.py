"""`missy setup`: the wizard on a terminal, or flags for a script. Nothing is written before the last yes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from missy import paths
from missy.cli import end_at_ctrl_c
from missy.cli.app import App, emit, notice
from missy.errors import UsageError
from missy.setup.plan import NEEDS_SECRET, STORES, Draft, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.config.schema import Config
    from missy.secrets.redact import Secret

    Say = Callable[[str], None]

_LIMIT = 1 << 16  # bytes read of what should be one key
_PROBE = Plan((Draft(kind="local", name="local", replaces=True),))


@click.command("setup")
@click.argument("rest", nargs=-1, metavar="")
@click.option("--no-prompt", is_flag=True, help="Ask nothing: the other options say it all.")
@click.option(
    "--provider",
    metavar="KIND",
    help="openai, openai-codex or local; or a service such as groq. Default: openai.",
)
@click.option("--entry", metavar="NAME", help="The entry's name. Default: the kind, or the service.")
@click.option("--base-url", metavar="URL", help="The endpoint, if it is not the kind's own.")
@click.option("--model", metavar="M", help="The model.")
@click.option("--api-key-env", metavar="VAR", help="The variable that holds the key; its name is written.")
@click.option(
    "--api-key-stdin", is_flag=True, help="Read the key from stdin, and keep it where --store says."
)
@click.option("--store", type=click.Choice(list(STORES)), help="Where the key is to live. Default: vault.")
@click.option("--default", "as_default", is_flag=True, help="Use this entry when none is named.")
@click.option("--force", is_flag=True, help="Change an entry that is there.")
@click.option(
    "--check", is_flag=True, help="Ask the endpoint for its models first; write only if it answers."
)
@click.pass_obj
def command(app: App, /, rest: tuple[str, ...], no_prompt: bool, **given: Any) -> None:
    """Set up an entry: a key or a login, where it is kept, a live check, the model.

    On a terminal it asks, and writes nothing before the summary's yes. With --no-prompt it asks nothing. No
    option takes a key as its value. The file of before is kept beside the new one, dated.

    \b
    Example:
      missy setup
      missy setup --no-prompt --provider groq --model llama-3.3-70b-versatile --api-key-env GROQ_API_KEY
      pass show openai | missy setup --no-prompt --provider openai --api-key-stdin --check --default
    """
    if rest:  # never shown: it may be a key
        raise UsageError(
            "setup takes options only; what was given besides is not shown, as it may be a key",
            hint="the key goes to --api-key-stdin; see missy setup --help",
        )
    path = paths.config_file(app.config_path)
    config = _config(app, path)
    if not no_prompt:
        _refuse_options(given)
        _converse(path, config)
        return
    made = _plan(config, **given)
    if given["check"]:
        _check(path, made)
    _write(path, made, emit, notice)


def _config(app: App, path: Path) -> Config:
    """Load the file that will be changed; one that was named may be missing, since it will be made."""
    from missy.config.load import load

    return app.config() if path.exists() else load(path)


def _refuse_options(given: dict[str, Any]) -> None:
    named = [f"--{name.replace('_', '-').removeprefix('as-')}" for name, value in given.items() if value]
    if named:
        raise UsageError(f"{', '.join(named)}: the wizard asks for that itself", hint="add --no-prompt")
    dumb = os.environ.get("TERM") in (None, "", "dumb", "unknown")
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()) or dumb:
        raise UsageError(
            "the wizard needs a terminal, and there is none",
            hint="missy setup --no-prompt --provider KIND ...: see missy setup --help",
        )


def _converse(path: Path, config: Config) -> None:
    end_at_ctrl_c(on_terminal=True)  # what is loaded here takes a while
    from missy.cli.wizard.prompts import Talk
    from missy.cli.wizard.steps import Wizard
    from missy.cli.wizard.summary import shorten
    from missy.setup import commit

    commit.outcome(path, _PROBE)  # a file that no command can change must show itself before the questions
    with Talk() as talk:

        def say(text: str) -> None:
            talk.say(shorten(text))

        talk.say("Nothing is written before the summary's yes. Ctrl-C leaves everything as it is.")
        made = Wizard(talk, path, config, _log_in).run()
        if made is not None:
            _write(path, made, say, say)
        else:
            talk.say("Nothing was written.")


def _log_in(config: Config, entry: str, *, device: bool) -> None:
    """Sign in for an entry that is not written yet. The login's own file is its own commit point."""
    from missy.cli.commands.auth import sign_in
    from missy.login import find_entry

    sign_in(App.holding(config), find_entry(config, entry), method="device" if device else "browser")


def _plan(
    config: Config,
    *,
    provider: str | None,
    entry: str | None,
    base_url: str | None,
    model: str | None,
    api_key_env: str | None,
    api_key_stdin: bool,
    store: str | None,
    as_default: bool,
    force: bool,
    check: bool,  # noqa: ARG001
) -> Plan:
    """Turn the options into a plan. Raises UsageError for what does not go together."""
    from missy.setup import plan, signedin
    from missy.setup.services import SERVICES

    kind, service = _kind(provider)
    name = entry or service or kind
    if name in config.providers and not force:
        raise UsageError(
            f"there is an entry '{name}' in {config.path}",
            hint="choose another --entry, or change it with --force",
        )
    if base_url is None and service:
        base_url = SERVICES[service].base_url
        if "{host}" in base_url:
            raise UsageError(
                f"--base-url is missing: {base_url}", hint="put the host of your resource into it"
            )
    if kind == "local" and (base_url or model):
        raise UsageError("kind local takes no --base-url and no --model", hint="leave them out")
    if kind != "openai" and (api_key_env or api_key_stdin or store):
        raise UsageError(f"kind {kind} takes no key", hint="leave the options about keys out")
    url = plan.check_base_url(base_url) if base_url else None
    draft = Draft(kind=kind, name=name, base_url=url, model=model, replaces=force)
    if kind == "openai":
        draft = _with_key(draft, api_key_env, store, from_stdin=api_key_stdin)
    made = Plan((draft,), name if as_default else None)
    if kind == "openai-codex":
        from missy.setup import commit

        signedin.require(commit.outcome(config.path, made).providers[name])
    return made


def _kind(provider: str | None) -> tuple[str, str]:
    """Return the kind, and the service if that is what was named."""
    from missy.config.schema import KINDS, NOT_YET, nearest
    from missy.setup.services import SERVICES

    wanted = provider or "openai"
    kinds = [kind for kind in KINDS if kind not in NOT_YET]
    if wanted in kinds:
        return wanted, ""
    if wanted in SERVICES:
        return "openai", wanted
    if wanted in NOT_YET:
        raise UsageError(f"this version has no {wanted} yet", hint=NOT_YET[wanted])
    hint = nearest(wanted, [*kinds, *SERVICES]) or f"the kinds are {', '.join(kinds)}"
    raise UsageError(f"--provider {wanted}: no such kind or service", hint=hint)


def _with_key(draft: Draft, variable: str | None, store: str | None, *, from_stdin: bool) -> Draft:
    from dataclasses import replace

    from missy.setup import plan
    from missy.setup.services import of_url

    if variable is not None:
        if from_stdin or store not in (None, "env"):
            other = "--api-key-stdin" if from_stdin else f"--store {store}"
            raise UsageError(f"--api-key-env and {other} exclude each other", hint="leave one of them out")
        return replace(draft, store="env", variable=plan.check_variable(variable, os.environ))
    if not from_stdin:
        if store in NEEDS_SECRET:
            raise UsageError(
                f"--store {store} has nothing to keep", hint="pipe the key in with --api-key-stdin"
            )
        if store == "env":
            raise UsageError("--store env names no variable", hint="name it with --api-key-env")
        return draft
    secret = _read_key()
    if store != "env":
        return replace(draft, store=store or "vault", secret=secret)
    service = of_url(draft.base_url)
    name = plan.variable_for(draft.name, service.variable if service else "", os.environ)
    return replace(draft, store="env", variable=name, secret=secret)


def _read_key() -> Secret:
    from missy.setup.plan import check_key

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("--api-key-stdin reads a pipe, and stdin is a terminal", hint="or run: missy setup")
    data = sys.stdin.buffer.read(_LIMIT + 1)
    try:
        return check_key(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError("what stdin holds is no text", hint="pipe the key alone into it") from None


def _check(path: Path, made: Plan) -> None:
    """Ask the endpoint with what would be written. Raises what the way there raises; then nothing is written."""
    from missy.setup import check, commit

    draft = made.drafts[0]
    config = commit.outcome(path, made, literal=True)
    models, better = check.list_models(config, draft.name, notice)
    if better is not None:
        raise UsageError(better.advice, hint=f"nothing was written; give --base-url {better.url}")
    model = config.providers[draft.name].model
    notice(f"checked: {draft.name} answers" + (f", {len(models)} models" if models else ""))
    if model and models and not any(name in (model, f"models/{model}") for name in models):
        notice(f"{model} is not among them: missy models --provider {draft.name}")


def _write(path: Path, made: Plan, tell: Say, warn: Say) -> None:
    """Write it all, then say what is left to do."""
    from missy.config.load import load
    from missy.secrets.vault import Vault
    from missy.setup import commit

    vault = Vault(paths.home())
    new_vault = any(draft.store == "vault" for draft in made.secrets) and vault.key_place() is None
    changed = commit.write(path, made)
    if new_vault and vault.key_place() == "file":
        warn(f"no system keyring here: the vault's key is in {vault.key_file}, readable by you alone")
    tell(f"{'wrote' if changed else 'left as it is:'} {path}")
    config = load(path)
    names = {draft.name for draft in made.drafts}
    for caution in config.warnings:
        if names.intersection(caution.entries):
            warn(caution)
    for draft in made.drafts:
        if draft.base_url and not draft.model:
            warn(f"no model was named: {draft.name} will ask for {config.providers[draft.name].model}")
    for draft in made.drafts:
        _say_next(draft, tell, warn)


def _say_next(draft: Draft, tell: Say, warn: Say) -> None:
    if draft.store == "config":
        warn(f"the key itself stands in the file, for all who read it; safer: missy vault set {draft.name}")
    if draft.store == "env" and not os.environ.get(draft.variable or ""):
        kept = "the key that was given is not kept; " if draft.secret else ""
        warn(f"{kept}{draft.variable} is not set here: export {draft.variable}=... before asking")
    if draft.install:
        from missy.audit import Audit
        from missy.local import model

        model.install(Audit(paths.home() / "audit.jsonl"), warn)
    tell(f"try it: missy ask --provider {draft.name} hello")
