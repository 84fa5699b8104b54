"""Hints for a command line that was not understood: the exact command that was probably meant.

Imported only after a command line was refused. It only advises; it never runs another command.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from missy.cli.command_table import COMMANDS
from missy.cli.synonyms import COMMAND_SYNONYMS, ROOT_SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PROMPT_CHARS = 300  # a longer command line is not repeated


def advise(args: Sequence[str], error: click.ClickException) -> str:
    """Return one line that says what to type instead."""
    given, rest = _split_global_options(args)
    context = getattr(error, "ctx", None)
    command = _find_command(rest)
    if isinstance(error, click.NoSuchOption) and command is None:
        return _advise_on_misplaced_option(error.option_name) or "try: missy --help"
    if isinstance(error, click.UsageError) and command is None and rest:
        return _advise_on_unknown_command(given, rest)
    if isinstance(error, click.UsageError) and rest[:1] == ["ask"] and _has_extra_argument(error):
        return f"the prompt is one argument: {_join(given, _as_one_prompt(command, rest))}"
    if isinstance(error, click.UsageError) and (meant := _advise_within_command(rest, command)):
        return meant
    path = context.command_path if context is not None else " ".join(["missy", *rest[: 1 if command else 0]])
    return f"try: {path} --help"


def _split_global_options(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the global options, and the rest of the command line."""
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] != "-":
        at += 2 if args[at] == "--config" else 1
    return list(args[:at]), list(args[at:])


def _find_command(rest: Sequence[str]) -> click.Command | None:
    from missy.cli.root import root

    return root.get_command(click.Context(root), rest[0]) if rest else None


def _has_extra_argument(error: click.UsageError) -> bool:
    return "unexpected extra argument" in error.message


def _advise_on_unknown_command(given: list[str], rest: list[str]) -> str:
    """Return a hint for a word that is not a command."""
    word = rest[0]
    if word == "-" or any(blank in word for blank in " \t\n"):
        return f"a question goes to: {_join(given, ['ask', *rest])}"
    if meant := _look_up_synonym(ROOT_SYNONYMS, word, rest):
        return meant
    from difflib import get_close_matches

    if near := get_close_matches(word.lower(), COMMANDS, n=1):
        return f"did you mean: {_join(given, near)}"
    words = list(rest)
    if not any(one.startswith("-") for one in words):
        words = [" ".join(words)]
    return f"a question goes to: {_join(given, ['ask', *words])}; the commands are in: missy --help"


def _advise_within_command(rest: list[str], command: click.Command | None) -> str:
    """Return a hint for an unknown word after a command; "" if there is none."""
    if len(rest) < 2 or rest[1].startswith("-"):
        return ""
    group, word = rest[0], rest[1]
    if word in ("help", "?"):
        return f"try: missy {group} --help"
    if isinstance(command, click.Group) and word in command.commands:
        return ""
    if meant := _look_up_synonym(COMMAND_SYNONYMS.get(group, {}), word, rest[1:]):
        return meant
    if not isinstance(command, click.Group):
        params = command.params if command is not None else []
        takes_entry = any(one.name == "provider" for one in params)
        takes_entry = takes_entry and not any(isinstance(one, click.Argument) for one in params)
        return f"did you mean: missy {group} --provider {_quote(word)}" if takes_entry else ""
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), command.commands, n=1)
    return f"did you mean: missy {group} {near[0]}" if near else ""


def _look_up_synonym(table: dict[str, str], word: str, rest: list[str]) -> str:
    """Return the hint from the table; "" if there is none. Other typed words are repeated only if they are known names."""
    meant = table.get(word.lower().replace("_", "-"), "")
    if not meant:
        return ""
    if "{name}" in meant:
        from missy.config.presets import PRESETS
        from missy.kinds import KINDS

        names = {*PRESETS, *KINDS}
        known = next((one for one in rest[1:] if one in names), "NAME")
        meant = meant.replace("{name}", known)
    if meant.startswith(("missy ", '"$')):
        return f"did you mean: {meant}"
    return meant.replace("{python}", shlex.quote(sys.executable))


def _advise_on_misplaced_option(option: str) -> str:
    """Return a hint for an option that was given before any command."""
    from missy.cli.commands.ask import command

    names = [name for one in command.params for name in one.opts]
    return f'it belongs to a command: missy ask {option} ... "the prompt"' if option in names else ""


def _as_one_prompt(command: click.Command | None, rest: list[str]) -> list[str]:
    """Return the command line with the words of the prompt joined, after the options."""
    assert command is not None
    valued = {
        name
        for one in command.params
        if isinstance(one, click.Option) and not one.is_flag
        for name in one.opts
    }
    options, words, at = list[str](), list[str](), 1
    while at < len(rest):
        word = rest[at]
        if word == "--":
            words += rest[at + 1 :]
            break
        if word.startswith("-") and word != "-":
            take = 2 if word in valued else 1
            options += rest[at : at + take]
            at += take
            continue
        words.append(word)
        at += 1
    return ["ask", *options, " ".join(words)]


def _join(given: Sequence[str], words: Sequence[str]) -> str:
    """Return a command line that can be pasted into a shell."""
    text = " ".join(["missy", *map(_quote, (*given, *words))])
    return text if len(text) <= _MAX_PROMPT_CHARS else 'missy ask "..."'


def _quote(word: str) -> str:
    """Quote a word for a shell: in double quotes if it has no character that is special there."""
    if word == shlex.quote(word):
        return word
    return f'"{word}"' if not set(word) & set('"$`\\!\n') else shlex.quote(word)
