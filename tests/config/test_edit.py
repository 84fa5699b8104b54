"""Edits by commands: what was not to change stays byte for byte, nothing is lost, nothing broken is written."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.config.positions import SourceMap
from missy.config.yaml_edit import same
from missy.config.yaml_reader import parse
from missy.errors import ConfigError, MissyError, UsageError
from missy.services import named
from tests.configuration import backups, edit, load, template

HAND = """\
# my config -- do not touch

default_provider: "openai"   # the good one
providers:
    openai:          # paid by work
        model: 'gpt-4o'
        api_keys:
        - $FIRST     # old
        - "$SECOND"
        # third is gone

    # groq:
    #     name: openai
    lab:
        name:   openai
        base_url: http://127.0.0.1:8080/v1  # the box under the desk
        timeout: 1.5

network: {default_deny: true,   presets: [openai,groq], allowed_hosts: []}   # keep
# the end
"""


def data_of(text: str) -> Any:
    """What a text says, by the reader that the configuration uses."""
    return parse(text.removeprefix("\ufeff"), SourceMap(Path("config.yaml")))


def write(home: Path, text: str) -> Path:
    """A configuration written by hand."""
    home.mkdir(mode=0o700, exist_ok=True)
    path = home / "config.yaml"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    return path


def changed_lines(old: str, new: str) -> tuple[list[str], list[str]]:
    """The lines that only the old text has, and those that only the new one has, between equal heads and tails."""
    one, other = old.splitlines(keepends=True), new.splitlines(keepends=True)
    while one and other and one[0] == other[0]:
        one.pop(0), other.pop(0)
    while one and other and one[-1] == other[-1]:
        one.pop(), other.pop()
    return one, other


def test_one_value_changes_one_line(home: Path) -> None:
    """Switching the default provider changes its line alone, and keeps its quotes and its comment."""
    path = write(home, HAND)
    assert edit.set_default(path, "lab")
    gone, new = changed_lines(HAND, path.read_text())
    assert gone == ['default_provider: "openai"   # the good one\n']
    assert new == ['default_provider: "lab"      # the good one\n']
    assert load(path).default_provider == "lab"


def test_a_new_entry_is_indented_like_its_siblings(home: Path) -> None:
    """An entry is added with the file's own indentation, and every line that was there stays."""
    path = write(home, HAND)
    edit.add_entry(
        path, "cloud", {"name": "openai", "base_url": "https://api.example/v1", "api_keys": ["$K"]}
    )
    gone, new = changed_lines(HAND, path.read_text())
    assert gone == []
    assert new == [
        "    cloud:\n",
        "        name: openai\n",
        "        base_url: https://api.example/v1\n",
        "        api_keys: [$K]\n",
    ]


def test_a_replaced_entry_keeps_what_stays_the_same(home: Path) -> None:
    """--force changes, adds and removes the keys of an entry one by one: comments on the others live on."""
    path = write(home, HAND)
    entry = {"name": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "q"}
    edit.edit(path, lambda data: edit.put_entry(data, "lab", entry, force=True))
    gone, new = changed_lines(HAND, path.read_text())
    assert gone == [
        "        base_url: http://127.0.0.1:8080/v1  # the box under the desk\n",
        "        timeout: 1.5\n",
    ]
    assert new == [
        "        base_url: http://127.0.0.1:9/v1     # the box under the desk\n",
        "        model: q\n",
    ]


def test_an_entry_that_exists_is_not_touched(home: Path) -> None:
    """Without force an entry that exists is a usage error, and the file stays as it was."""
    path = write(home, HAND)
    with pytest.raises(UsageError, match="'lab' already") as caught:
        edit.add_entry(path, "lab", {"name": "openai"})
    assert "--force" in caught.value.hint
    assert path.read_text() == HAND
    assert backups.find(path) == []


