"""Words that people bring along from other tools: each is answered with the command that was meant, and does nothing."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from missy.cli.commands.reference import walk
from missy.cli.synonyms import COMMAND_SYNONYMS, ROOT_SYNONYMS
from tests.command import Command
from tests.servers import chat_stream

SOURCE = Path(__file__).parents[2] / "src" / "missy"


def refused(missy: Command, *args: str) -> str:
    """Run what is wrong use; returns the line that says what to do."""
    ran = missy.inside(*args)
    assert ran.code == 2, ran.err
    assert ran.out == b""
    lines = ran.err.splitlines()
    assert len(lines) == 2, ran.err
    assert lines[0].startswith("missy: ")
    return lines[1].strip()


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["What is 2+2?"], 'a question goes to: missy ask "What is 2+2?"'),
        (["What is 2+2?", "-m", "x"], 'a question goes to: missy ask "What is 2+2?" -m x'),
        (['say "hi" for $5'], "a question goes to: missy ask 'say \"hi\" for $5'"),
        (["chat"], "did you mean: missy run"),
        (["repl"], "did you mean: missy run"),
        (["resume"], "did you mean: missy run --continue"),
        (["session"], "did you mean: missy sessions"),
        (["sessions", "rm", "x"], "did you mean: missy sessions delete ID"),
        (["login"], "did you mean: missy auth login"),
        (["logout"], "did you mean: missy auth logout"),
        (["keys", "rm", "editor"], "did you mean: missy keys revoke NAME"),
        (["gateway"], "did you mean: missy serve"),
        (["keys", "set", "openai"], "did you mean: missy vault set openai"),
        (["keys", "set", "sk-canary-1"], "did you mean: missy vault set NAME"),
        (["logs"], "did you mean: missy audit recent"),
        (["history"], "did you mean: missy audit recent"),
        (["version"], "did you mean: missy --version"),
        (["list"], "did you mean: missy providers"),
        (["switch", "groq"], "did you mean: missy providers switch groq"),
        (["models", "list"], "did you mean: missy models"),
        (["models", "mine"], "did you mean: missy models --provider mine"),
        (["doctor", "mine"], "did you mean: missy doctor --provider mine"),
        (["audit", "show"], "did you mean: missy audit recent"),
        (["audit", "verfy"], "did you mean: missy audit verify"),
        (["config", "edit"], 'did you mean: "${EDITOR:-vi}" "$(missy config path)"'),
        (["config", "help"], "try: missy config --help"),
        (["docter"], "did you mean: missy doctor"),
        (["ask", "hi", "there", "friend"], 'the prompt is one argument: missy ask "hi there friend"'),
        (["ask", "-m", "m1", "hi", "you"], 'the prompt is one argument: missy ask -m m1 "hi you"'),
        (["ask", "-m"], "try: missy ask --help"),
        (["ask", "--system"], "try: missy ask --help"),
        (["-m", "m1", "hi"], 'it belongs to a command: missy ask -m ... "the prompt"'),
    ],
)
def test_a_word_from_elsewhere_names_the_right_command(missy, args, meant):
    """Exit 2, one line what happened, one line to type instead; nothing is done in its place."""
    assert refused(missy, *args) == meant
    assert not missy.home.exists()


@pytest.mark.parametrize("args", [["config", "get", "x"], ["auth", "logn"], ["aks", "hi"]])
def test_one_guess_is_enough(missy, args):
    """What was meant is guessed once: the two guesses of before could differ."""
    said = missy.inside(*args).err
    assert said.lower().count("did you mean") == 1


def test_an_update_is_the_clones_own(missy):
    """The hint for an update uses no package index: an update comes from the clone."""
    said = refused(missy, "update")
    assert (
        said
        == f"in the clone: git pull && {shlex.quote(sys.executable)} -m pip install '.[local,keyring,mcp]'"
    )


def test_no_question_is_sent_unasked(missy, serve):
    """A prompt in the place of a command goes nowhere, though an entry is ready."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    assert "missy ask" in refused(missy, "What is 2+2?")
    assert origin.connections == 0


def test_the_global_options_are_part_of_the_command_to_type(missy):
    """What was named with --config is named in the advice too."""
    missy.config("")
    assert refused(missy, "--config", "x.yaml", "hi you") == (
        'a question goes to: missy --config x.yaml ask "hi you"'
    )


def test_help_is_help(missy):
    """`missy help` is --help, and `missy help COMMAND` that command's."""
    assert missy.inside("help").out == missy.inside("--help").out
    assert missy.inside("help", "vault", "set").out == missy.inside("vault", "set", "--help").out
    assert missy.inside("help").code == 0


def test_the_reply_for_programs_says_it_too(missy):
    """`ask --json` gives the same advice in its one object."""
    ran = missy.inside("ask", "--json", "hi", "there")
    assert ran.json()["error"]["hint"] == 'the prompt is one argument: missy ask --json "hi there"'


def test_the_events_for_programs_say_it_too(missy):
    """`ask --events` prints one event of type error for a wrong command line, whatever else is given."""
    for more in ([], ["--json"]):
        (event,) = missy.inside("ask", "--events", "hi", "there", *more).events()
        assert (event["type"], event["error"]["type"]) == ("error", "usage")
        assert "one argument" in event["error"]["hint"]


