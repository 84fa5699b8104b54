"""The file: what it may be, who may own it, and what a right one says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from missy.config.section_schema import Budget, Network
from missy.errors import ConfigError
from tests.configuration import entry, load

FULL = """\
default_provider: groq
providers:
  openai:
    name: openai
    model: gpt-4o
    api_key: null
    api_keys: []
    base_url: null
    timeout: 30
    deadline: null
    max_retries: 2
    enabled: true
  groq:
    name: openai
    model: llama-3.1-70b-versatile
    api_key: $GROQ_API_KEY
    base_url: https://api.groq.com/openai/v1/
    timeout: 2.5
    deadline: 120
  laptop:
    name: local
    model_path: ~/models/x.gguf
    fallback: []
budget: {day_usd: null, session_usd: null}
network:
  default_deny: true
  presets: [ollama]
  provider_allowed_hosts: ["[::1]:8000"]
  tool_allowed_hosts: [example.com]
  allowed_hosts: [api.example.com:8443]
  allowed_domains: ["*.example.org"]
  allowed_cidrs: [10.0.0.0/8]
  proxy: http://127.0.0.1:3128
  ca_bundle: roots.pem
"""


def test_a_full_file_means_what_it_says(loaded, tmp_path, monkeypatch):
    """Every key of the contract arrives, typed, with `~` expanded and relative paths at the file's folder."""
    monkeypatch.setenv("HOME", "/home/me")
    config = loaded(FULL)
    assert config.exists
    assert config.default_provider == config.default == "groq"
    assert list(config.providers) == ["openai", "groq", "laptop"]
    assert config.providers["openai"] == entry("openai", model="gpt-4o", line=3)
    groq = config.entry()
    assert (groq.api_key, groq.timeout, groq.deadline, groq.line) == ("$GROQ_API_KEY", 2.5, 120.0, 13)
    assert groq.endpoint == "https://api.groq.com/openai/v1"
    assert config.entry("laptop").model_path == "/home/me/models/x.gguf"
    assert config.entry("laptop").model is None
    assert config.budget == Budget()
    assert config.network == Network(
        default_deny=True,
        presets=("ollama",),
        provider_allowed_hosts=("[::1]:8000",),
        tool_allowed_hosts=("example.com",),
        allowed_hosts=("api.example.com:8443",),
        allowed_domains=("*.example.org",),
        allowed_cidrs=("10.0.0.0/8",),
        proxy="http://127.0.0.1:3128",
        ca_bundle=str(tmp_path / "roots.pem"),
    )
    assert config.warnings == ()


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# nothing\n", "---\n", "{}\n", "providers:\nnetwork:\nbudget:\n", "\ufeff# with a mark\n"],
)
def test_an_empty_file_is_a_configuration(loaded, text):
    """A file that says nothing, or sections with all keys commented out, is the default."""
    config = loaded(text)
    assert config.exists
    assert (config.providers, config.network, config.budget) == ({}, Network(), Budget())


def test_a_missing_file_is_a_configuration_that_says_so(tmp_path):
    """Without a file there are no entries, and `exists` is False."""
    config = load(tmp_path / "none.yaml")
    assert not config.exists
    assert config.providers == {}


def test_kind_and_model_have_the_defaults_of_the_contract(loaded):
    """The kind is the entry's name if that is one, else openai; the model gpt-4o for kind openai alone."""
    config = loaded("providers: {local: {}, openai: {}, other: {}, mine: {name: null, model: null}}\n")
    kinds = {name: (entry.kind, entry.model) for name, entry in config.providers.items()}
    assert kinds == {
        "local": ("local", None),
        "openai": ("openai", "gpt-4o"),
        "other": ("openai", "gpt-4o"),
        "mine": ("openai", "gpt-4o"),
    }


def test_null_and_empty_are_right_for_keys_of_other_kinds_and_of_later_versions(loaded):
    """What is not used may stand there empty."""
    entry = "{name: local, api_key: null, api_keys: [], base_url: null, issuer: null, fallback: []}"
    config = loaded(f"providers: {{laptop: {entry}}}\nbudget: {{day_usd: null}}\n")
    assert config.providers["laptop"].kind == "local"


def test_a_variable_that_is_not_set_stops_nothing(loaded):
    """References are text here: whether they resolve is asked when the entry is used."""
    config = loaded(
        "providers: {a: {api_key: $NO_SUCH_VARIABLE, enabled: false}, b: {api_keys: [$NO_SUCH_EITHER]}}\n"
    )
    assert config.providers["a"].api_key == "$NO_SUCH_VARIABLE"
    assert config.providers["b"].api_keys == ("$NO_SUCH_EITHER",)