def test_an_unknown_default_is_refused(home: Path) -> None:
    """The default can only be an entry that exists."""
    path = write(home, HAND)
    with pytest.raises(UsageError, match="no entry 'nope'"):
        edit.set_default(path, "nope")
    assert path.read_text() == HAND


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        ("network.proxy", "http://p.example:1", "proxy: 'http://p.example:1'}   # keep"),
        ("network.allowed_hosts", ["a.example"], "allowed_hosts: [a.example]}   # keep"),
        ("network.presets", ["openai", "groq", "together"], "presets: [openai,groq, together]"),
        ("network.presets", ["groq"], "presets: [groq]"),
        ("network.presets", ["openai"], "presets: [openai]"),
        ("network.presets", [], "presets: []"),
        ("providers.openai.api_keys", ["$FIRST", "$NEW"], '        - "$NEW"\n        # third'),
        ("providers.openai.api_keys", ["$FIRST"], "        - $FIRST     # old\n"),
        (
            "providers.openai.api_keys",
            ["$FIRST", "$SECOND", "$X"],
            "        # third is gone\n        - $X\n\n",
        ),
        ("providers.openai.api_keys", [], "        api_keys: []\n"),
        ("providers.lab.timeout", 3, "timeout: 3\n"),
        ("providers.lab.deadline", 60.5, "deadline: 60.5\n"),
        (["providers", "lab", "enabled"], False, "        enabled: false\n"),
    ],
)
def test_each_way_of_writing_is_changed_in_its_own_way(home: Path, keys: Any, value: Any, line: str) -> None:
    """Flow and block lists, quotes and numbers are changed where they stand."""
    path = write(home, HAND)
    edit.set_value(path, keys, value)
    assert line in path.read_text()
    assert "# the end\n" in path.read_text()
    found = data_of(path.read_text())
    for key in keys.split(".") if isinstance(keys, str) else keys:
        found = found[key]
    assert same(found, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        "# no newline at the end",
        "---\n",
        "providers:\n",
        "providers: {}   # none yet\n",
        "providers: null\n",
        '{"providers": {"x": {"name": "openai"}}}',
        "{}\n",
        "providers:\r\n  x:\r\n    name: openai  # c\r\n",
        "\ufeffproviders:\n  x: {name: openai}\n",
        "\ufeff# heading\nproviders:\n  x: {name: openai}",
        "network: {proxy: null}\nproviders: {x: {name: openai},}\n",
        "providers:\n  x:\n    api_key: |-\n      $KEY\n\n\nnetwork:\n  presets:\n  - groq\n",
        "providers:\n  x: &a\n    name: openai\n  y: *a\n",
    ],
)
def test_an_entry_can_be_added_to_any_file(home: Path, text: str) -> None:
    """Empty files, JSON, CRLF, a BOM, no last newline, flow style, block scalars, anchors: all can be added to."""
    path = write(home, text)
    before = data_of(text) or {}
    edit.add_entry(path, "new", {"name": "openai", "model": "m: 1 # x"})
    edit.set_default(path, "new")
    after = path.read_bytes().decode()
    found = data_of(after)
    assert found["default_provider"] == "new"
    assert found["providers"].pop("new") == {"name": "openai", "model": "m: 1 # x"}
    assert same(found["providers"], before.get("providers") or {})
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in text) <= (after.count("\n") == after.count("\r\n"))
    assert not text or text == "---\n" or text.endswith("\n") == after.endswith("\n")
    assert load(path).entry().entry == "new"


