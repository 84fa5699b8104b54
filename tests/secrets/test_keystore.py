"""The system keyring: used where there is a real one, never guessed, and its errors say nothing secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from missy.errors import UsageError
from missy.secrets import keystore

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parents[2])
TALK = """
import sys
from missy.errors import MissyError
from missy.secrets import keystore
from missy.secrets.redact import Secret
try:
    match sys.argv[1:]:
        case ["get", reference]: print(keystore.get(reference).reveal())
        case ["put", reference, value]: keystore.put(reference, Secret(value))
        case ["delete", reference]: keystore.delete(reference)
        case ["available"]: print(keystore.available())
except MissyError as error:
    print(f"{error.exit_code}|{error.message}|{error.hint}")
"""


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keyring that every child process uses."""
    pytest.importorskip("keyring")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.secrets.ring.FileRing")
    monkeypatch.setenv("RING", str(tmp_path / "ring.json"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), ROOT, *_site()]))
    )
    return tmp_path / "ring.json"


def _site() -> list[str]:
    """Where the keyring package is, should that be no usual place."""
    import keyring

    return [str(Path(keyring.__file__).parents[1])]


def talk(*args: str, **env: str) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-c", TALK, *args]
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("keyring://groq", ("missy", "groq")),
        ("keyring://work/groq", ("work", "groq")),
        ("keyring://work/a/b", ("work", "a/b")),
        ("keyring://my service/me@example.org", ("my service", "me@example.org")),
    ],
)
def test_a_reference_names_service_and_entry(reference: str, place: tuple[str, str]) -> None:
    """`keyring://NAME` is of the service missy; `keyring://SERVICE/NAME` of any."""
    assert keystore.parse(reference) == place


@pytest.mark.parametrize(
    "reference", ["keyring://", "keyring:///x", "keyring://x/", "vault://x", "x", "keyring://a\nb"]
)
def test_what_names_nothing_is_wrong_use(reference: str) -> None:
    """A reference without a name is a usage error."""
    with pytest.raises(UsageError, match="names nothing"):
        keystore.parse(reference)


def test_what_was_put_can_be_got_and_deleted(ring: Path) -> None:
    """An entry lives in the keyring under the service and name of its reference."""
    assert talk("available") == "True"
    assert talk("put", "keyring://groq", "s3cret-value") == ""
    assert json.loads(ring.read_text()) == {"missy/groq": "s3cret-value"}
    assert talk("get", "keyring://groq") == "s3cret-value"
    assert talk("get", "keyring://missy/groq") == "s3cret-value"
    assert talk("delete", "keyring://groq") == ""
    assert talk("get", "keyring://groq").startswith("4|the system keyring has nothing under keyring://groq|")


def test_a_locked_keyring_is_a_credential_error_that_quotes_nothing(ring: Path) -> None:
    """What a backend says about its fault is not repeated: it could hold a secret."""
    for args in (("get", "keyring://x"), ("put", "keyring://x", "v")):
        said = talk(*args, RING_FAULT="locked")
        assert said.startswith("4|cannot ")
        assert "KeyringLocked" in said
        assert "hunter2" not in said


def test_a_keyring_that_forgets_is_noticed(ring: Path) -> None:
    """What was put is read back at once."""
    assert talk("put", "keyring://x", "value", RING_FAULT="forgetful").startswith(
        "4|the system keyring did not store"
    )


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_a_keyring_that_keeps_nothing_is_none(ring: Path, backend: str) -> None:
    """The package's stand-ins for "no keyring" are not taken for one."""
    assert talk("available", PYTHON_KEYRING_BACKEND=backend) == "False"
    assert talk("get", "keyring://x", PYTHON_KEYRING_BACKEND=backend).startswith(
        "4|there is no system keyring here|"
    )


def test_a_backend_that_cannot_be_loaded_is_none(ring: Path) -> None:
    """A broken setting is an error of the keyring, not of ours."""
    assert talk("available", PYTHON_KEYRING_BACKEND="no.such.Backend") == "False"


def test_without_the_package_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is an extra: a reference that needs it names what to install."""
    (tmp_path / "keyring.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert talk("available") == "False"
    said = talk("get", "keyring://x")
    assert said.startswith("4|the system keyring needs the keyring package|")
    assert sys.executable in said
    assert "'keyring>=" in said
