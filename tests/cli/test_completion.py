"""`missy completion`, and what a shell shows when Tab is pressed."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from missy.cli.command_table import COMMANDS
from tests.servers import json_response

pytestmark = pytest.mark.slow


def words(missy, line: str) -> list[str]:
    """Return what bash is offered at the end of a line."""
    count = len(line.split(" ")) - 1
    done = missy(env={"COMP_WORDS": line, "COMP_CWORD": str(count), "_MISSY_COMPLETE": "bash_complete"})
    assert (done.code, done.err) == (0, "")
    return [row.partition(",")[2] for row in done.text.splitlines()]


@pytest.fixture
def entries(missy):
    missy.config(
        {
            "providers": {
                "groq": {"base_url": "https://api.groq.com/openai/v1"},
                "my-lab": {"enabled": False},
                "openai": {},
            }
        }
    )
    return missy


def test_commands_and_options_are_completed(missy):
    """From the table, and from the command's own options."""
    assert words(missy, "missy ") == list(COMMANDS)
    assert words(missy, "missy se") == [name for name in COMMANDS if name.startswith("se")]
    assert words(missy, "missy --d") == ["--debug"]
    assert words(missy, "missy ask --max") == ["--max-tokens", "--max-cost", "--max-rounds"]
    assert words(missy, "missy config ro") == ["rollback"]
    assert words(missy, "missy setup --store v") == ["vault"]
    assert words(missy, "missy completion ") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize(
    "line",
    [
        "ask --provider ",
        "ask -p ",
        "models --provider ",
        "doctor -p ",
        "ask hi --provider ",
        "providers switch ",
    ],
)
def test_the_names_of_entries_are_completed(entries, line):
    """The enabled ones, and `local`, which is always there."""
    assert words(entries, f"missy {line}") == ["groq", "openai", "local"]
    assert words(entries, f"missy {line}o") == ["openai"]


def test_the_file_that_is_named_is_the_one_that_is_read(entries, tmp_path):
    """`missy --config FILE ask -p` offers that file's entries."""
    other = tmp_path / "other.yaml"
    other.write_text("providers: {elsewhere: {}}")
    assert words(entries, f"missy --config {other} ask -p e") == ["elsewhere"]


def test_a_broken_file_breaks_no_shell(missy):
    """There is just nothing to offer."""
    missy.config("providers: [")
    line = {"COMP_WORDS": "missy ask -p ", "COMP_CWORD": "3", "_MISSY_COMPLETE": "bash_complete"}
    done = missy(env=line)
    assert (done.out, done.err) == (b"", "")
    assert missy(env={**line, "_MISSY_COMPLETE": "nonsense"}).out == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_takes(missy, shell, tmp_path):
    """It names itself, and where the shell is here, the shell can read it."""
    done = missy("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert "_MISSY_COMPLETE" in done.text
    assert f"{shell}_complete" in done.text
    found = shutil.which(shell)
    if found:
        file = tmp_path / "script"
        file.write_bytes(done.out)
        subprocess.run([found, "-n", str(file)], check=True)


def test_bash_completes_with_it(entries, tmp_path):
    """A real bash, the real script, the real command."""
    bash = shutil.which("bash")
    script = tmp_path / "completion.bash"
    script.write_bytes(entries("completion", "bash").out)
    (tmp_path / "missy").write_text('#!/bin/sh\nexec "$PYTHON" -m missy "$@"\n')
    (tmp_path / "missy").chmod(0o755)
    line = f"source {script}; COMP_WORDS=(missy ask --provider gr); COMP_CWORD=3;"
    said = subprocess.run(
        [str(bash), "-c", line + ' _missy_completion missy; echo "${COMPREPLY[@]}"'],
        env=entries.env(PATH=f"{tmp_path}:/usr/bin:/bin", PYTHON=sys.executable),
        capture_output=True,
        check=True,
    )
    assert said.stdout == b"groq\n"
    assert said.stderr == b""


def test_another_shell_is_wrong_use(missy):
    """Exit 2, the shells named."""
    done = missy("completion", "tcsh")
    assert done.code == 2
    assert "zsh" in done.err


def test_the_models_that_were_seen_are_completed(missy, serve):
    """What `missy models` listed last, and the entry's own model; nothing is asked over the network for it."""
    origin = serve(json_response({"data": [{"id": "m-large"}, {"id": "m-small"}, {"id": "other"}]}))
    url = origin.url
    missy.config(
        {"providers": {"lab": {"model": "own", "base_url": url}, "two": {"model": "x", "base_url": url}}}
    )
    assert words(missy, "missy ask --model ") == ["own"]
    assert missy("models").code == 0
    asked = len(origin.requests)
    assert words(missy, "missy ask --model ") == ["own", "m-large", "m-small", "other"]
    assert words(missy, "missy ask -p lab -m m-") == ["m-large", "m-small"]
    assert words(missy, "missy ask --provider=lab --model=m-s") == ["m-small"]
    assert words(missy, "missy ask -p two -m ") == ["x"]
    assert len(origin.requests) == asked
    assert (missy.home / "models" / "lists.json").stat().st_mode & 0o777 == 0o600
    missy.config({"providers": {"lab": {"model": "own", "base_url": "http://127.0.0.1:9/v1"}}})
    assert words(missy, "missy ask --model ") == ["own"]  # another endpoint, another list


def test_the_names_in_the_vault_are_completed(missy):
    """Names alone: no key is read for it, and an empty vault has none."""
    assert not any(words(missy, "missy vault get "))
    for name in ("groq", "lab"):
        assert missy("vault", "set", name, stdin=b"secret").code == 0
    for act in ("get", "set", "delete"):
        assert words(missy, f"missy vault {act} ") == ["groq", "lab"]
        assert words(missy, f"missy vault {act} l") == ["lab"]


def test_what_can_be_set_up_is_completed(entries):
    """`setup --provider` takes kinds and services, not the entries that are there."""
    offered = words(entries, "missy setup --provider ")
    assert {"openai", "openai-codex", "local", "groq", "azure", "portkey"} <= set(offered)
    assert "my-lab" not in offered
    assert words(entries, "missy setup --provider az") == ["azure"]