def test_a_missing_file_starts_as_the_template(home: Path) -> None:
    """The first edit writes the commented template with the change in it, 0600, and makes no backup."""
    path = home / "config.yaml"
    edit.add_entry(path, "mine", {"name": "openai", "api_key": "$GROQ_API_KEY"})
    gone, new = changed_lines(template(), path.read_text())
    assert gone == []
    assert new == ["  mine:\n", "    name: openai\n", "    api_key: $GROQ_API_KEY\n"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert backups.find(path) == []


def test_no_change_writes_nothing(home: Path) -> None:
    """A change that changes nothing leaves the very same file, and no backup."""
    path = write(home, HAND)
    before = path.stat()
    assert not edit.set_default(path, "openai")
    assert not edit.edit(path, lambda data: None)
    assert path.stat().st_ino == before.st_ino
    assert backups.find(path) == []


def test_a_broken_file_is_not_edited(home: Path) -> None:
    """A file that cannot be loaded is refused with its line, and stays."""
    text = "providers:\n  x:\n    timeout: -5\n"
    path = write(home, text)
    with pytest.raises(ConfigError, match=r"config\.yaml:3: providers\.x\.timeout"):
        edit.set_default(path, "x")
    assert path.read_text() == text


def test_a_change_that_would_break_it_is_not_written(home: Path) -> None:
    """What the configuration does not allow is an error that names key and line, and nothing is written."""
    path = write(home, HAND)
    with pytest.raises(ConfigError, match=r"providers\.lab\.timeout"):
        edit.set_value(path, "providers.lab.timeout", -5)
    with pytest.raises(ConfigError, match="colour"):
        edit.set_value(path, "network.colour", "blue")
    with pytest.raises(UsageError, match="not a section"):
        edit.set_value(path, "default_provider.x", 1)
    assert path.read_text() == HAND
    assert backups.find(path) == []


def test_a_tab_behind_a_colon_is_told_and_left(tmp_path: Path) -> None:
    """The reader takes it, the editor does not: an error that names the line, and the file as it was."""
    path = tmp_path / "config.yaml"
    path.write_text("providers:\n  one:\t# mine\n    name: openai\n")
    assert load(path).providers.keys() == {"one"}
    with pytest.raises(ConfigError, match="cannot be changed by a command: line 2"):
        edit.add_entry(path, "two", {"name": "openai"})
    assert path.read_text() == "providers:\n  one:\t# mine\n    name: openai\n"


def test_what_an_alias_shares_is_refused(home: Path) -> None:
    """A value that stands in two places through an alias cannot be changed in one; the hint is to do it by hand."""
    text = "providers:\n  x: &a\n    name: openai\n    model: m\n  y: *a\n"
    path = write(home, text)
    for name in "xy":
        with pytest.raises(ConfigError, match="cannot be changed by a command") as caught:
            edit.set_value(path, f"providers.{name}.model", "other")
        assert "by hand" in caught.value.hint
    assert path.read_text() == text


@pytest.mark.parametrize("make", ["hardlink", "folder", "fifo"])
def test_it_is_never_written_through(home: Path, make: str) -> None:
    """A FIFO or a folder is refused; another name of a hard-linked file keeps the old content."""
    home.mkdir(mode=0o700)
    path, other = home / "config.yaml", home / "other.yaml"
    other.write_text(HAND)
    other.chmod(0o600)
    if make == "hardlink":
        os.link(other, path)
        edit.set_default(path, "lab")
        assert load(path).default_provider == "lab"
    else:
        actions = {
            "folder": path.mkdir,
            "fifo": lambda: os.mkfifo(path),
        }
        actions[make]()
        with pytest.raises(MissyError):
            edit.set_default(path, "lab")
    assert other.read_text() == HAND


# -- properties ----------------------------------------------------------------------------------------------------

_names = st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True).filter(
    # An entry that is named after a service must have a base_url, which these have not.
    lambda name: name not in ("y", "n", "on", "no", "off", "yes", "null", "true", "false") and not named(name)
)
_words = st.one_of(
    st.text(
        st.characters(
            codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(
        [
            "yes",
            "1",
            "1e3",
            "null",
            "~",
            "a: b",
            "#x",
            "- x",
            "[a",
            "{b}",
            "'q'",
            '"d"',
            "x #y",
            "0x1f",
            "2026-01-01",
            "*a",
            "&a",
            "!t",
            "%",
            "@",
            "`",
            "a,b",
            "1:30",
            "|",
            "> ",
            " lead",
            "trail ",
            "=",
            "<<",
            "...",
            "---",
            "\\n",
            "é",
        ]
    ),
)
_models = _words.filter(lambda word: word.strip() == word and word.isprintable())
_entries = st.fixed_dictionaries(
    {"name": st.just("openai")},
    optional={
        "model": st.one_of(st.none(), _models),
        "timeout": st.one_of(st.integers(1, 900), st.floats(0.5, 900)),
        "max_retries": st.integers(0, 5),
        "enabled": st.booleans(),
        "api_keys": st.lists(
            st.sampled_from(["$ONE", "$TWO", "$THREE", "literal-key"]), max_size=3, unique=True
        ),
    },
)
_configs = st.dictionaries(_names, _entries, min_size=1, max_size=3)


class Scribe:
    """Writes a configuration as a person might: comments anywhere, any quotes, any indentation."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.step = draw.choice([1, 2, 3, 4, 8])
        self.newline = draw.choice(["\n", "\n", "\r\n"])
        self.comments = 0

    def comment(self) -> str:
        self.comments += 1
        return f"# note {self.comments}: 'it' \"is\" - {{x}}: [y]"

    def scalar(self, value: Any) -> str:
        if isinstance(value, str):
            quotes = self.draw.randrange(3)
            if quotes == 0:
                return "'" + value.replace("'", "''") + "'"
            if quotes == 1:
                return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        from missy.config.yaml_edit import inline

        return inline(value)

    def tail(self) -> str:
        return self.draw.choice(["", "", "  " + self.comment(), "   "])

    def mapping(self, value: dict[str, Any], column: int) -> list[str]:
        lines = []
        for key, item in value.items():
            pad = " " * column
            lines += self.draw.choice([[], [], [""], [pad + self.comment()], ["", pad + self.comment(), ""]])
            if isinstance(item, dict) and item:
                if self.draw.random() < 0.2:
                    inner = ", ".join(f"{k}: {self.flow(v)}" for k, v in item.items())
                    lines.append(f"{pad}{key}: {{{inner}}}{self.tail()}")
                else:
                    lines.append(f"{pad}{key}:{self.tail()}")
                    lines += self.mapping(item, column + self.step)
            elif isinstance(item, list) and item and self.draw.random() < 0.6:
                inset = self.draw.choice([0, self.step])
                lines.append(f"{pad}{key}:{self.tail()}")
                for one in item:
                    lines += self.draw.choice([[], [], [pad + " " * inset + self.comment()]])
                    lines.append(f"{pad}{' ' * inset}- {self.scalar(one)}{self.tail()}")
            else:
                lines.append(f"{pad}{key}: {self.flow(item)}{self.tail()}")
        return lines

    def flow(self, value: Any) -> str:
        if isinstance(value, list):
            return "[" + self.draw.choice([",", ", ", " , "]).join(map(self.scalar, value)) + "]"
        return self.scalar(value)

    def write(self, data: dict[str, Any]) -> str:
        lines = [self.comment(), "", *self.mapping(data, 0), *self.draw.choice([[], ["", self.comment()]])]
        return self.newline.join(lines) + self.draw.choice(["", self.newline])


def scribbled(providers: dict[str, Any], seed: int) -> str:
    """A text that says `providers` and a network section, in some hand."""
    data: dict[str, Any] = {"providers": providers, "network": {"presets": ["groq", "openai"], "proxy": None}}
    if seed % 2:
        data["default_provider"] = next(iter(providers))
    text = Scribe(random.Random(seed)).write(data)
    assert same(data_of(text), data), text
    return text


@settings(max_examples=100)
@given(_configs, st.integers(0, 1 << 30), _names, _entries)
def test_an_addition_only_adds_lines(
    providers: dict[str, Any], seed: int, name: str, entry: dict[str, Any]
) -> None:
    """Adding an entry to any file leaves every byte that was there, and the result reads as it should."""
    text = scribbled(providers, seed)
    if name in providers:
        return
    after = edit.apply(Path("config.yaml"), text, lambda data: edit.put_entry(data, name, entry))
    expected = data_of(text)
    expected["providers"][name] = entry
    assert same(data_of(after), expected), after
    left = iter(after.splitlines())
    assert all(line in left for line in text.splitlines() if not line.startswith("providers: {")), after


@settings(max_examples=100)
@given(_configs, st.integers(0, 1 << 30), _models)
def test_a_scalar_changes_one_line(providers: dict[str, Any], seed: int, model: str) -> None:
    """Setting a value of one entry changes or adds one line, whatever the value, and nothing else."""
    text = scribbled(providers, seed)
    name = list(providers)[seed % len(providers)]
    after = edit.apply(Path("config.yaml"), text, lambda data: data["providers"][name].update(model=model))
    expected = data_of(text)
    expected["providers"][name]["model"] = model
    assert same(data_of(after), expected), after
    gone, new = changed_lines(text, after)
    assert len(gone) <= 1 + (not text.endswith("\n")), (gone, new)
    assert len(new) <= 1 + (not text.endswith("\n")), (gone, new)


@settings(max_examples=100)
@given(
    _configs,
    _configs,
    st.integers(0, 1 << 30),
    st.lists(st.sampled_from(["groq", "openai", "together", "ollama"]), unique=True),
)
def test_any_configuration_becomes_any_other(
    old: dict[str, Any], new: dict[str, Any], seed: int, presets: list[str]
) -> None:
    """Whatever is changed, the result reads as wanted; comments outside of what was removed survive."""
    text = scribbled(old, seed)
    new = {**{name: entry for name, entry in old.items() if len(name) % 2}, **new}

    def change(data: dict[str, Any]) -> None:
        data["providers"] = new
        data["network"]["presets"] = presets
        data.pop("default_provider", None)

    after = edit.apply(Path("config.yaml"), text, change)
    found = data_of(after)
    assert same(found["providers"], new), after
    assert same(found["network"], {"presets": presets, "proxy": None}), after
    kept = [line for line in text.splitlines() if line.startswith("#")]
    left = iter(after.splitlines())
    assert all(line in left for line in kept), after


# -- processes -----------------------------------------------------------------------------------------------------

ADD = """
import sys
from pathlib import Path
from missy.config import edit
from missy.kinds import KINDS
for number in range(int(sys.argv[2])):
    edit.add_entry(Path(sys.argv[1]), f"e{sys.argv[3]}-{number}", {"name": "openai", "model": "m"}, KINDS)
    print(number, flush=True)
"""


def adders(path: Path, processes: int, each: int) -> list[subprocess.Popen[bytes]]:
    """Processes that add entries to one file, all at once."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(path), str(each), str(number)], stdout=subprocess.PIPE
        )
        for number in range(processes)
    ]


