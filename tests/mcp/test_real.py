"""Real servers in the sandbox, and a real client of ours: what `make test-mcp` installed; without it they are skipped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from missy import Missy, Toolbox
from tests.command import COMMAND
from tests.mcp.conftest import boxed
from tests.servers import chat_stream, response
from tests.toolbox.conftest import calls, results

SERVERS = Path(__file__).parents[2] / ".mcp-servers"
pytestmark = [
    boxed,
    pytest.mark.slow,
    pytest.mark.skipif(not (SERVERS / ".made").exists(), reason="make test-mcp installs the servers"),
]
NODE = SERVERS / "node_modules" / ".bin"


@pytest.fixture
def real(missy, serve, tmp_path):
    """Approve one real server by the command, and let a model call its tools."""
    work = tmp_path / "work"
    work.mkdir()

    def run(name, command, *wanted, policy=None, **fields):
        server = {"command": [str(word) for word in command], "seconds": 60, **fields}

        def configure(url):
            return missy.config(
                {
                    "providers": {
                        "test": {"name": "openai", "model": "m", "base_url": url, "max_retries": 0}
                    },
                    "mcp": {name: server},
                    "tools": {"workspace": str(work)},
                    "network": policy or {},
                }
            )

        configure("http://127.0.0.1:9/v1")
        done = missy.inside("mcp", "approve", name, "--yes")
        assert done.code == 0, done.err
        call.listed = missy.inside("mcp", "list", name, "--json").json()["servers"][0]["tools"]
        model = serve(
            calls(*((f"{name}__{tool}", arguments) for tool, arguments in wanted)), chat_stream("done")
        )
        configure(model.url)
        with Missy.open() as m:
            m.ask(
                "go", toolbox=Toolbox(use=(), mcp=[name], workspace=str(work)), approve=lambda _: True
            ).text()
        return [told.partition("\n")[2] for told in results(model.last)]

    call: Any = run
    call.work = work
    return call


def test_time(real):
    """mcp-server-time lists its tools and tells the time."""
    (told,) = real("time", [SERVERS / "bin/mcp-server-time"], ("get_current_time", {"timezone": "UTC"}))
    assert json.loads(told)["timezone"] == "UTC"
    assert len(real.listed) == 2


def test_git(real):
    """mcp-server-git reads a repository of the workspace that it is given."""
    subprocess.run(["git", "init", "-q", str(real.work)], check=True)
    (real.work / "new.txt").write_text("x")
    command = [SERVERS / "bin/mcp-server-git", "--repository", real.work]
    (told,) = real("git", command, ("git_status", {"repo_path": str(real.work)}), workspace="read")
    assert "new.txt" in told
    assert len(real.listed) == 12


def test_fetch(real, serve):
    """mcp-server-fetch reaches a host that the policy allows, and no other, through the door."""
    page, other = serve(response(200, b"plain words")), serve(response(200, b"never"))
    policy = {"tool_allowed_hosts": [f"localhost:{page.port}"], "allowed_cidrs": ["127.0.0.0/8", "::1/128"]}
    told = real(
        "fetch", [SERVERS / "bin/mcp-server-fetch", "--ignore-robots-txt", "--allow-private-ips"],
        ("fetch", {"url": f"http://localhost:{page.port}/a"}), ("fetch", {"url": f"http://localhost:{other.port}/b"}),
        policy=policy, network="tool",
    )  # fmt: skip
    assert "plain words" in told[0], told
    assert "403" in told[1] or "proxy" in told[1].lower(), told
    assert (other.connections, len(other.requests)) == (0, 0)


def test_filesystem(real, missy, tmp_path):
    """server-filesystem lists the workspace, and of ten canaries outside it reads none, also where it was told that it may."""
    (real.work / "inside.txt").write_text("inside")
    canaries = [tmp_path / f"canary-{number}" for number in range(8)]
    canaries += [Path.home() / "canary", missy.home / "config.yaml"]
    for path in canaries[:9]:
        path.write_text("SECRET")
    wanted = [("read_text_file", {"path": str(path)}) for path in (real.work / "inside.txt", *canaries)]
    told = real("files", [NODE / "mcp-server-filesystem", "/"], *wanted, workspace="read")
    assert "inside" in told[0]
    assert [text for text in told[1:] if text.strip() == "SECRET" or "base_url" in text] == []
    assert len(told) == 11


def test_everything(real, monkeypatch):
    """server-everything echoes, and its get-env shows no key of ours."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123456789")
    monkeypatch.setenv("CANARY", "canary-in-the-environment")
    echo, environ = real(
        "every", [NODE / "mcp-server-everything", "stdio"], ("echo", {"message": "hello"}), ("get-env", {})
    )
    assert "hello" in echo
    assert "canary" not in environ
    assert set(json.loads(environ)) <= {
        "PATH",
        "HOME",
        "TMPDIR",
        "NO_COLOR",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
    }


def test_the_inspector_accepts_missy(missy, serve):
    """The official inspector lists the tools of `missy mcp serve`, and calls one."""
    missy.entry(serve(chat_stream("Paris")).url)

    def inspect(*more):
        done = subprocess.run(
            [str(NODE / "mcp-inspector"), "--cli", *COMMAND, "mcp", "serve", "--entries", "test", *more],
            env=missy.env(), cwd=missy.home.parent, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    listed = inspect("--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == ["ask", "models", "net_explain", "audit_recent"]
    answer = inspect("--method", "tools/call", "--tool-name", "ask", "--tool-arg", "prompt=capital?")
    assert answer["content"][0]["text"] == "Paris"