def test_a_value_that_is_said_twice_by_an_alias_is_right(loaded):
    """Anchors and aliases are YAML; an error inside of one names the line that uses it."""
    config = loaded("providers:\n  a: &a {model: m}\n  b: *a\n")
    assert config.providers["b"].model == "m"
    with pytest.raises(ConfigError, match=r":3: providers\.b\.timeout: found 'x'"):
        loaded("providers:\n  a: {model: &x x}\n  b: {timeout: *x}\n")


def test_every_key_is_text(loaded):
    """An entry may have a name that YAML would read as a boolean or a number."""
    assert list(loaded("providers: {off: {}, 12: {}, 'on': {}}\n").providers) == ["off", "12", "on"]


def test_dates_and_odd_numbers_are_text(loaded):
    """A model may look like a date, an octal or a version: only null, booleans and decimal numbers are none."""
    for model in ("2024-11-20", "0x10", "010", "1_000", "1:30", "4.1.0", "="):
        assert loaded(f"providers: {{a: {{model: {model}}}}}\n").providers["a"].model == model


def test_json_is_a_configuration(loaded):
    """JSON is YAML."""
    assert loaded('{"providers": {"a": {"model": "m\\u00e9", "timeout": 1e1}}}').providers["a"].timeout == 10


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666, 0o777])
def test_a_file_that_others_can_change_is_refused(loaded, mode):
    """The error says chmod."""
    with pytest.raises(ConfigError, match=f"can be changed by other users \\(mode {mode:04o}\\)") as caught:
        loaded("providers: {}\n", mode)
    assert "chmod 600" in caught.value.hint


def test_a_key_that_others_can_read_is_warned_about(loaded):
    """A literal key in a file of mode 0644 brings a warning; a reference, or 0600, brings none."""
    literal, reference = "providers: {a: {api_keys: [hunter2hunter2]}}\n", "providers: {a: {api_key: $A}}\n"
    (warning,) = loaded(literal, 0o644).warnings
    assert "chmod 600" in warning
    assert "hunter2" not in warning
    assert loaded(literal, 0o600).warnings == loaded(reference, 0o644).warnings == ()


@pytest.mark.parametrize(
    "url", ["http://api.example/v1", "https://10.0.0.1/v1", "http://192.168.1.2:8000/v1"]
)
def test_an_entry_that_the_policy_will_refuse_is_warned_about(loaded, url):
    """It loads, since other entries work; the warning has the line and the policy's reason."""
    text = f"providers:\n  lan: {{base_url: '{url}'}}\n"
    (warning,) = loaded(text).warnings
    assert "config.yaml:2: providers.lan: " in warning
    assert "is refused" in warning
    assert loaded(text.replace("}", ", enabled: false}")).warnings == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path):
    """The owner decides what Missy does: so it must be oneself."""
    file = tmp_path / "config.yaml"
    file.write_text("providers: {}\n")
    os.chown(file, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        load(file)


def test_a_symlink_to_a_file_of_ones_own_is_followed(tmp_path):
    """Dotfiles are often kept elsewhere and linked."""
    real = tmp_path / "real.yaml"
    real.write_text("providers: {a: {}}\n")
    real.chmod(0o600)
    (tmp_path / "config.yaml").symlink_to(real)
    assert "a" in load(tmp_path / "config.yaml").providers


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """A folder, a FIFO without a writer, a dangling link, a file in place of a folder: an error, no waiting."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch(0o600)
    says = {
        ".": "is a folder",
        "fifo": "not a regular file",
        "dangling": "broken symbolic link",
        "file/x": "Not a directory",
    }
    for name, words in says.items():
        with pytest.raises(ConfigError, match=words) as caught:
            load(tmp_path / name)
        assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_cannot_be_read_is_an_error(loaded):
    """It is not taken for an empty one."""
    with pytest.raises(ConfigError, match="Permission denied"):
        loaded("providers: {}\n", 0o200)


def test_a_huge_file_is_refused(loaded):
    """One MiB is the limit, comments and all."""
    assert loaded("#" * (1 << 20)).exists
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        loaded("#" * ((1 << 20) + 1))


def test_the_path_may_be_anything_that_a_path_can_be(tmp_path: Path):
    """An odd path is named as it is."""
    file = tmp_path / "a b:c.yaml"
    file.write_text("x: 1\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"a b:c\.yaml:1: x: unknown key"):
        load(file)
