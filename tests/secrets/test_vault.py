"""The vault: what is stored comes back, and what was touched from outside is refused, never used or overwritten."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.errors import CredentialError, MissyError, UsageError
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault
from tests.secrets.test_keystore import ring  # noqa: F401  a fixture

ONE, TWO = "the-first-secret", "the-second-secret"


@pytest.fixture
def vault(home: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A vault of two secrets whose key is in a file."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    vault = Vault(home)
    vault.set("one", Secret(ONE))
    vault.set("two", Secret(TWO))
    return vault


def body_of(vault: Vault) -> Any:
    """What is in the file."""
    return json.loads(vault.file.read_bytes())


def put(vault: Vault, body: Any) -> None:
    """Write the file from outside."""
    vault.file.write_text(json.dumps(body))


def refused(vault: Vault, *names: str) -> None:
    """The vault refuses to give, store and delete, with exit 4 and the file's name, and leaves the file alone."""
    before = vault.file.read_bytes()
    for name in names:
        with pytest.raises(CredentialError, match=r"vault\.(json|key)") as caught:
            vault.get(name)
        assert caught.value.hint
        assert ONE not in caught.value.message
    with pytest.raises(CredentialError):
        vault.set("three", Secret("x"))
    with pytest.raises(CredentialError):
        vault.delete(names[0])
    assert vault.file.read_bytes() == before


def test_what_is_stored_comes_back(vault: Vault) -> None:
    """Values are stored, replaced and deleted by name."""
    assert vault.get("one").reveal() == ONE
    vault.set("one", Secret("newer"))
    assert vault.get("one").reveal() == "newer"
    assert vault.get("two").reveal() == TWO
    vault.delete("one")
    assert list(vault.names()) == ["two"]
    with pytest.raises(CredentialError, match="no secret one") as caught:
        vault.get("one")
    assert "missy vault set one" in caught.value.hint


def test_an_empty_home_is_an_empty_vault(home: Path) -> None:
    """Reading makes no file, no key and no folder."""
    vault = Vault(home)
    assert vault.names() == {}
    assert vault.key_place() is None
    with pytest.raises(CredentialError, match="no secret x"):
        vault.get("x")
    assert not home.exists()


def test_no_value_is_in_the_files_and_they_are_private(vault: Vault) -> None:
    """The files hold no value in any common coding, and are 0600 in a 0700 folder."""
    held = b"".join(file.read_bytes() for file in vault.file.parent.iterdir())
    for value in (ONE, TWO):
        assert value.encode() not in held
        assert value.encode().hex().encode() not in held
    for file in vault.file.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    assert vault.file.parent.stat().st_mode & 0o777 == 0o700


def test_each_write_has_its_own_nonce(vault: Vault) -> None:
    """No nonce is used twice, also when the same value is stored again."""
    seen: set[bytes] = set()
    for _ in range(20):
        vault.set("one", Secret(ONE))
        body = body_of(vault)
        new = {body["secrets"]["one"]["nonce"], body["seal"]["nonce"]}
        assert not new & seen
        assert len(new) == 2
        seen |= new


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 129, "a\n", "../x"])
def test_a_bad_name_is_wrong_use(home: Path, name: str) -> None:
    """Names are 1 to 128 of A-Z a-z 0-9 _ . -"""
    vault = Vault(home)
    for act in (vault.get, vault.delete, lambda name: vault.set(name, Secret("x"))):
        with pytest.raises(UsageError, match="cannot name a secret"):
            act(name)
    assert not home.exists()


@pytest.mark.parametrize("value", ["", "x" * 65537, "\ud800"])
def test_a_value_that_cannot_be_a_secret_is_refused(home: Path, value: str) -> None:
    """Nothing, too much and what is no UTF-8 are usage errors, and make no vault."""
    with pytest.raises(UsageError):
        Vault(home).set("x", Secret(value))
    assert not home.exists()


@settings(max_examples=30)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=300),
    st.from_regex(r"[A-Za-z0-9_.-]{1,128}", fullmatch=True),
)
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, value: str, name: str
) -> None:
    """Any UTF-8 text under any allowed name is the same when it is read again."""
    vault = Vault(tmp_path_factory.getbasetemp() / "any")
    vault.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    vault.set(name, Secret(value))
    assert vault.get(name).reveal() == value


# -- touched from outside ------------------------------------------------------------------------------------------


def swap(body: Any) -> None:
    secrets = body["secrets"]
    secrets["one"], secrets["two"] = secrets["two"], secrets["one"]


def swap_sealed(body: Any) -> None:
    one, two = body["secrets"]["one"], body["secrets"]["two"]
    for field in ("nonce", "sealed"):
        one[field], two[field] = two[field], one[field]


def rename(body: Any) -> None:
    body["secrets"]["ten"] = body["secrets"].pop("two")


def copy_over(body: Any) -> None:
    body["secrets"]["one"] = body["secrets"]["two"]


def drop(body: Any) -> None:
    del body["secrets"]["two"]


def rewind(body: Any) -> None:
    body["generation"] -= 1


