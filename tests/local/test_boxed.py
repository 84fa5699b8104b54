"""The model server in the sandbox: it reads its model and Python, reaches nobody, and ends with its parent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from missy.errors import UsageError
from missy.local.server import LocalServer
from tests.local.wheels import await_end
from tests.sandbox.levels import LEVELS
from tests.sandbox.test_walls import NO_LANDLOCK

pytest_plugins = ["tests.local.live"]

# Takes the place of the package that serves the model: whoever has taken over the server could do no more than this.
HOSTILE = """
import os, socket
def attempt(name, call):
    try:
        call()
    except OSError:
        return
    found.append(name)
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", PORT))
def fast_open():
    with socket.socket() as one:
        one.sendto(b"x", 0x20000000, ("127.0.0.1", PORT))
def fast_open_message():
    with socket.socket() as one:
        one.sendmsg([b"x"], [], 0x20000000, ("127.0.0.1", PORT))
def unix():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(UNIX)
found = []
attempt("read", lambda: open(CANARY).close())
attempt("list", lambda: open(os.path.dirname(CANARY) + "/" + os.listdir(os.path.dirname(CANARY))[0]).close())
attempt("environ", lambda: open(f"/proc/{PARENT}/environ", "rb").close())
attempt("connect", lambda: socket.create_connection(("127.0.0.1", PORT), 5).close())
attempt("connect6", lambda: socket.create_connection(("::1", PORT6), 5).close())
attempt("udp", udp)
attempt("fast open", fast_open)
attempt("fast open message", fast_open_message)
attempt("unix", unix)
attempt("write", lambda: open(CANARY + ".new", "w").close())
attempt("write model", lambda: open(MODEL, "r+b").close())
attempt("write etc", lambda: open("/etc/missy-test", "w").close())
attempt("signal", lambda: os.kill(PARENT, 0))
open(MODEL, "rb").close()
raise ImportError("open: " + ", ".join(found))
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Have the hostile program served in place of the model; returns which ways it found open, and what arrived."""
    person, packages, model = tmp_path / "person", tmp_path / "packages", tmp_path / "model.gguf"
    person.mkdir(exist_ok=True)
    packages.mkdir()
    (person / "canary").write_text("canary")
    model.write_bytes(b"x")
    monkeypatch.setenv("PYTHONPATH", f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def start(serve):
        with (
            socket.create_server(("127.0.0.1", 0)) as tcp,
            socket.create_server(("::1", 0), family=socket.AF_INET6) as tcp6,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_UNIX) as unix,
        ):
            udp.bind(tcp.getsockname())
            udp.setblocking(False)
            tcp.setblocking(False)
            unix.bind(str(packages / "s"))
            unix.listen(1)
            facts = {
                "CANARY": str(person / "canary"), "PARENT": os.getpid(), "PORT": tcp.getsockname()[1], "MODEL": str(model),
                "PORT6": tcp6.getsockname()[1], "UNIX": str(packages / "s"),
            }  # fmt: skip
            lines = [f"{name} = {value!r}" for name, value in facts.items()]
            (packages / "xllamacpp.py").write_text("\n".join([*lines, HOSTILE]))
            said = serve(model)
            arrived = [one for one in (tcp, udp) if _arrived(one)]
        assert "open: " in said
        found = said.rpartition("open: ")[2].strip().split(", ")
        return {one for one in found if one}, arrived

    return start


def _serve(model: Path) -> str:
    with pytest.raises(UsageError) as caught:
        LocalServer.start(model)
    return caught.value.message


@pytest.mark.parametrize("level", LEVELS)
def test_a_server_that_was_taken_over_reaches_nothing(level, at_level, hostile, tmp_path):
    """No file of the home folder, no secret of the parent, no connection, no write: none of 12 tries gets out."""
    at_level(level)
    found, arrived = hostile(_serve)
    # In a network and a tree of its own, a datagram arrives nowhere, and a file is one of a file system that ends with it.
    assert found <= ({"udp", "write"} if level == "full" else set())
    assert arrived == []
    assert not (tmp_path / "person" / "canary.new").exists()
    assert (tmp_path / "model.gguf").read_bytes() == b"x"


def test_without_a_sandbox_these_ways_are_open(hostile):
    """The table means something: a plain process finds most of the ways open."""

    def plain(model):
        return subprocess.run(
            [sys.executable, "-c", "import xllamacpp"], capture_output=True, text=True, check=False
        ).stderr

    found, arrived = hostile(plain)
    assert {"read", "list", "environ", "connect", "udp", "unix", "write", "write model", "signal"} <= found
    assert len(arrived) == 2


def _arrived(one: socket.socket) -> bool:
    try:
        one.accept() if one.type == socket.SOCK_STREAM else one.recv(9)
    except BlockingIOError:
        return False
    return True


@pytest.mark.live
@pytest.mark.parametrize("level", LEVELS)
def test_the_model_answers_in_the_sandbox(level, at_level, local_home, missy):
    """At each level the model answers through the command, and the server says at which level it runs."""
    at_level(level)
    with LocalServer.start(local_home / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf") as server:
        assert server.level == level
    missy.config({"providers": {"laptop": {"name": "local"}}})
    assert b"Paris" in missy("ask", "What is the capital of France?").out


@pytest.mark.live
def test_without_a_level_the_model_answers_and_doctor_says_so(local_home, missy):
    """Where the kernel gives no sandbox the server runs as a plain child, and `doctor` says that it does."""
    missy.config({"providers": {"laptop": {"name": "local"}}})

    def bare(*args):
        argv = [sys.executable, "-c", NO_LANDLOCK, sys.executable, "-m", "missy", *args]
        return subprocess.run(
            argv, env=missy.env(), capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL
        )

    assert b"Paris" in bare("ask", "What is the capital of France?").stdout
    assert b"the local model's server runs without one" in b" ".join(bare("doctor", "--all").stdout.split())


@pytest.mark.live
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_it_outlives_its_parent(level, at_level, model_file):
    """Missy is killed, or the launcher is: every process of the server is gone."""
    at_level(level)
    code = (
        "import sys; from missy.local.server import LocalServer\n"
        "s = LocalServer.start(sys.argv[1]); print(s.pid, flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(model_file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        launcher = int(parent.stdout.readline())
        inside = _below(launcher)
        assert inside
        parent.kill()
    assert [pid for pid in (launcher, *inside) if not await_end(pid)] == []
    server = LocalServer.start(model_file)
    inside = _below(server.pid)
    os.kill(server.pid, 9)
    assert [pid for pid in inside if not await_end(pid)] == []
    server.stop()


def _below(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [deeper for child in found for deeper in _below(child)]
