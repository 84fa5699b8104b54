"""`missy config set|unset` from outside: one key, checked before it is written, and the rest byte for byte."""

from __future__ import annotations

import json
import threading

import pytest
import yaml

from tests.command import Command
from tests.configuration import load

FILE = """\
# mine
default_provider: groq   # the fast one

providers:
  groq:
    base_url: https://api.groq.com/openai/v1
    model: llama   # the big one
    timeout: 20

  # a server here
  my.box:
    base_url: "http://127.0.0.1:9/v1"
    model: any
network: {allowed_hosts: [a.example], proxy: null}
"""


def fails(missy: Command, *args: str) -> str:
    """Run what is refused: exit 2, two lines, and the file is as it was with no backup made; returns the lines."""
    path = missy.home / "config.yaml"
    before = path.read_bytes() if path.exists() else None
    names = sorted(one.name for one in missy.home.glob("*.bak-*"))
    ran = missy.inside("config", *args)
    assert (ran.code, ran.out) == (2, b""), ran.err
    assert len(ran.err.splitlines()) == 2, ran.err
    assert (path.read_bytes() if path.exists() else None) == before
    assert sorted(one.name for one in missy.home.glob("*.bak-*")) == names
    return ran.err


@pytest.mark.parametrize(
    ("args", "old", "new"),
    [
        (("providers.groq.model", "m2"), "model: llama   # the big one", "model: m2      # the big one"),
        (("providers.groq.timeout", "45.5"), "timeout: 20\n", "timeout: 45.5\n"),
        (("providers.groq.enabled", "false"), "timeout: 20\n", "timeout: 20\n    enabled: false\n"),
        (
            ("providers.groq.api_key", "$MY_KEY"),
            "timeout: 20\n",
            "timeout: 20\n    api_key: $MY_KEY\n",
        ),
        (
            ("providers.groq.api_keys", "$ONE, vault://two"),
            "timeout: 20\n",
            "timeout: 20\n    api_keys: [$ONE, 'vault://two']\n",
        ),
        (("providers.my.box.model", "true"), "model: any", "model: 'true'"),
        (('providers."my.box".model', "m2"), "model: any", "model: m2"),
        (("default_provider", "my.box"), "groq   # the", "my.box  # the"),
        (("network.allowed_hosts", "b.example,[::1]:8"), "[a.example]", "[b.example, '[::1]:8']"),
        (("network.allowed_hosts", "[b.example]"), "[a.example]", "[b.example]"),
        (("network.allowed_hosts", ""), "[a.example]", "[]"),
        (("network.proxy", "http://127.0.0.1:3128"), "proxy: null", "proxy: 'http://127.0.0.1:3128'"),
    ],
)
def test_set_changes_its_own_characters(missy, args, old, new):
    """One value changes; every other byte stays, comments too, and the file of before is kept."""
    path = missy.config(FILE)
    ran = missy.inside("config", "set", *args)
    assert ran.code == 0, ran.err
    text = path.read_text()
    assert text.replace('"', "'") == FILE.replace(old, new).replace('"', "'")
    assert path.stat().st_mode & 0o777 == 0o600
    (backup,) = missy.home.glob("config.yaml.bak-*")
    assert backup.read_text() == FILE
    assert missy.inside("config", "validate").code == 0


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("tools.use", "read,list", {"use": ["read", "list"]}),
        ("tools.allow", "run: git status", {"allow": ["run: git status"]}),
        ("tools.limits.rounds", "5", {"limits": {"rounds": 5}}),
        ("tools.sandbox.network", "tool", {"sandbox": {"network": "tool"}}),
        ("serve.entries", "[local]", {"entries": ["local"]}),
        ("serve.listen", "127.0.0.1:9", {"listen": "127.0.0.1:9"}),
        ("serve.store", "$LEDGER_URL", {"store": "$LEDGER_URL"}),
        ("audit.keep", "5", {"keep": 5}),
        ("batch.keep_days", "30", {"keep_days": 30}),
    ],
)
def test_set_knows_the_keys_of_every_section(missy, key, value, written):
    """Keys of `tools`, `serve`, `audit` and `batch` are set and unset like any other, those of a part too."""
    missy.config("# mine\n")
    ran = missy.inside("config", "set", key, value)
    assert ran.code == 0, ran.err
    section = key.partition(".")[0]
    assert yaml.safe_load((missy.home / "config.yaml").read_text()) == {section: written}
    assert missy.inside("config", "validate").code == 0
    ran = missy.inside("config", "unset", key)
    assert ran.code == 0, ran.err


