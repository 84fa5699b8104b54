"""`missy completion`, and the completions that its script asks for: commands, options, entries, last known models.

It must never use the network, and never print anything but the completions.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.config.schema import Config

VARIABLE = "_MISSY_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")
_COMMANDS_WITH_ENTRY = (  # the commands whose argument is the name of an entry
    ("providers", "switch"),
    ("auth", "login"),
    ("auth", "status"),
    ("auth", "logout"),
)
_COMMANDS_WITH_SECRET = (
    ("vault", "get"),
    ("vault", "set"),
    ("vault", "delete"),
)  # the argument is a name in the vault


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the completion script of a shell. It completes commands, options, entries and models.

    \b
    Example:
      eval "$(missy completion bash)"                         # in ~/.bashrc
      eval "$(missy completion zsh)"                          # in ~/.zshrc
      missy completion fish > ~/.config/fish/completions/missy.fish
    """
    from missy.cli.root import root

    made = _completer(shell, root)
    # Not the method of the bash class, which starts a bash to check its version; the script works since bash 4.4.
    click.echo(ShellComplete.source(made))


def complete(root: click.Group, instruction: str) -> int:
    """Print the completions for the script of a shell. On any error, of the configuration file for example, print none."""
    shell, _, act = instruction.partition("_")
    if shell not in _SHELLS or act != "complete":
        return 1
    try:
        click.echo(_completer(shell, root).complete())
    except Exception:
        return 1
    return 0


def _completer(shell: str, root: click.Group) -> ShellComplete:
    base = get_completion_class(shell)
    assert base is not None
    made: ShellComplete = type("Completer", (_Completions, base), {})(root, {}, "missy", VARIABLE)
    return made


class _Completions:
    """Completes entries and models; click completes the rest."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        words = _positional_words(args)
        if args and args[-1] in ("--provider", "-p") and words[:1] != ["setup"]:
            return _complete_entries(args, incomplete)
        if incomplete.startswith("--provider=") and words[:1] != ["setup"]:
            return _complete_entries(args, incomplete.removeprefix("--provider="))
        if words[:1] == ["setup"] and args[-1] in ("--provider", "-p"):
            return _complete_services(incomplete)
        if args and args[-1] in ("--model", "-m") and words[:1] == ["ask"]:
            return _complete_models(args, incomplete)
        if incomplete.startswith("--model=") and words[:1] == ["ask"]:
            return _complete_models(args, incomplete.removeprefix("--model="))
        if not incomplete.startswith("-") and tuple(words) in _COMMANDS_WITH_ENTRY:
            return _complete_entries(args, incomplete)
        if not incomplete.startswith("-") and tuple(words) in _COMMANDS_WITH_SECRET:
            return _complete_secrets(incomplete)
        found: list[CompletionItem[Any]] = super().get_completions(args, incomplete)  # type: ignore[misc]
        return found


def _positional_words(args: Sequence[str]) -> list[str]:
    """Return the words that are not options, without the values of global options."""
    words, skip = list[str](), False
    for arg in args:
        if not skip and not arg.startswith("-"):
            words.append(arg)
        skip = arg == "--config"
    return words


def _option_value(args: Sequence[str], *options: str) -> str | None:
    """Return the value of one of these options, written with a space or with =."""
    from itertools import pairwise

    after = next((value for word, value in pairwise(args) if word in options), None)
    joined = (word.partition("=")[2] for word in args if word.partition("=")[0] in options and "=" in word)
    return after or next(joined, None)


def _config(args: Sequence[str]) -> Config:
    from missy.config.load import load_chosen
    from missy.kinds import KINDS

    named = _option_value(args, "--config")
    return load_chosen(os.path.expanduser(named) if named else None, KINDS)


def _complete_models(args: Sequence[str], incomplete: str) -> list[CompletionItem[Any]]:
    from missy.cli.model_lists import known_models

    names = known_models(_config(args).entry(_option_value(args, "--provider", "-p")))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_entries(args: Sequence[str], incomplete: str) -> list[CompletionItem[Any]]:
    config = _config(args)
    found = {one.entry: one.endpoint or one.kind for one in config.providers.values() if one.enabled}
    for name, one in config.always_there.items():
        found.setdefault(name, one.spec.always_there)
    return [CompletionItem(name, help=about) for name, about in found.items() if name.startswith(incomplete)]


def _complete_services(incomplete: str) -> list[CompletionItem[Any]]:
    from missy.kinds import KINDS
    from missy.services import SERVICES

    found = {
        **dict.fromkeys(KINDS, ""),
        **{name: one.title for name, one in SERVICES.items()},
    }
    return [CompletionItem(name, help=about) for name, about in found.items() if name.startswith(incomplete)]


def _complete_secrets(incomplete: str) -> list[CompletionItem[Any]]:
    from missy import paths
    from missy.secrets.vault import Vault

    return [CompletionItem(name) for name in Vault(paths.home()).names() if name.startswith(incomplete)]
