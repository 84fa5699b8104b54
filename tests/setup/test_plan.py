"""What the answers become: entries, keys, reachable hosts. No file is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from missy.config.edit import Data
from missy.config.positions import SourceMap
from missy.config.presets import PRESETS
from missy.config.schema import Config
from missy.errors import UsageError
from missy.kinds import KINDS
from missy.policy import Policy, parse
from missy.secrets.redact import Secret
from missy.services import OPENAI, SERVICES, of_url
from missy.setup import plan
from missy.setup.plan import Draft, Plan
from tests.configuration import build

GROQ = SERVICES["groq"].base_url
KEY = Secret("gsk_CANARY0123456789")


def applied(data: Data, *drafts: Draft, fresh: bool = False, default: str | None = None) -> Data:
    Plan(drafts, default).apply(data, fresh=fresh)
    return data


def config(data: Data) -> Config:
    return build(data, SourceMap(Path("/x/config.yaml")))


@pytest.mark.parametrize("name", [*SERVICES])
def test_every_service_makes_an_entry_that_may_be_reached(name):
    """Its host, and its host alone, becomes reachable; where a preset has that name, it is the preset's host."""
    url, _ = SERVICES[name].filled(dict.fromkeys(("resource", "account", "provider"), "mine"))
    made = config(applied({}, Draft(name=name, base_url=url, model="m", store="env", variable="K")))
    assert not made.warnings
    target = parse(url)
    assert Policy(made.rules()).decide(target).allowed
    hosts = plan.reachable(Config(Path("/x"), KINDS), made)
    assert hosts == [f"{target.scheme}://{target.host}:{target.port}"]
    if name in PRESETS:
        known = {host if ":" in host else f"{host}:443" for host in PRESETS[name].hosts}
        assert f"{target.host}:{target.port}" in known
    assert of_url(SERVICES[name].base_url) == SERVICES[name]
    assert of_url(None) is OPENAI
    assert SERVICES[name].here == (not SERVICES[name].variables)


@pytest.mark.parametrize(
    ("store", "reference"),
    [
        ("env", "$GROQ_API_KEY"),
        ("vault", "vault://groq"),
        ("keyring", "keyring://groq"),
        ("config", KEY.reveal()),
        ("", None),
    ],
)
def test_what_the_file_says_of_a_key(store, reference):
    """Only the store `config` puts the key itself into the file; a check has the key whatever the store."""
    draft = Draft(name="groq", base_url=GROQ, store=store, variable="GROQ_API_KEY", secret=KEY)
    assert draft.entry().get("api_key") == reference
    assert draft.entry(literal=True).get("api_key") == (KEY.reveal() if store else None)
    assert KEY.reveal() not in repr(draft) + repr(Plan((draft,))) + plan.key_place(draft)


def test_a_new_file_has_what_was_asked_for_and_no_sample():
    """The template's sample entry goes, unless it is the one that was set up."""
    sample = {"openai": {"name": "openai", "model": "gpt-4o", "timeout": 30}}
    data = applied({"providers": dict(sample)}, Draft(kind="local", name="local"), fresh=True)
    assert data["providers"] == {"local": {"name": "local"}}
    data = applied({"providers": dict(sample)}, Draft(name="openai", model="x"), fresh=True)
    assert data["providers"] == {"openai": {"name": "openai", "model": "x", "timeout": 30}}


def test_an_entry_that_is_there_is_not_touched_unasked():
    """Without a yes it is an error, and the data is as it was."""
    data = {"providers": {"groq": {"name": "openai", "base_url": GROQ}}}
    with pytest.raises(UsageError, match="already"):
        applied(data, Draft(name="groq"))
    assert data == {"providers": {"groq": {"name": "openai", "base_url": GROQ}}}


def test_what_was_set_by_hand_outlives_a_change():
    """Timeouts and the like stay; a new key takes the place of all the old ones."""
    old = {"base_url": GROQ, "api_keys": ["$A", "$B"], "timeout": 7, "enabled": False, "model": "old"}
    new = Draft(name="groq", base_url=GROQ, model="new", store="vault", replaces=True)
    data = applied({"providers": {"groq": old}}, new)
    assert data["providers"]["groq"] == {
        "name": "openai",
        "base_url": GROQ,
        "timeout": 7,
        "enabled": True,
        "model": "new",
        "api_key": "vault://groq",
    }


def test_a_key_never_moves_to_another_endpoint():
    """An entry whose endpoint changes loses its keys; one that changes its kind loses its base URL as well."""
    old = {"base_url": GROQ, "api_key": "$A", "api_keys": ["$B"], "timeout": 7}
    moved = applied(
        {"providers": {"e": dict(old)}}, Draft(name="e", base_url="https://x.example/v1", replaces=True)
    )
    assert moved["providers"]["e"] == {"name": "openai", "base_url": "https://x.example/v1", "timeout": 7}
    default = applied({"providers": {"e": dict(old)}}, Draft(name="e", replaces=True))
    assert config(default).providers["e"].endpoint == OPENAI.base_url
    assert not config(default).providers["e"].api_key
    local = applied({"providers": {"e": dict(old)}}, Draft(kind="local", name="e", replaces=True))
    assert config(local).providers["e"].kind == "local"


