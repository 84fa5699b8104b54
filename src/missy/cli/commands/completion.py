"""`missy completion`, and what its script asks for with every Tab: words, options, and the names of entries, models seen.

It must never use the network, and never write a word to the terminal but the answer.
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
_TAKE_ENTRY = (  # the commands whose argument is the name of an entry
    ("providers", "switch"),
    ("auth", "login"),
    ("auth", "status"),
    ("auth", "logout"),
)


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the script that completes words in a shell: commands, options, the names of your entries.

    \b
    Example:
      eval "$(missy completion bash)"                         # in ~/.bashrc
      eval "$(missy completion zsh)"                          # in ~/.zshrc
      missy completion fish > ~/.config/fish/completions/missy.fish
    """
    from missy.cli.root import root

    made = _completer(shell, root)
    # The base class's own: bash's would start a bash to ask for its version, and the script works in any since 4.4.
    click.echo(ShellComplete.source(made))


def complete(root: click.Group, instruction: str) -> int:
    """Answer the script of a shell. Whatever is wrong, a config file say, there is nothing to complete."""
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
    made: ShellComplete = type("Completer", (_Words, base), {})(root, {}, "missy", VARIABLE)
    return made


class _Words:
    """Completes what click has no words for; the rest is click's."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        words = _plain(args)
        if args and args[-1] in ("--provider", "-p") and words[:1] != ["setup"]:
            return _entries(args, incomplete)
        if incomplete.startswith("--provider=") and words[:1] != ["setup"]:
            return _entries(args, incomplete.removeprefix("--provider="))
        if args and args[-1] in ("--model", "-m") and words[:1] == ["ask"]:
            return _models(args, incomplete)
        if incomplete.startswith("--model=") and words[:1] == ["ask"]:
            return _models(args, incomplete.removeprefix("--model="))
        if not incomplete.startswith("-") and tuple(words) in _TAKE_ENTRY:
            return _entries(args, incomplete)
        found: list[CompletionItem[Any]] = super().get_completions(args, incomplete)  # type: ignore[misc]
        return found


def _plain(args: Sequence[str]) -> list[str]:
    """Return the words that are no options, the values of the global ones left out."""
    words, skip = list[str](), False
    for arg in args:
        if not skip and not arg.startswith("-"):
            words.append(arg)
        skip = arg == "--config"
    return words


def _value_of(args: Sequence[str], *options: str) -> str | None:
    """Return what was given with one of these options, in either way of writing it."""
    from itertools import pairwise

    after = next((value for word, value in pairwise(args) if word in options), None)
    joined = (word.partition("=")[2] for word in args if word.partition("=")[0] in options and "=" in word)
    return after or next(joined, None)


def _config(args: Sequence[str]) -> Config:
    from missy.config.load import load_chosen
    from missy.kinds import KINDS

    named = _value_of(args, "--config")
    return load_chosen(os.path.expanduser(named) if named else None, KINDS)


def _models(args: Sequence[str], incomplete: str) -> list[CompletionItem[Any]]:
    from missy.cli.model_lists import recall

    names = recall(_config(args).entry(_value_of(args, "--provider", "-p")))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _entries(args: Sequence[str], incomplete: str) -> list[CompletionItem[Any]]:
    config = _config(args)
    found = {one.entry: one.endpoint or one.kind for one in config.providers.values() if one.enabled}
    for name, one in config.always_there.items():
        found.setdefault(name, one.spec.always_there)
    return [CompletionItem(name, help=about) for name, about in found.items() if name.startswith(incomplete)]
