"""The configuration as a value: which entry is meant, what it may reach, what it never shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from missy.config import fields, section_fields
from missy.config.positions import SourceMap
from missy.config.presets import PRESETS
from missy.config.schema import Entry
from missy.config.section_schema import AuditFiles, BatchFiles, Budget, Conversation, Keep, Network
from missy.errors import ConfigError, UsageError
from missy.kinds import KINDS
from missy.policy import Endpoint, Policy, parse
from tests.configuration import ENTRY, Config, build, entry, json_schema

ALL_KINDS = {
    "openai": ("https://api.openai.com/v1",),
    "openai-codex": ("https://chatgpt.com/backend-api/codex", "https://auth.openai.com"),
    "chatgpt": ("https://api.openai.com/v1", "https://auth.openai.com"),
    "local": (),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_the_endpoints_of_the_contract(kind):
    """What an entry may reach by itself is fixed by its kind where the entry does not say otherwise."""
    assert entry("x", kind).endpoints == ALL_KINDS[kind]


def test_an_entry_shows_no_key():
    """Neither repr nor str of an entry or a configuration has the key in it."""
    one = entry("a", api_key="hunter2hunter2", api_keys=("hunter2hunter3",))
    assert "hunter2" not in f"{one!r}{one}{Config(path=None, providers={'a': one})!r}"


def test_an_entry_that_is_named_is_binding(loaded):
    """Unknown: an error with the nearest name. Disabled: an error with its line. Never another entry."""
    config = loaded(
        "providers:\n  groq: {base_url: https://api.groq.com/openai/v1}\n  off: {enabled: false}\n"
    )
    assert config.entry("groq").entry == "groq"
    with pytest.raises(UsageError) as unknown:
        config.entry("grok")
    assert (unknown.value.exit_code, unknown.value.hint) == (2, "did you mean groq?")
    with pytest.raises(UsageError, match=r"'off' is disabled .*config\.yaml:3"):
        config.entry("off")
    with pytest.raises(UsageError) as far:
        config.entry("zzz")
    assert far.value.hint == "the entries are: groq, off, local"
    with pytest.raises(UsageError):
        config.entry("")


def test_the_default_is_the_named_or_the_first_enabled_entry(loaded):
    """File order decides; a default that is disabled is an error when it is used, not another entry."""
    entries = "providers: {off: {enabled: false}, b: {}, a: {}}\n"
    assert loaded(entries).entry().entry == loaded(entries).default == "b"
    assert loaded("default_provider: a\n" + entries).entry().entry == "a"
    with pytest.raises(UsageError, match="'off' is disabled"):
        loaded("default_provider: 'off'\n" + entries).entry()
    with pytest.raises(UsageError, match="every provider in"):
        loaded("providers: {a: {enabled: false}}\n").entry()


def test_without_entries_the_error_says_what_to_do(loaded, tmp_path):
    """One line names both ways on: a key, or the model on this machine."""
    for config in (Config(tmp_path / "none.yaml"), loaded("")):
        for name in (None, "openai"):
            with pytest.raises(UsageError) as caught:
                config.entry(name)
            assert "missy setup" in caught.value.hint
            assert "missy ask --provider local" in caught.value.hint


def test_local_needs_no_entry(loaded, tmp_path):
    """`--provider local` works without a configuration; an entry of that name is used if there is one."""
    assert Config(tmp_path / "none.yaml").entry("local") == entry("local", "local")
    assert loaded("default_provider: local\n").entry().kind == "local"
    assert loaded("providers: {local: {model_path: /x.gguf}}\n").entry("local").model_path == "/x.gguf"
    with pytest.raises(UsageError, match="disabled"):
        loaded("providers: {local: {enabled: false}}\n").entry("local")


def test_the_rules_are_the_enabled_entries_and_the_network(loaded):
    """The policy is given what the file says, and decides by it."""
    config = loaded(
        "providers: {openai: {}, lan: {base_url: 'http://127.0.0.1:8080/v1/'}, laptop: {name: local},"
        " x: {base_url: 'https://x.example', enabled: false}}\n"
        "network: {presets: [groq], allowed_hosts: [a.example], tool_allowed_hosts: [t.example], allowed_domains: [d.example]}\n"
    )
    rules = config.rules()
    assert rules.endpoints == (
        Endpoint("https://api.openai.com/v1", "openai"),
        Endpoint("http://127.0.0.1:8080/v1", "lan"),
    )
    assert rules.preset_hosts == (("groq", "api.groq.com"),)
    policy = Policy(rules)
    assert policy.decide(parse("https://api.openai.com/v1/models")).rule == "entry:openai"
    assert policy.decide(parse("http://127.0.0.1:8080/v1/models")).rule == "entry:lan"
    assert policy.decide(parse("https://api.groq.com/")).rule == "preset:groq"
    assert policy.decide(parse("https://t.example/"), "tool").rule == "tool_allowed_hosts"
    assert not policy.decide(parse("https://x.example/")).allowed
    assert not policy.decide(parse("http://127.0.0.1:8081/")).allowed


def test_every_preset_is_something_that_the_policy_can_read(loaded):
    """All presets at once make a policy in which each of their hosts is allowed by its preset."""
    config = loaded(
        f"network: {{presets: [{', '.join(PRESETS)}], allowed_cidrs: [127.0.0.0/8, '::1/128']}}\n"
    )
    policy = Policy(config.rules())
    for name, preset in PRESETS.items():
        for host in preset.hosts:
            scheme = "http" if host.startswith(("localhost", "127.", "[")) else "https"
            assert policy.decide(parse(f"{scheme}://{host}/")).rule == f"preset:{name}"


def defaults_of(owner: Any) -> dict[str, Any]:
    """The values of a section, or of an entry, that is empty in the file."""
    if issubclass(owner, tuple):
        return owner._field_defaults
    return {field.name: field.default for field in dataclasses.fields(owner)}


@pytest.mark.parametrize(
    ("owner", "table"),
    [
        (Entry, ENTRY),
        (Network, section_fields.NETWORK),
        (Budget, section_fields.BUDGET),
        (Keep, section_fields.SESSIONS),
        (Conversation, section_fields.RUN),
        (AuditFiles, section_fields.AUDIT),
        (BatchFiles, section_fields.BATCH),
    ],
)
def test_the_table_has_every_key_once_and_its_check_takes_the_default(owner, table):
    """Structure, validation and JSON Schema cannot drift apart."""
    defaults = defaults_of(owner)
    assert sorted(field.name for field in table if field.name != "name") == sorted(
        defaults.keys() - {"entry", "spec", "line"}
    )
    for field in table:
        default = defaults.get(field.name)
        plain = dict if field.name in ("headers", "query") else list
        assert field.check(plain(default) if isinstance(default, tuple) else default) == default


def test_the_json_schema_is_closed_and_describes_every_key():
    """Nothing additional is allowed at any level; each key has a description, a type and a default."""
    schema = json_schema()
    properties = schema["properties"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert sorted(properties) == sorted(fields.SECTIONS)
    for section in (
        properties["providers"]["additionalProperties"],
        properties["network"],
        properties["budget"],
    ):
        assert section["additionalProperties"] is False
        for fragment in section["properties"].values():
            assert {"description", "default"} < fragment.keys()
            assert "type" in fragment or "enum" in fragment


def test_the_keys_of_one_kind_are_keys():
    """The table of kinds names only kinds and keys that exist."""
    assert all(name == kind.name for name, kind in KINDS.items())
    assert {key for kind in KINDS.values() for key in kind.keys} <= {field.name for field in ENTRY}


def test_data_without_lines_is_checked_as_well(tmp_path):
    """What is to be written can be checked before there is a file."""
    source_map = SourceMap(tmp_path / "config.yaml")
    assert build({"providers": {"a": {}}}, source_map).providers["a"].kind == "openai"
    with pytest.raises(ConfigError, match="did you mean timeout"):
        try:
            build({"providers": {"a": {"timout": 1}}}, source_map)
        except ConfigError as error:
            raise ConfigError(error.hint) from error
