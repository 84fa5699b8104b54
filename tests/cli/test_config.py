"""`missy init`, `missy config` and `missy presets`, run as a user runs them."""

from __future__ import annotations

import os
import stat

import pytest

from missy.config.presets import PRESETS


def _modes(home):
    return {
        str(path.relative_to(home)): stat.S_IMODE(path.lstat().st_mode) for path in sorted(home.rglob("*"))
    } | {".": stat.S_IMODE(home.stat().st_mode)}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_init_makes_private_files_and_a_config_that_loads(missy, umask):
    """Folders 0700 and config.yaml 0600 under any umask; the file is right as it is."""
    done = missy("init", umask=umask)
    assert (done.code, done.err) == (0, "")
    assert _modes(missy.home) == {".": 0o700, "config.yaml": 0o600, "models": 0o700, "secrets": 0o700}
    assert "missy ask" in done.text
    checked = missy("config", "validate")
    assert (checked.code, checked.err) == (0, "")
    assert checked.text.startswith("ok: ")
    assert ": 1 provider (1 enabled), 0 network rules\n" in checked.text


def test_init_leaves_what_is_there(missy):
    """A second init changes no byte and says so."""
    file = missy.config("# mine\n")
    done = missy("init")
    assert done.code == 0
    assert f"left as it is: {file}" in done.text
    assert file.read_text() == "# mine\n"


def test_init_writes_where_config_says(missy, tmp_path):
    """--config and MISSY_CONFIG name another file, `~` expanded; a folder that is missing is made."""
    assert missy("--config", "~/work/missy.yaml", "init").code == 0
    file = missy.home.parent / "work" / "missy.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (missy.home / "config.yaml").exists()
    other = tmp_path / "other.yaml"
    assert missy("init", env={"MISSY_CONFIG": str(other)}).code == 0
    assert missy("config", "validate", env={"MISSY_CONFIG": str(other)}).code == 0


def test_init_follows_no_dangling_link(missy):
    """A link that leads nowhere is left as it is: nothing is written through it."""
    missy.home.mkdir(mode=0o700)
    (missy.home / "config.yaml").symlink_to(missy.home / "elsewhere.yaml")
    assert "left as it is" in missy("init").text
    assert not (missy.home / "elsewhere.yaml").exists()


def test_path_needs_no_config_that_is_right(missy):
    """Only the path is printed, whatever the file contains."""
    file = missy.config("not: [right")
    assert missy("config", "path").text == f"{file}\n"
    assert missy("config", "path", "--json").json() == {"path": str(file), "exists": True}
    assert missy("--config", "~/x.yaml", "config", "path").text == f"{missy.home.parent}/x.yaml\n"


def test_a_broken_config_is_exit_code_2_with_file_line_and_key(missy):
    """Nothing is on stdout; stderr has one line that says what, and one that says what to do."""
    file = missy.config("providers:\n  groq:\n    timout: 5\n")
    for command in ("show", "validate"):
        done = missy("config", command)
        assert (done.code, done.out) == (2, b"")
        what, hint = done.err.splitlines()
        assert what.startswith(f"missy: {file}:3: providers.groq.timout: unknown key; allowed ")
        assert hint == "  did you mean timeout?"
    report = missy("config", "validate", "--json")
    assert report.code == 2
    assert report.json()["ok"] is False
    place = {"file": str(file), "line": 3, "key": "providers.groq.timout"}
    assert place.items() <= report.json()["error"].items()


def test_show_masks_keys(missy):
    """No command that prints the configuration prints a key; a reference is shown by its name."""
    missy.config(
        {"providers": {"a": {"api_key": "hunter2hunter2"}, "b": {"api_keys": ["$B", "hunter2hunter3"]}}}
    )
    for options in ([], ["--json"]):
        done = missy("config", "show", *options)
        assert done.code == 0
        assert b"hunter2" not in done.out
        assert "hunter2" not in done.err
        assert "***" in done.text
        assert "$B" in done.text
    assert missy("config", "show", "--json").json()["providers"]["a"]["name"] == "openai"


def test_without_a_config_the_defaults_are_shown(missy):
    """A missing file is not an error, unless it was named."""
    done = missy("config", "show", "--json")
    assert (done.code, done.json()["providers"]) == (0, {})
    assert "these are the defaults" in done.err
    assert missy("config", "validate", "--json").json()["exists"] is False
    named = missy("--config", "none.yaml", "config", "validate")
    assert named.code == 2
    assert "there is no such file" in named.err


def test_warnings_are_notices(missy):
    """A key that others can read is warned about on stderr, and the command does its work."""
    file = missy.config({"providers": {"a": {"api_key": "hunter2hunter2"}}})
    os.chmod(file, 0o644)
    done = missy("config", "validate", "--json")
    assert done.code == 0
    assert done.json()["warnings"]
    assert "chmod 600" in done.err


def test_the_schema_is_json(missy):
    """It is printed whatever the file contains."""
    missy.config("not: [right")
    schema = missy("config", "schema").json()
    assert schema["additionalProperties"] is False
    assert "timeout" in schema["properties"]["providers"]["additionalProperties"]["properties"]


def test_presets_are_listed(missy):
    """Every preset with its hosts, as text and as JSON."""
    listed = missy("presets", "--json").json()
    hosts = {item["name"]: tuple(item["hosts"]) for item in listed}
    assert {name: found for name, found in hosts.items() if name != "azure"} == {
        n: p.hosts for n, p in PRESETS.items()
    }
    assert hosts["azure"] == ()  # each user has another
    text = missy("presets").text
    assert all(host in text for preset in PRESETS.values() for host in preset.hosts)


@pytest.mark.parametrize(
    "words", [["init"], ["config"], ["config", "show"], ["config", "validate"], ["presets"]]
)
def test_every_help_has_an_example(missy, words):
    """--help ends with something to type."""
    assert "Example:" in missy(*words, "--help").text