@pytest.mark.race
def test_a_hundred_concurrent_edits_are_all_there(home: Path) -> None:
    """Ten processes that add ten entries each, at once, lose none, and the hand-written lines stay."""
    path = write(home, HAND)
    for process in adders(path, 10, 10):
        process.communicate(timeout=120)
        assert process.returncode == 0
    config = load(path)
    assert {f"e{one}-{other}" for one in range(10) for other in range(10)} <= set(config.providers)
    left = iter(path.read_text().splitlines())
    assert all(line in left for line in HAND.splitlines())
    assert len(backups.find(path)) == backups.KEPT


@pytest.mark.race
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_file(home: Path) -> None:
    """SIGKILL between edits: what was reported as written is there, at most one more, and the file loads."""
    path = write(home, HAND)
    for turn in range(6):
        (process,) = adders(path, 1, 1000)
        assert process.stdout
        done = [process.stdout.readline() for _ in range(1 + turn * 2)]
        process.send_signal(signal.SIGKILL)
        reported = len(done) + len(process.stdout.read().splitlines())
        process.stdout.close()
        process.wait(60)
        written = len(load(path).providers) - 2
        assert reported <= written <= reported + 1
        path.write_text(HAND)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("call", "times"), [("openat", 8), ("write", 2), ("fsync", 4), ("/^rename", 2)])