def test_a_login_stays_at_its_endpoint():
    """A changed entry of kind openai-codex keeps the issuer and the base URL that were not asked for."""
    old = {"issuer": "http://127.0.0.1:1", "base_url": "http://127.0.0.1:2/codex", "timeout": 60}
    draft = Draft(kind="openai-codex", name="openai-codex", model="m", replaces=True)
    data = applied({"providers": {"openai-codex": dict(old)}}, draft)
    assert data["providers"]["openai-codex"] == {**old, "name": "openai-codex", "model": "m"}


def test_only_what_is_new_is_told_as_reachable():
    """What could be reached before is not listed again."""
    before = config({"providers": {"groq": {"base_url": GROQ}}})
    after = config({"providers": {"groq": {"base_url": GROQ}, "v6": {"base_url": "http://[::1]:80/v1"}}})
    assert plan.reachable(before, after) == ["http://[::1]:80"]
    assert plan.reachable(after, after) == []


def test_the_default_is_set_once():
    """It names an entry of the file."""
    data = applied({"providers": {"a": {}}}, Draft(name="groq", base_url=GROQ), default="a")
    assert data["default_provider"] == "a"


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("https://api.example.com/v1", ()),
        ("http://localhost:11434/v1", ()),
        ("http://[::1]:8080/v1", ()),
        ("http://192.168.1.5:8000/v1", ("192.168.1.5/32",)),
        ("https://10.0.0.9/v1", ("10.0.0.9/32",)),
        ("http://[fd00::7]:8000/v1", ("fd00::7/128",)),
    ],
)
def test_a_server_on_ones_own_network_is_offered_by_its_address(url, networks):
    """That one address, and with it the policy lets the entry through."""
    assert plan.network_for(url) == networks
    made = config(applied({}, Draft(name="x", base_url=url, networks=networks)))
    assert Policy(made.rules()).decide(parse(url)).allowed
    applied({"network": {"allowed_cidrs": ["192.168.1.5/32"]}}, Draft(name="x", networks=networks))


@pytest.mark.parametrize(
    "url",
    ["http://example.com/v1", "http://8.8.8.8/v1", "http://169.254.169.254/v1", "https://169.254.169.254/v1"],
)
def test_what_no_line_can_allow_is_refused_at_once(url):
    """Plain http to the world and the metadata service are no answers."""
    with pytest.raises(UsageError, match="the policy would refuse it"):
        plan.network_for(url)


@pytest.mark.parametrize("text", ["GROQ_API_KEY", "$GROQ_API_KEY", "${GROQ_API_KEY}", " GROQ_API_KEY "])
def test_the_name_of_a_variable_may_be_written_in_any_way(text):
    """With the $ or without."""
    assert plan.check_variable(text, {}) == "GROQ_API_KEY"


@pytest.mark.parametrize(
    "text", ["", "1A", "A B", "sk-proj-CANARY", "gsk_canary0123456789canary", "a=b", "É", "A" * 200]
)
def test_what_is_no_variable_is_not_shown(text):
    """It may be a key that was given in the wrong place."""
    with pytest.raises(UsageError) as caught:
        plan.check_variable(text, {})
    assert not text or text not in caught.value.message + caught.value.hint


def test_a_variable_that_is_set_may_look_as_it_likes():
    """A long name in lower case is fine where there is such a variable."""
    name = "my_own_key_for_the_groq_service"
    assert plan.check_variable(name, {name: "x"}) == name


@pytest.mark.parametrize("text", ["", "two words", "$KEY", "vault://x", "k\u00e9y", "a\nb"])
def test_what_is_no_key_is_not_shown(text):
    """References, blanks and letters that no header takes are refused."""
    with pytest.raises(UsageError) as caught:
        plan.check_key(text)
    assert len(text) < 3 or text not in caught.value.message


def test_the_variable_to_offer_is_the_one_that_is_set():
    """The service's own, unless only the entry's own is set."""
    assert plan.variable_for("work", "GROQ_API_KEY", {}) == "GROQ_API_KEY"
    assert plan.variable_for("work", "GROQ_API_KEY", {"WORK_API_KEY": "x"}) == "WORK_API_KEY"
    assert plan.variable_for("my-lab.1", "", {}) == "MY_LAB_1_API_KEY"
    assert plan.variable_for("10.0.0.1", "", {}) == "_10_0_0_1_API_KEY"