def other_id(body: Any) -> None:
    body["id"] = "0" * 32


def unseal(body: Any) -> None:
    body["seal"] = None
    body["generation"] = 0


def other_key(body: Any) -> None:
    body["key"] = "keyring"


@pytest.mark.parametrize("touch", [swap, copy_over, drop, rewind, other_id, unseal, rename])
def test_a_changed_file_is_refused(vault: Vault, touch: Callable[[Any], None]) -> None:
    """Values that were swapped, renamed, copied or removed, and a forged head, are refused for every name."""
    body = body_of(vault)
    touch(body)
    put(vault, body)
    refused(vault, "one")


def test_swapped_ciphertexts_are_refused(vault: Vault) -> None:
    """With names and versions left in place, the values themselves do not verify under each other's name."""
    body = body_of(vault)
    swap_sealed(body)
    put(vault, body)
    for name in ("one", "two"):
        with pytest.raises(CredentialError, match=f"the value of {name} does not verify"):
            vault.get(name)


def test_the_place_of_the_key_cannot_be_forged(vault: Vault) -> None:
    """A file that suddenly says its key is elsewhere is an error that names the file, and makes no key there."""
    body = body_of(vault)
    other_key(body)
    put(vault, body)
    refused(vault, "one")


@pytest.mark.parametrize("forge", [False, True])
def test_an_older_value_that_is_put_back_is_refused(vault: Vault, forge: bool) -> None:
    """A value from an older copy of the file is refused, with its old version and with the present one."""
    old = body_of(vault)["secrets"]["one"]
    vault.set("one", Secret("rotated"))
    body = body_of(vault)
    body["secrets"]["one"] = {
        **old,
        "version": body["secrets"]["one"]["version"] if forge else old["version"],
    }
    put(vault, body)
    with pytest.raises(CredentialError, match="does not verify"):
        vault.get("one")


def test_a_deleted_value_that_is_put_back_is_refused(vault: Vault) -> None:
    """Deleting and storing again does not make an old copy of the value good."""
    old = body_of(vault)["secrets"]["one"]
    vault.delete("one")
    body = body_of(vault)
    put(vault, {**body, "secrets": {**body["secrets"], "one": old}})
    refused(vault, "one")
    put(vault, body)
    vault.set("one", Secret("again"))
    body = body_of(vault)
    body["secrets"]["one"] = old
    put(vault, body)
    refused(vault, "one")


def test_every_flipped_bit_is_refused_or_harmless(vault: Vault) -> None:
    """A flipped bit anywhere gives an error, or the very same value: never another one, never a traceback."""
    good = vault.file.read_bytes()
    refusals = 0
    for place in range(len(good)):
        vault.file.write_bytes(good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :])
        try:
            assert vault.get("one").reveal() == ONE
        except MissyError:
            refusals += 1
    assert refusals > len(good) // 2


def test_every_truncation_is_refused(vault: Vault) -> None:
    """A file that was cut anywhere is refused, and not taken for an empty vault."""
    good = vault.file.read_bytes()
    for length in [*range(0, len(good) - 1, 7), len(good) - 2]:
        vault.file.write_bytes(good[:length])
        with pytest.raises(CredentialError, match="damaged"):
            vault.get("one")
        with pytest.raises(CredentialError, match="damaged"):
            vault.set("three", Secret("x"))
        assert vault.file.read_bytes() == good[:length]


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"format": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1, "id": 5}',
        b"1" * 9999,
    ],
)
def test_what_is_no_vault_is_named_as_damaged(vault: Vault, content: bytes) -> None:
    """Anything else in the file's place is a damaged vault, not an empty one."""
    vault.file.write_bytes(content)
    refused(vault, "one")
    with pytest.raises(CredentialError, match=r"vault\.json is damaged"):
        vault.names()


@pytest.mark.parametrize("field", ["id", "generation", "key", "secrets", "seal", "format"])
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"a": 1}, True, -1])
def test_parts_of_the_wrong_kind_are_refused(vault: Vault, field: str, value: Any) -> None:
    """Every part of the file is checked for its kind before it is used."""
    body = body_of(vault)
    put(vault, {**body, field: value})
    with pytest.raises(CredentialError):
        vault.get("one")
    put(vault, {key: kept for key, kept in body.items() if key != field})
    with pytest.raises(CredentialError):
        vault.get("one")


# -- the key -------------------------------------------------------------------------------------------------------


def test_a_lost_key_is_named_and_never_replaced(vault: Vault) -> None:
    """Without its key the vault is refused, nothing is overwritten, and no new key appears; the old one brings it back."""
    key = vault.key_file.read_bytes()
    vault.key_file.unlink()
    refused(vault, "one", "two")
    with pytest.raises(CredentialError, match=r"the key of .*vault\.json is lost: .*vault\.key is missing"):
        vault.get("one")
    assert not vault.key_file.exists()
    assert list(vault.names()) == ["one", "two"]
    vault.key_file.write_bytes(key)
    vault.key_file.chmod(0o600)
    assert vault.get("one").reveal() == ONE


