"""The model server: behind its key, on loopback, told no secrets, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from missy.errors import MissyError, UsageError
from missy.local.server import LocalServer, publish, running
from tests.local.wheels import SAFETY, await_end, children

pytest_plugins = ["tests.local.live"]
pytestmark = pytest.mark.live


def call(server: LocalServer, method: str, path: str, key: str | None = None, **options) -> httpx2.Response:
    """Send one request to the server's root, not to /v1."""
    headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
    with httpx2.Client(trust_env=False, timeout=SAFETY) as client:
        return client.request(method, server.base_url.removesuffix("/v1") + path, headers=headers, **options)


def proc(pid: int, what: str) -> bytes:
    return Path(f"/proc/{pid}/{what}").read_bytes()


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_without_the_key_nothing_is_answered(local_server, key):
    """No key, an empty one and a wrong one are all refused, on every path that does something."""
    for method, path in [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("GET", "/slots"),
    ]:
        assert call(local_server, method, path, key, json={} if method == "POST" else None).status_code == 401


def test_the_model_answers(local_server):
    """With the key it is an OpenAI endpoint, and the model knows one thing at least."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    body = {"model": "smollm2-135m", "messages": messages}
    reply = call(local_server, "POST", "/v1/chat/completions", local_server.key.reveal(), json=body).json()
    assert "Paris" in reply["choices"][0]["message"]["content"]
    assert reply["model"] == "smollm2-135m"


def test_what_a_desktop_does_not_need_is_off(local_server):
    """No user interface, no slots, no metrics, not even with the key."""
    key = local_server.key.reveal()
    assert [call(local_server, "GET", path, key).status_code for path in ("/", "/slots", "/metrics")] == [
        404,
        501,
        501,
    ]
    assert call(local_server, "POST", "/props", key, json={}).status_code in {403, 501}


def test_a_web_page_cannot_use_it(local_server):
    """A page of another origin is not allowed, and never with credentials."""
    page = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = call(local_server, "OPTIONS", "/v1/chat/completions", headers=page)
    assert reply.headers.get("access-control-allow-origin") not in {"*", "https://evil.example"}
    assert reply.headers.get("access-control-allow-credentials") != "true"


def test_it_listens_on_one_address(local_server):
    """Not on every address of the machine: another address of loopback gets no connection."""
    port = int(local_server.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
    socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))


def test_nobody_sees_the_key_from_outside(local_server):
    """It is neither on the command line nor in the environment of the child, nor in any text of ours."""
    key = local_server.key.reveal()
    assert len(key) >= 32
    assert key.encode() not in proc(local_server.pid, "cmdline") + proc(local_server.pid, "environ")
    assert key not in f"{local_server.key} {local_server.key!r} {vars(local_server)}"


def test_the_child_gets_no_secret_and_no_setting(model_file, monkeypatch):
    """The user's API keys, and the variables that would change the server, stay with the parent."""
    for name in ("OPENAI_API_KEY", "GROQ_API_KEY", "AWS_SECRET_ACCESS_KEY", "LLAMA_ARG_HOST", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "canary-7f3a")
    with LocalServer.start(model_file) as server:
        assert b"canary-7f3a" not in proc(server.pid, "environ")


def test_each_run_has_its_own_key(model_file, local_server):
    """The key of one server opens no other."""
    with LocalServer.start(model_file) as other:
        assert other.key != local_server.key
        assert call(other, "GET", "/v1/models", local_server.key.reveal()).status_code == 401


def test_stop_ends_it_and_may_be_repeated(model_file):
    """After stop the process is gone and the port is closed; stopping again does nothing."""
    server = LocalServer.start(model_file)
    server.stop()
    server.stop()
    assert not Path(f"/proc/{server.pid}").exists()
    with pytest.raises(httpx2.ConnectError):
        call(server, "GET", "/health")


def test_a_child_that_died_is_no_trouble(model_file):
    """The child is killed from outside: wait says how it ended, stop is quiet."""
    with LocalServer.start(model_file) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL


def test_a_child_that_does_not_hear_is_killed(model_file):
    """A child that is stopped (SIGSTOP) cannot hold up its parent for ever."""
    server = LocalServer.start(model_file)
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_killed_parent_leaves_no_orphan(model_file):
    """The parent is gone without a word (SIGKILL): the child ends by itself."""
    code = (
        "import sys, time; from missy.local.server import LocalServer\n"
        "s = LocalServer.start(sys.argv[1]); print(s.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(model_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()
    assert await_end(child)


def test_ctrl_c_is_for_the_parent_alone(local_server):
    """The child has a session of its own: Ctrl-C in a conversation ends an answer, not the server."""
    assert os.getsid(local_server.pid) != os.getsid(0)


def test_it_starts_from_async_code(model_file):
    """Starting blocks, so async code runs it in a thread; it needs no event loop and no main thread."""

    async def start() -> int:
        with await asyncio.to_thread(LocalServer.start, model_file) as server:
            return call(server, "GET", "/health").status_code

    assert asyncio.run(start()) == 200


def test_a_file_that_is_no_model_is_named(tmp_path):
    """The error is the server's own first word about it, in one line."""
    (tmp_path / "bad.gguf").write_bytes(b"hello, this is no model")
    with pytest.raises(MissyError, match=r"did not start: .*invalid magic") as caught:
        LocalServer.start(tmp_path / "bad.gguf")
    assert "\n" not in caught.value.message


def test_a_missing_file_is_wrong_use(tmp_path):
    """No model there: nothing is started, and the error says what to do."""
    with pytest.raises(UsageError, match="there is no model file") as caught:
        LocalServer.start(tmp_path / "none.gguf")
    assert "missy local install" in caught.value.hint


def test_a_missing_extra_is_wrong_use(model_file, tmp_path, monkeypatch):
    """Without xllamacpp the error names the extra to install."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('No module named xllamacpp')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    with pytest.raises(UsageError) as caught:
        LocalServer.start(model_file)
    assert caught.value.hint.startswith("run: ")
    assert sys.executable in caught.value.hint
    assert "'xllamacpp>=" in caught.value.hint


def test_no_module_of_the_current_folder_is_run(model_file, tmp_path, monkeypatch):
    """A xllamacpp.py where the user happens to be is not the server."""
    (tmp_path / "xllamacpp.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    LocalServer.start(model_file).stop()
    assert not (tmp_path / "ran").exists()


def test_a_port_that_is_taken_is_an_error(model_file):
    """Nothing is shared with who has the port already."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(MissyError, match="did not start"):
        LocalServer.start(model_file, port=taken.getsockname()[1])


def test_a_server_that_takes_too_long_is_not_left_behind(model_file):
    """The time is up before it is loaded: an error, and no child."""
    before = children(os.getpid())
    with pytest.raises(MissyError, match="not ready after"):
        LocalServer.start(model_file, timeout=0.001)
    assert children(os.getpid()) == before


def test_a_published_server_is_found_while_it_is_published(local_server, home):
    """Other processes get its address and key from an owner-only file, and nothing once it is over."""
    assert running() is None
    with publish(local_server) as file:
        assert running() == (local_server.base_url, local_server.key)
        assert file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(UsageError, match="running already"), publish(local_server):
            pass
        assert running() is not None
    assert running() is None
    assert not file.exists()


def test_what_a_killed_server_left_is_not_believed(home):
    """A file that nobody holds the lock of names a port that may be a stranger's by now."""
    (home / "models").mkdir(parents=True, mode=0o700)
    (home / "models" / "serve.json").write_text('{"url": "http://127.0.0.1:1/v1", "key": "k", "pid": 1}')
    assert running() is None
