"""A new kind of provider is one file and one line; see `echo.py`."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import missy as package
from missy import AsyncMissy, Missy, Notice
from missy.kinds import KINDS
from tests.command import SAFETY, Command, Result
from tests.kinds.echo import KIND

REPOSITORY = Path(__file__).parents[2]
SOURCES = Path(package.__file__).parent
# The same words in another meaning: file -> word -> what it is there.
OTHER_MEANINGS = {
    "cli/command_table.py": {"local": "a command"},
    "cli/commands/local.py": {"local": "a command, and an extra of the package"},
    "cli/commands/presets.py": {"openai": "a service"},
    "cli/synonyms.py": {"local": "a command"},
    "cli/wizard/key_steps.py": {"local": "an extra of the package"},
    "config/presets.py": {"openai": "a service"},
    "diagnosis/report.py": {"openai": "a package"},
    "hints.py": {"local": "an extra of the package"},
    "local/installed.py": {"local": "an extra of the package"},
    "local/server.py": {"local": "an extra of the package"},
    "providers/heads.py": {"openai": "a package"},
    "cli/commands/batch.py": {"local": "where a job runs"},
}


def with_echo(missy: Command, *args: str, **environ: str) -> Result:
    """Run the command that has the kind `echo` too."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kinds.echo", *args],
        env=missy.env(**environ),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SAFETY,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def echo() -> Iterator[None]:
    """Have the kind in this process's table too."""
    KINDS[KIND.name] = KIND
    yield
    del KINDS[KIND.name]


@pytest.fixture
def echoing(missy: Command) -> Command:
    missy.config({"providers": {"parrot": {"name": "echo"}}})
    return missy


def test_no_other_file_names_a_kind():
    """Outside of its own module no code holds a kind's name: neither to compare with nor to build one."""
    found: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).as_posix()
        if name.startswith("kinds/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in KINDS:
                found.setdefault(name, set()).add(node.value)
    assert found == {name: set(words) for name, words in OTHER_MEANINGS.items()}


def test_each_module_of_a_kind_names_itself_alone():
    """A kind knows no other kind's name."""
    for path in (SOURCES / "kinds").glob("*.py"):
        words = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in KINDS
        }
        assert len(words) <= 1, path.name


def test_without_its_line_a_kind_is_unknown(echoing: Command):
    """The file alone changes nothing."""
    result = echoing("config", "validate")
    assert (result.code, "echo" in result.err) == (2, True)


def test_an_entry_of_a_new_kind_is_checked_by_its_own_keys(echoing: Command):
    """`config validate` takes it, and refuses the keys that mean nothing to it, with the line."""
    assert with_echo(echoing, "config", "validate").code == 0
    shown = with_echo(echoing, "config", "show", "--json").json()["providers"]["parrot"]
    assert (shown["name"], shown["model"], "api_key" in shown) == ("echo", "parrot", False)
    echoing.config({"providers": {"parrot": {"name": "echo", "api_key": "$KEY"}}})
    refused = with_echo(echoing, "config", "validate")
    assert refused.code == 2
    assert "kind echo takes none; allowed null (it is for kind openai)" in refused.err


def test_a_new_kind_is_in_the_schema_and_in_a_new_file(missy: Command):
    """`config schema` and `init` tell of it."""
    schema = with_echo(missy, "config", "schema").json()
    entry = schema["properties"]["providers"]["additionalProperties"]
    assert "echo" in entry["properties"]["name"]["enum"]
    assert with_echo(missy, "init").code == 0
    assert "#name: echo" in (missy.home / "config.yaml").read_text()


@pytest.mark.parametrize(("environ", "reason"), [({"ECHO": "1"}, None), ({}, "no ECHO here")])
def test_the_list_of_entries_asks_the_kind(echoing: Command, environ: dict[str, str], reason: str | None):
    """`providers` says whether the entry could be used, and why not."""
    (row,) = with_echo(echoing, "providers", "--json", **environ).json()
    assert (row["name"], row["ready"], row["reason"]) == ("echo", reason is None, reason)


def test_the_doctor_asks_the_kind(echoing: Command):
    """`doctor` walks the kind's own checks, then asks for the models; a failed one names the fix."""
    well = with_echo(echoing, "doctor", "--provider", "parrot", "--json", ECHO="1").json()
    assert well["ok"]
    assert [check["name"] for check in well["checks"]][-2:] == ["parrot: echo", "parrot: models"]
    ill = with_echo(echoing, "doctor", "--provider", "parrot", "--json")
    assert (ill.code, ill.json()["checks"][-1]["fix"]) == (1, "export ECHO=1")


def test_a_new_kind_answers(echoing: Command):
    """`ask`, `models` and `ask --dry-run` work with what it builds; nothing is connected to."""
    answer = with_echo(echoing, "ask", "hello there")
    assert (answer.code, answer.text.strip()) == (0, "hello there")
    assert "an echo answers" in answer.err
    assert with_echo(echoing, "models").text.strip() == "parrot"
    assert with_echo(echoing, "ask", "--dry-run", "--json", "hello").json()["body"] == {"echo": "hello"}
    assert echoing.attempts() == []


def test_setup_writes_an_entry_of_a_new_kind(missy: Command):
    """`setup --no-prompt` takes its name, and refuses the options that mean nothing to it."""
    assert with_echo(missy, "setup", "--no-prompt", "--provider", "echo", "--entry", "bird").code == 0
    assert with_echo(missy, "ask", "tweet").text.strip() == "tweet"
    refused = with_echo(
        missy, "setup", "--no-prompt", "--provider", "echo", "--base-url", "https://a.example"
    )
    assert (refused.code, "kind echo takes no --base-url" in refused.err) == (2, True)


@pytest.mark.usefixtures("echo")
def test_the_library_has_a_new_kind_too(echoing: Command, config: Callable[..., Any]):
    """Missy and AsyncMissy answer with it, and go on with another configuration of it."""
    with Missy.open() as m:
        events = list(m.ask("hi"))
        assert events[0] == Notice("an echo answers")
        config(echoing.home, {"providers": {"other": {"name": "echo", "model": "owl"}}})
        answer = m.ask("again")
        assert (answer.text(), answer.provider, answer.model) == ("again", "other", "owl")

    async def ask() -> str:
        async with AsyncMissy.open() as m:
            return await m.ask("and again").text()

    assert asyncio.run(ask()) == "and again"
