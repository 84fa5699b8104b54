"""Which key goes where: the rules as a table, and that no key ever leaves its own service by itself."""

from __future__ import annotations

import itertools

import pytest

from missy import services
from missy.errors import CredentialError
from missy.policy import parse
from missy.secrets.references import read
from missy.secrets.resolve import bound_elsewhere, choose, credentials, source_of, what_is_missing
from missy.secrets.shape import refuse_slips
from missy.services import OPENAI, SERVICES
from tests.configuration import entry as an_entry

GROQ, OTHER, HERE = "https://api.groq.com/openai/v1", "https://llm.example.com/v1", "http://127.0.0.1:8080/v1"
ALL = {name: f"key-of-{name}" for name in services.BOUND} | {"MINE_API_KEY": "key-of-mine"}

# name of the entry, base_url, what else it says, environment -> the source, or "" for none at all
TABLE = [
    ("openai", None, {}, ALL, "env:OPENAI_API_KEY"),
    ("openai", "https://api.openai.com/v1", {}, ALL, "env:OPENAI_API_KEY"),
    ("eu", "https://eu.api.openai.com/v1", {}, ALL, "env:OPENAI_API_KEY"),
    ("eu", "https://API.OpenAI.com:443/v1", {}, ALL, "env:OPENAI_API_KEY"),
    ("mine", "https://api.openai.com/v1", {}, ALL, "env:MINE_API_KEY"),
    ("mine", None, {}, ALL, "env:OPENAI_API_KEY"),  # nobody wrote that host, so MINE_API_KEY is not for it
    ("mine", None, {}, {"MINE_API_KEY": "k"}, ""),
    ("openai", GROQ, {}, ALL, "env:GROQ_API_KEY"),
    ("openai", GROQ, {}, {"OPENAI_API_KEY": "k"}, ""),
    ("openai", OTHER, {}, ALL, ""),
    ("openai", "https://api.openai.com.example.com/v1", {}, ALL, ""),
    ("openai", "https://notapi.openai.com/v1", {}, ALL, ""),
    ("openai", HERE, {}, ALL, "none"),
    ("groq", GROQ, {}, ALL, "env:GROQ_API_KEY"),
    ("groq", OTHER, {}, ALL, ""),
    ("groq", HERE, {}, ALL, "none"),
    ("groq", OTHER, {"api_key": "$GROQ_API_KEY"}, ALL, "env:GROQ_API_KEY"),
    ("groq", HERE, {"api_keys": ("$GROQ_API_KEY",)}, ALL, "env:GROQ_API_KEY"),
    ("GROQ", OTHER, {}, ALL, ""),
    ("fast", GROQ, {}, ALL, "env:GROQ_API_KEY"),
    ("anthropic", GROQ, {}, ALL, "env:GROQ_API_KEY"),
    ("anthropic", "https://api.anthropic.com/v1", {}, ALL, "env:ANTHROPIC_API_KEY"),
    ("google", "https://generativelanguage.googleapis.com/v1beta/openai", {}, ALL, "env:GOOGLE_API_KEY"),
    ("azure", "https://me.openai.azure.com/openai/v1", {}, ALL, "env:AZURE_API_KEY"),
    ("work", "https://me.openai.azure.com/openai/v1", {}, ALL, "env:AZURE_OPENAI_API_KEY"),
    ("azure", "https://me.azure-api.net/openai/v1", {}, ALL, ""),
    ("mine", OTHER, {}, ALL, "env:MINE_API_KEY"),
    ("mine", OTHER, {}, {"MINE_API_KEY": "  "}, ""),
    ("mine", HERE, {}, ALL, "env:MINE_API_KEY"),
    ("mine", OTHER, {"api_key": "literal-key"}, ALL, "config"),
    ("mine", OTHER, {"api_key": "vault://v"}, {}, "vault:v"),
    ("mine", OTHER, {"api_key": "keyring://k"}, {}, "keyring:k"),
    ("mine", OTHER, {"api_key": "$A", "api_keys": ("$B",)}, {"A": "1", "B": "2"}, "env:A"),
    ("portkey", "https://api.portkey.ai/v1", {}, ALL, ""),  # its key is no bearer token
    ("portkey", "https://api.portkey.ai/v1", {"headers": (("x-portkey-api-key", "$P"),)}, {"P": "1"}, "env:P"),
    ("gw", OTHER, {"headers": (("cf-aig-authorization", "Bearer $CF"),)}, {"CF": "1"}, "env:CF"),
    ("gw", OTHER, {"headers": (("x-api-key", "literal"),)}, {}, "config"),
    ("gw", OTHER, {"headers": (("X-Title", "My app"),)}, {}, ""),
    ("gw", OTHER, {"query": (("key", "$K"),)}, {"K": "1"}, "env:K"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "base_url", "says", "environ", "source"), TABLE)
def test_the_table(name, base_url, says, environ, source):
    """Entry x host x environment -> source, or an error that says where to put a key."""
    entry = an_entry(name, base_url=base_url, **says)
    assert source_of(entry, environ) == (source or "none")
    assert bool(choose(entry, environ).missing) is (source == "")
    if source == "":
        with pytest.raises(CredentialError, match=r"has no API key for ") as refused:
            credentials(entry, environ)
        assert "api_key" in refused.value.hint
    elif not source.startswith(("vault", "keyring")):
        assert credentials(entry, environ)[0].source == source


