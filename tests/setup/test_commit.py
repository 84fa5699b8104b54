"""The writing of a plan: all of it or nothing, in files and in stores."""

from __future__ import annotations

import json

import pytest

from missy.errors import MissyError, UsageError
from missy.secrets import keystore
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault
from missy.setup import commit
from missy.setup.plan import Draft, Plan
from tests.configuration import load

OLD, NEW = Secret("old-CANARY-0123"), Secret("new-CANARY-0123")


@pytest.fixture
def ring(tmp_path, monkeypatch):
    """A system keyring."""
    import keyring

    from tests.secrets.ring import FileRing

    file = tmp_path / "ring.json"
    monkeypatch.setenv("RING", str(file))
    before = keyring.get_keyring()
    keyring.set_keyring(FileRing())
    yield file
    keyring.set_keyring(before)


def draft(name: str = "groq", store: str = "vault", **more) -> Draft:
    return Draft(
        name=name, base_url="https://api.groq.com/openai/v1", model="m", store=store, secret=NEW, **more
    )


def test_outcome_writes_nothing(home):
    """The outcome is known without a file, a folder or a stored key."""
    found = commit.outcome(home / "config.yaml", Plan((draft(),)), literal=True)
    assert found.providers["groq"].api_key == NEW.reveal()
    assert not home.exists()


def test_a_plan_is_written_with_its_keys(home, ring):
    """Each key is in its store, and the file names where."""
    path = home / "config.yaml"
    assert commit.write(path, Plan((draft("a"), draft("b", "keyring"), draft("c", "config"))))
    entries = load(path).providers
    assert [entry.api_key for entry in entries.values()] == ["vault://a", "keyring://b", NEW.reveal()]
    assert Vault(home).get("a") == NEW
    assert keystore.get("keyring://b") == NEW
    assert path.stat().st_mode & 0o777 == 0o600
    assert [commit.is_stored(one) for one in (draft("a"), draft("b", "keyring"), draft("x"))] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("store", ["vault", "keyring"])
@pytest.mark.parametrize("had", [True, False])
def test_a_file_that_cannot_be_written_leaves_no_key_behind(home, ring, store, had):
    """When the disk refuses the file, the stores hold what they held before."""
    path = home / "config.yaml"
    if had:
        Vault(home).set("groq", OLD)
        keystore.put("keyring://groq", OLD)
    home.mkdir(exist_ok=True)
    path.with_name("config.yaml.lock").mkdir()  # the edit's lock cannot be taken
    with pytest.raises(MissyError):
        commit.write(path, Plan((draft(store=store),)))
    assert not path.exists()
    if store == "vault":
        assert Vault(home).names().keys() == ({"groq"} if had else set())
        assert not had or Vault(home).get("groq") == OLD
    else:
        assert json.loads(ring.read_text()).get("missy/groq") == (OLD.reveal() if had else None)


def test_a_store_that_fails_leaves_the_file_as_it_was(home, ring, monkeypatch):
    """The second key cannot be kept: the first is taken back, and nothing is written."""
    monkeypatch.setenv("RING_FAULT", "forgetful")
    path = home / "config.yaml"
    with pytest.raises(MissyError):
        commit.write(path, Plan((draft("a"), draft("b", "keyring"))))
    assert not path.exists()
    assert Vault(home).names() == {}


def test_a_plan_that_cannot_be_written_stores_no_key(home):
    """An entry that is there already is found before a key is kept."""
    path = home / "config.yaml"
    commit.write(path, Plan((Draft(name="groq", base_url="https://a.example/v1"),)))
    with pytest.raises(UsageError):
        commit.write(path, Plan((draft(),)))
    assert not (home / "secrets").exists()


def test_what_another_command_wrote_meanwhile_is_kept(home):
    """Whether the file is new is asked when it is written, not when the wizard began."""
    path = home / "config.yaml"
    commit.outcome(path, Plan((draft("a"),)))
    commit.write(path, Plan((draft("b", "env", variable="B"),)))
    commit.write(path, Plan((draft("a"),)))
    assert list(load(path).providers) == ["b", "a"]
