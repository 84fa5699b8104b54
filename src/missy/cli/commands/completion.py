"""`missy completion`, and what its script asks for with every Tab: words, options, and the names of entries.

It must never use the network, and never write a word to the terminal but the answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def _entries(args: Sequence[str], incomplete: str) -> list[CompletionItem[Any]]:
    from itertools import pairwise

    from missy.config.load import load_chosen

    named = next((after for word, after in pairwise(args) if word == "--config"), None)
    entries = load_chosen(os.path.expanduser(named) if named else None).providers.values()
    found = [(entry.entry, entry.endpoint or entry.kind) for entry in entries if entry.enabled]
    found += [] if any(name == "local" for name, _ in found) else [("local", "the model on this machine")]
    return [CompletionItem(name, help=about) for name, about in found if name.startswith(incomplete)]