@pytest.mark.parametrize("content", [b"", b"x", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"\xff" * 64])
def test_a_damaged_key_is_named(vault: Vault, content: bytes) -> None:
    """A key file that holds no key is named, and left as it is."""
    vault.key_file.write_bytes(content)
    refused(vault, "one")
    with pytest.raises(CredentialError, match=r"vault\.key is damaged"):
        vault.get("one")
    assert vault.key_file.read_bytes() == content


def test_another_vaults_key_is_refused(vault: Vault) -> None:
    """A well-formed key that is not this vault's opens nothing."""
    vault.key_file.write_text("ab" * 32)
    refused(vault, "one", "two")


def test_a_key_without_a_vault_is_kept(vault: Vault) -> None:
    """When vault.json is moved away a new vault takes the old key: the old file can come back."""
    old = vault.file.read_bytes()
    key = vault.key_file.read_bytes()
    vault.file.unlink()
    vault.set("new", Secret("value"))
    assert vault.key_file.read_bytes() == key
    vault.file.write_bytes(old)
    assert vault.get("one").reveal() == ONE


def test_values_of_another_vault_with_the_same_key_are_refused(vault: Vault) -> None:
    """The vault's id is sealed in: a value of an earlier vault under the same key and name does not fit."""
    old = copy.deepcopy(body_of(vault))
    vault.file.unlink()
    vault.set("one", Secret("other"))
    body = body_of(vault)
    body["secrets"]["one"] = old["secrets"]["one"]
    put(vault, body)
    with pytest.raises(CredentialError, match="the value of one does not verify"):
        vault.get("one")


@pytest.mark.parametrize("which", ["file", "key_file"])
def test_files_are_not_read_or_written_through_a_symlink(vault: Vault, which: str) -> None:
    """A symlink in the place of either file is refused, and what it points at stays."""
    path = getattr(vault, which)
    real = path.with_name("elsewhere")
    path.rename(real)
    path.symlink_to(real)
    before = real.read_bytes()
    with pytest.raises(MissyError):
        vault.get("one")
    with pytest.raises(MissyError):
        vault.set("three", Secret("x"))
    assert real.read_bytes() == before


def test_wide_modes_are_narrowed(vault: Vault) -> None:
    """A key file that others could read is made private when it is used."""
    vault.key_file.chmod(0o644)
    assert vault.get("one").reveal() == ONE
    assert vault.key_file.stat().st_mode & 0o777 == 0o600


# -- processes and the system keyring --------------------------------------------------------------------------------

SET = """
import sys
from pathlib import Path
from missy.errors import MissyError
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault
vault = Vault(Path(sys.argv[1]))
try:
    for number in range(int(sys.argv[3])):
        vault.set(f"p{sys.argv[2]}-{number}", Secret(f"value-{sys.argv[2]}-{number}"))
    print(vault.key_place())
    print(vault.get("p0-0").reveal() if sys.argv[2] == "0" else "")
except MissyError as error:
    print(f"{error.exit_code}|{error.message}")
"""


def setter(home: Path, name: str, count: int, **env: str) -> subprocess.Popen[str]:
    """A process that stores `count` secrets."""
    command = [sys.executable, "-c", SET, str(home), name, str(count)]
    return subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)


@pytest.mark.race
def test_concurrent_sets_lose_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processes that store ten secrets each, from the vault's first moment on: one key, all eighty there."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    processes = [setter(home, str(number), 10) for number in range(8)]
    assert all(process.communicate(timeout=120)[0].startswith("file\n") for process in processes)
    vault = Vault(home)
    assert len(vault.names()) == 80
    assert all(
        vault.get(f"p{one}-{other}").reveal() == f"value-{one}-{other}"
        for one in range(8)
        for other in (0, 9)
    )


def test_the_key_is_in_the_system_keyring_where_there_is_one(home: Path, ring: Path) -> None:  # noqa: F811
    """With a keyring there is no key file; without its entry the vault is refused, and no new key is made."""
    assert setter(home, "0", 1).communicate(timeout=60)[0] == "keyring\nvalue-0-0\n"
    vault = Vault(home)
    assert not vault.key_file.exists()
    (entry,) = json.loads(ring.read_text())
    assert entry == f"missy/vault-{body_of(vault)['id']}"
    ring.unlink()
    before = vault.file.read_bytes()
    said = setter(home, "1", 1).communicate(timeout=60)[0]
    assert said.startswith("4|the key of ")
    assert "vault.json cannot be read from the system keyring" in said
    assert vault.file.read_bytes() == before
    assert not ring.exists()
    assert not vault.key_file.exists()


@pytest.mark.parametrize("fault", ["locked", "forgetful"])
def test_a_keyring_that_cannot_keep_the_key_gives_way_to_a_file(home: Path, ring: Path, fault: str) -> None:  # noqa: F811
    """A first secret is stored with a key file when the keyring fails, and the vault knows where its key is."""
    assert setter(home, "0", 1, RING_FAULT=fault).communicate(timeout=60)[0] == "file\nvalue-0-0\n"
    assert setter(home, "1", 1).communicate(timeout=60)[0].startswith("file\n")