def test_set_takes_one_alias(missy):
    """One alias of the gateway is a key of its own, and its name may hold dots."""
    missy.config("serve: {entries: [local]}\n")
    ran = missy.inside("config", "set", "serve.aliases.fast-1.5", "local")
    assert ran.code == 0, ran.err
    told = yaml.safe_load((missy.home / "config.yaml").read_text())
    assert told == {"serve": {"entries": ["local"], "aliases": {"fast-1.5": "local"}}}


def test_set_changes_one_key_of_an_mcp_server(missy):
    """The keys of a server are set one by one, its variables too, and a reference may stand for its key."""
    for key, value in (
        ("mcp.time.command", "[mcp-server-time, --utc]"),
        ("mcp.time.seconds", "20"),
        ("mcp.time.env.LANG", "C"),
        ("mcp.time.env.API_TOKEN", "$TOKEN"),
        ("mcp.docs.url", "https://docs.example/mcp"),
        ("mcp.docs.key", "vault://docs"),
    ):
        ran = missy.inside("config", "set", key, value)
        assert ran.code == 0, ran.err
    written = {
        "time": {
            "command": ["mcp-server-time", "--utc"],
            "seconds": 20,
            "env": {"LANG": "C", "API_TOKEN": "$TOKEN"},
        },
        "docs": {"url": "https://docs.example/mcp", "key": "vault://docs"},
    }
    assert yaml.safe_load((missy.home / "config.yaml").read_text())["mcp"] == written
    assert missy.inside("config", "unset", "mcp.docs").code == 0
    del written["docs"]
    assert yaml.safe_load((missy.home / "config.yaml").read_text())["mcp"] == written


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (("tools.limits.round", "5"), "is not a key", "did you mean tools.limits.rounds?"),
        (("serve.entires", "local"), "is not a key", "did you mean serve.entries?"),
        (("rounds", "5"), "is not a key", "did you mean tools.limits.rounds?"),
        (
            ("serve.store", "postgresql://a:pw@h/d"),
            "cannot be an argument",
            "config set serve.store vault://NAME",
        ),
        (
            ("providers.groq.headers.Authorization", "Bearer sk-canary-1"),
            "cannot be an argument",
            "then: missy config set providers.groq.api_key vault://groq",
        ),
        (("providers.groq.modle", "x"), "is not a key", "did you mean providers.groq.model?"),
        (("providers.my.box.timout", "x"), "is not a key", "did you mean providers.my.box.timeout?"),
        (("network.alowed_hosts", "x"), "is not a key", "did you mean network.allowed_hosts?"),
        (("proxy", "x"), "is not a key", "did you mean network.proxy?"),
        (("model", "x"), "is not a key", "did you mean providers.ENTRY.model?"),
        (("defalt_provider", "x"), "is not a key", "did you mean default_provider?"),
        (("zzzz.qqq", "x"), "is not a key", "missy config schema"),
        (("a..b", "x"), "is not a key", "write it like"),
        (('providers."my.box".c', "x"), "is not a key", "did you mean"),
        (('providers."new.box".c', "x"), "is not a key", "did you mean"),
        (("providers.new.box", "{base_url: http://127.0.0.1:9/v1}"), "is not a key", "did you mean"),
        (("providers.groq.timeout", "-5"), "found -5", "missy config schema"),
        (("providers.groq.timeout", "[1"), "cannot be read as YAML", "write a list"),
        (("providers.groq.base_url", "nonsense"), "found 'nonsense'", "missy config schema"),
        (("default_provider", "grok"), "names no entry", "did you mean groq?"),
        (("network.presets", "openai,grok"), "found 'grok'", "did you mean groq?"),
        (("providers.groq", "null"), "found null", "indent"),
        (("network", "x"), "found 'x'", "missy config schema"),
        (("mcp.time.secnds", "5"), "is not a key", "did you mean mcp.time.seconds?"),
        (("mcp.time.tools.one", "5"), "is not a key", "did you mean mcp.time.tools?"),
        (("mcp.time.seconds", "5"), "neither command nor url", "command: [PROGRAM"),
        (("mcp.a__b.url", "https://a.example/mcp"), "the name of a server", "missy config schema"),
    ],
)
def test_a_wrong_key_or_value_changes_nothing(missy, args, said, hint):
    """Exit 2 with the nearest key, or with what is allowed; the file and its backups are as they were."""
    missy.config(FILE)
    what, todo = fails(missy, "set", *args).splitlines()
    assert said in what
    assert hint in todo


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("providers.groq.api_key", "gsk_CANARY0123"),
        ("providers.groq.api_keys", "$A,gsk_CANARY0123"),
        ("providers.groq.api_keys", "[gsk_CANARY0123]"),
        ("providers.new", "{base_url: http://127.0.0.1:1/v1, api_key: gsk_CANARY0123}"),
        ("providers", "{new: {api_keys: [gsk_CANARY0123]}}"),
        ("providers.groq.query.sig", "CANARY"),
        ("providers.groq.query", "{sig: CANARY}"),
        ("providers.groq.headers.x-credential", "CANARY"),
        ("providers.groq.headers.x-passwd", "CANARY"),
        ("providers.groq.headers.x-plain", "gsk_CANARY0123"),
        ("providers.new", "{base_url: http://127.0.0.1:1/v1, headers: {x-signature: CANARY}}"),
        ("mcp.docs.key", "CANARY"),
        ("mcp.docs", "{url: https://docs.example/mcp, key: CANARY}"),
        ("mcp.time.env.API_TOKEN", "CANARY"),
        ("mcp.time.env", "{PLAIN: gsk_CANARY0123}"),
        ("mcp", "{time: {command: [x], env: {API_TOKEN: CANARY}}}"),
    ],
)
def test_a_key_itself_is_refused_as_an_argument(missy, key, value):
    """Arguments are seen by other users and kept by the shell: the way is the vault, and the key is not shown."""
    missy.config(FILE)
    said = fails(missy, "set", key, value)
    assert "missy vault set" in said
    assert "CANARY" not in said