def test_by_itself_no_key_goes_to_a_host_that_is_not_its_own():
    """Every known name x every known host, all variables set: a bound variable is chosen for its own hosts alone."""
    names = [*SERVICES, *(alias for one in SERVICES.values() for alias in one.aliases), "openai", "mine"]
    filled = [
        one.filled(dict.fromkeys(("resource", "account", "provider"), "x"))[0] for one in SERVICES.values()
    ]
    urls = [None, OPENAI.base_url, OTHER, HERE, *filled]
    sent = 0
    for name, url in itertools.product(names, urls):
        entry = an_entry(name, base_url=url)
        host = parse(entry.endpoint).host
        for key in choose(entry, ALL).keys:
            owners = [one for one in (OPENAI, *SERVICES.values()) if key.name in one.variables]
            assert key.name == "MINE_API_KEY" or any(
                host == own or host.endswith("." + own) for one in owners for own in one.own_hosts
            ), (name, url, key.name)
            sent += 1
    assert sent > 100


def test_what_is_said_to_be_missing_is_what_fails(monkeypatch, tmp_path):
    """`providers` and `ask` say the same: nothing is missing exactly where the key is found."""
    monkeypatch.setenv("MISSY_HOME", str(tmp_path))
    names, urls = (
        ("openai", "groq", "mine", "portkey"),
        (None, GROQ, OTHER, HERE, "https://api.portkey.ai/v1"),
    )
    keys = (None, "$A", "$B", "literal", "vault://v")
    extras = ((), (("x-key", "$A"),), (("x-key", "Bearer $B"),), (("x-a", "b"),))
    environs = ({}, {"A": "1"}, ALL, ALL | {"A": "1"})
    for name, url, key, headers, environ in itertools.product(names, urls, keys, extras, environs):
        entry = an_entry(name, base_url=url, api_key=key, headers=headers)
        try:
            credentials(entry, environ)
            failed = False
        except CredentialError:
            failed = True
        assert bool(what_is_missing(entry, environ)) == failed, (name, url, key, headers, environ)


@pytest.mark.parametrize("value", ["schlüssel", "two words", "line\nend", "tab\tbed", "\x1b[31m"])
def test_a_key_that_no_header_takes_is_refused_unseen(value):
    """A key with anything but visible ASCII is an error before it is sent, and is not shown."""
    with pytest.raises(CredentialError) as refused:
        credentials(an_entry("mine", base_url=OTHER), {"MINE_API_KEY": value})
    assert "MINE_API_KEY" in refused.value.message
    assert value not in refused.value.message + refused.value.hint


def test_a_malformed_key_is_named_by_where_it_was_found(missy):
    """`$NAME` is what the file says; a variable that is used unasked has no $; a stored key has its store and name."""
    missy.inside("vault", "set", "v", stdin="schlüssel".encode())
    environ = {"A": "schlüssel", "MINE_API_KEY": "schlüssel"}
    for key, said in (("$A", "from $A "), (None, "from MINE_API_KEY "), ("vault://v", "from vault:v ")):
        with pytest.raises(CredentialError) as refused:
            credentials(an_entry("mine", base_url=OTHER, api_key=key), environ)
        assert said in refused.value.message


@pytest.mark.parametrize("value", ["schlüssel", "line\nend", "a\r\nHost: evil", "\x00"])
def test_a_header_from_the_environment_cannot_split_the_request(value):
    """What a variable holds is checked when it is sent: an error with the name of the header, without its value."""
    entry = an_entry("gw", base_url=OTHER, headers=(("x-token", "$T"),))
    with pytest.raises(CredentialError, match=r"headers\.x-token of entry 'gw'") as refused:
        credentials(entry, {"T": value})
    assert value not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("key", ["abcDEF=xyz12", "c2stYWJj==", "sk-a=b", "bearersk-1", "key-1"])
def test_a_key_may_look_a_little_like_something_else(key):
    """What stands before a = is a name only if it looks like a variable, and a scheme is one only before a space."""
    refuse_slips(key, "config")


@pytest.mark.parametrize(
    "key", ["MY_KEY=sk-1", "export API_TOKEN = sk-1", "Bearer sk-1", "token sk-1", "authorization: x"]
)
def test_a_key_with_more_than_the_key_is_refused(key):
    """A whole line of a file and a header's value are mistakes of copying."""
    with pytest.raises(CredentialError):
        refuse_slips(key, "config")


def test_a_variable_that_no_service_knows_is_bound_nowhere():
    """A variable that is named after an entry, and is not asked for, is no hint at another host."""
    assert bound_elsewhere(an_entry("box"), {"BOX_API_KEY": "k"}) is None
    assert bound_elsewhere(an_entry("box", base_url=OTHER), {"OPENAI_API_KEY": "k"}) == (
        "OPENAI_API_KEY",
        "api.openai.com",
    )


def test_the_hint_names_a_bound_variable_only_where_nothing_else_would_do():
    """An entry that is named after one service and asks another has that one's variable: it needs no other words."""
    with pytest.raises(CredentialError) as raised:
        credentials(an_entry("mistral", base_url=GROQ), {})
    assert "export GROQ_API_KEY" in raised.value.hint
    assert "goes there only" not in raised.value.hint


def test_a_reference_follows_one_word_of_letters():
    """`Bearer $NAME` is a reference with a prefix; anything else before the blank makes it a text."""
    assert read("Bearer $NAME").prefix == "Bearer "
    assert read("B-1 $NAME").kind == "config"