def test_a_kill_at_each_system_call_leaves_the_old_or_the_new_file(home: Path, call: str, times: int) -> None:
    """Killed at each write of the file and of its backup, the file is the old or the new one, and edits go on."""
    path = write(home, HAND)
    only = ["-P", str(home)] if call == "openat" else []  # all the others happen in the edit alone
    kills = 0
    for nth in range(1, times + 1):
        strace = ["strace", "-f", "-o", "/dev/null", *only, "-e", f"inject={call}:signal=KILL:when={nth}"]
        command = [*strace, sys.executable, "-B", "-c", ADD, str(path), "1", "k"]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if b"ptrace" in done.stderr.lower():
            pytest.skip("strace may not trace here")
        kills += done.returncode != 0
        text = path.read_text()
        if text != HAND:
            assert "ek-0" in load(path).providers
            path.write_text(HAND)
    assert kills == times
    edit.set_default(path, "lab")
    assert load(path).default_provider == "lab"


@pytest.mark.parametrize("key", ["allowed_hosts", "tool_allowed_hosts"])
def test_a_list_that_two_keys_share_is_not_changed_under_one_of_them(key, tmp_path):
    """Neither at the anchor, where the other key would change with it, nor at the alias."""
    path = tmp_path / "config.yaml"
    text = "network:\n  allowed_hosts: &hosts [a.example.com]\n  tool_allowed_hosts: *hosts\nproviders: {a: {api_key: $K}}\n"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be changed by a command"):
        edit.edit(path, lambda data: data["network"][key].append("b.example.com"))
    assert path.read_text() == text