def test_a_reference_behind_a_scheme_is_set(missy):
    """`Bearer $NAME` names a variable, and holds no secret itself."""
    missy.config(FILE)
    assert missy.inside("config", "set", "providers.groq.headers.x-authorization", "Bearer $TOKEN").code == 0
    found = load(missy.home / "config.yaml").providers["groq"]
    assert found.headers == (("x-authorization", "Bearer $TOKEN"),)


def test_a_header_that_is_no_secret_is_set(missy):
    """What a header or a parameter is called decides, as it does when a request is sent: these hold no credential."""
    missy.config(FILE)
    for key in ("headers.x-portkey-provider", "query.api-version"):
        assert missy.inside("config", "set", f"providers.groq.{key}", "openai").code == 0, key
    found = load(missy.home / "config.yaml").providers["groq"]
    assert found.headers == (("x-portkey-provider", "openai"),)
    assert found.query == (("api-version", "openai"),)


def test_set_makes_what_is_missing_on_the_way(missy):
    """Without a file one is written, without the template's own entry; a new entry is reported, since it may be a typing mistake."""
    ran = missy.inside("config", "set", "providers.box.base_url", "http://127.0.0.1:9/v1")
    assert ran.code == 0
    assert "'box' is a new entry" in ran.err
    assert missy.inside("config", "set", "network.presets", "openai").code == 0
    config = load(missy.home / "config.yaml")
    assert list(config.providers) == ["box"]
    assert config.network.presets == ("openai",)