@pytest.mark.parametrize(
    "args",
    [
        ("sessions", "--json", "list"),
        ("sessions", "--limit", "3", "show", "s"),
        ("providers", "--json", "list"),
    ],
    ids=" ".join,
)
def test_an_option_before_a_sub_command_is_not_dropped(missy, args):
    """What a group's own options say is not passed on to its sub-command: exit 2, and where to write them."""
    ran = missy.inside(*args)
    assert (ran.code, ran.out) == (2, b"")
    said, hint = ran.err.splitlines()
    chosen = "show" if "show" in args else "list"
    assert f"{args[1]} before {chosen} is not passed on" in said
    assert f"see: missy {args[0]} {chosen} --help" in hint


def test_every_word_of_the_tables_leads_to_a_command_that_there_is():
    """No advice names a command or an option that this version does not have."""
    commands = {name: command for name, _, command in walk()}
    told = [*ROOT_SYNONYMS.values(), *(one for table in COMMAND_SYNONYMS.values() for one in table.values())]
    for line in told:
        for found in re.finditer(r"missy( [a-z-]+)+", line):
            words = found[0].split()
            path = words[0]
            for word in words[1:]:
                if f"{path} {word}" in commands:
                    path = f"{path} {word}"
                    continue
                options = {name for param in commands[path].params for name in param.opts}
                assert word in options | {"providers", "bash", "--version"}, (line, word)
    assert not [word for word in ROOT_SYNONYMS if f"missy {word}" in commands]
    for group, table in COMMAND_SYNONYMS.items():
        assert not [word for word in table if f"missy {group} {word}" in commands]


def test_a_prompt_that_names_a_file_is_told_apart(missy, serve):
    """`@notes.txt` is sent unchanged, and a line says how the file would be sent."""
    origin = serve(chat_stream("hello"), chat_stream("hello"))
    missy.entry(origin.url)
    notes = missy.home.parent / "notes.txt"
    notes.write_text("text")
    ran = missy("ask", "@notes.txt")
    assert ran.code == 0
    assert "missy ask ... < notes.txt" in ran.err
    assert b'"@notes.txt"' in origin.requests[0].body
    assert "<" not in missy("ask", "@nobody").err


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("grok", "did you mean groq?"),
        ("mistrl", "did you mean mistral? set it up first: missy setup --no-prompt --provider mistral"),
        ("together", "set it up first: missy setup --no-prompt --provider together"),
        ("zzzz", "the entries are: groq, local"),
    ],
)
def test_an_unknown_entry_names_the_nearest(missy, named, hint):
    """The nearest entry comes first; then a service that could be set up; then the list."""
    missy.entry("http://127.0.0.1:9/v1", "groq")
    assert refused(missy, "ask", "--provider", named, "hi") == hint


def test_the_local_model_is_recommended_only_where_it_is(missy):
    """If its file is missing, the hint says first how to get it, with its size."""
    assert "missy local install (93 MB), then missy ask --provider local" in refused(missy, "ask", "hi")
    (missy.home / "models").mkdir(parents=True)
    (missy.home / "models" / "any.gguf").touch()
    assert refused(missy, "ask", "hi").endswith("on this machine: missy ask --provider local")


def test_an_empty_configuration_names_the_wizard(missy):
    """Both doors name each other: the hint for an empty file, the listing, and what `init` says."""
    missy.config("")
    assert "missy setup" in refused(missy, "ask", "hi")
    assert "missy setup" in missy.inside("providers").err
    assert "or let it ask you:            missy setup" in missy.inside("init").text


def test_no_hint_installs_our_name_from_an_index():
    """Missy is on no index: someone else who takes the name there must not reach our users."""
    for path in SOURCE.rglob("*.py"):
        for line in path.read_text().splitlines():
            assert not re.search(
                r"(pip|pipx|uv|uvx)\b.*[ '\"](install|add|run|download)\b.*\bmissy(\[|\b)", line
            ), (
                path,
                line,
            )


def test_the_model_is_not_fetched_where_nothing_could_serve_it(missy, tmp_path):
    """`local install` looks for the server's package first; the hint names this very Python."""
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\nreal = PathFinder.find_spec\n"
        "def find_spec(name, *rest):\n    return None if name == 'xllamacpp' else real(name, *rest)\n"
        "PathFinder.find_spec = staticmethod(find_spec)\n"
    )
    ran = missy("local", "install", env={"PYTHONPATH": str(shim)})
    assert ran.code == 2
    assert f"{sys.executable} " in ran.err
    assert "xllamacpp>=" in ran.err
    assert not os.path.exists(missy.home / "models")


def test_the_wizard_without_a_terminal_names_a_line_that_works(missy):
    """The hint can be pasted as it is."""
    hint = refused(missy, "setup")
    line = hint.removeprefix("for example: missy ")
    assert missy.inside(*shlex.split(line)).code == 0


def test_an_entry_keeps_its_own_model_without_a_word(missy):
    """Changing an entry that names its model says nothing about a default one."""
    missy.entry("http://127.0.0.1:9/v1", "lab", model="mine")
    args = ("setup", "--no-prompt", "--base-url", "http://127.0.0.1:9/v1", "--force", "--entry")
    assert "no model was named" not in missy.inside(*args, "lab").err
    assert "no model was named" in missy.inside(*args, "other").err