def test_quotes_name_a_new_entry_with_dots(missy):
    """Without quotes a dotted name is a key of an entry; with them it is the name of a new one."""
    missy.config(FILE)
    entry = "{base_url: http://127.0.0.1:9/v1, model: m}"
    assert missy.inside("config", "set", 'providers."new.box"', entry).code == 0
    assert missy.inside("config", "set", "providers.new.box.model", "m2").code == 0
    assert load(missy.home / "config.yaml").providers["new.box"].model == "m2"


def test_set_writes_the_file_that_is_named(missy):
    """--config names another file than MISSY_HOME's, which stays as it is."""
    path, other = missy.config(FILE), missy.home.parent / "other.yaml"
    other.write_text(FILE)
    other.chmod(0o600)
    assert missy.inside("--config", str(other), "config", "set", "providers.groq.model", "m2").code == 0
    assert path.read_text() == FILE
    assert "model: m2" in other.read_text()


def test_a_name_that_could_be_two_is_asked_about(missy):
    """Where a dotted name can be read in two ways, nothing is guessed: quotes decide."""
    missy.config({"providers": {"a": {"model": "x"}, "a.model": {"model": "y"}}})
    assert "quote the entry's name" in fails(missy, "unset", "providers.a.model")
    assert missy.inside("config", "unset", 'providers."a.model"').code == 0
    assert list(load(missy.home / "config.yaml").providers) == ["a"]


def test_unset_takes_the_lines_of_one_key(missy):
    """Its default holds again, and the rest stays byte for byte; a key that was not set is not an error."""
    path = missy.config(FILE)
    assert missy.inside("config", "unset", "providers.groq.timeout").code == 0
    assert path.read_text() == FILE.replace("    timeout: 20\n", "")
    again = missy.inside("config", "unset", "providers.groq.timeout")
    assert (again.code, "was not set" in again.err) == (0, True)
    assert missy.inside("config", "unset", "providers.my.box").code == 0
    assert list(load(path).providers) == ["groq"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("providers.nobody", "the entries are: groq, my.box"),
        ("providers.nobody.model", "the entries are: groq, my.box"),
        ("network.prxy", "did you mean network.proxy?"),
        ("providers.groq", "names no entry"),
    ],
)
def test_unset_of_what_cannot_be_missing_changes_nothing(missy, key, hint):
    """An unknown key or entry, and the entry that is the default, are exit 2."""
    missy.config(FILE)
    assert hint in fails(missy, "unset", key)


def test_a_broken_file_is_not_touched(missy):
    """A file that cannot be loaded is reported with its line, and nothing is written."""
    missy.config("providers:\n  groq: {modle: x}\n")
    assert "config.yaml:2: providers.groq.modle" in fails(missy, "set", "network.presets", "openai")


def test_many_at_once_lose_nothing(missy):
    """Each change is read, made and written under one lock."""
    missy.config(FILE)
    codes = {}

    def change(number: int) -> None:
        ran = missy(
            "config", "set", f"providers.new{number}.base_url", f"http://127.0.0.1:{9000 + number}/v1"
        )
        codes[number] = ran.code

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes.values()) == {0}
    entries = missy.inside("providers", "--json").json()
    assert {one["entry"] for one in entries} == {"groq", "my.box", *(f"new{number}" for number in range(8))}
    assert json.dumps(FILE.splitlines()[0]) == json.dumps(
        (missy.home / "config.yaml").read_text().splitlines()[0]
    )
