"""Missy as an MCP server of the Codex command line, which is asked by a scripted endpoint to call a tool of Missy's."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command import COMMAND
from tests.servers import chat_stream, response, sse

CODEX = shutil.which("codex")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CODEX is None, reason="there is no codex on PATH"),
    # It is somebody else's program: nothing that it may look up at its start leaves this machine.
    pytest.mark.skipif(
        [name for _, name in socket.if_nameindex()] != ["lo"],
        reason="only where loopback is the whole network: make test-mcp",
    ),
]


def _replies(request: Any, wire: Any = None) -> bytes:
    """Answer as the endpoint of Codex, which has Missy's tool called, and as that of Missy's entry."""
    if request.path.endswith("/chat/completions"):
        return chat_stream("Paris")
    if not request.path.endswith("/responses"):
        return response(404, b"{}")
    body = request.json()
    if body["input"][-1]["type"] == "function_call_output":
        part = {"type": "output_text", "text": "The tool was asked.", "annotations": []}
        item = {"type": "message", "id": "m1", "role": "assistant", "content": [part]}
    else:
        arguments = json.dumps({"prompt": "What is the capital of France?"})
        item = {
            "type": "function_call",
            "id": "f1",
            "call_id": "c1",
            "namespace": "mcp__missy",
            "name": "ask",
            "arguments": arguments,
        }
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2,
        "input_tokens_details": None,
        "output_tokens_details": None,
    }
    events = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "usage": usage}},
    ]
    return response(200, sse(*events), kind="text/event-stream")


def test_codex_asks_missy(missy, serve, tmp_path: Path):
    """`codex mcp add missy` offers Missy's tools to its model, a call gets the answer of the entry, and it is on record."""
    origin = serve(_replies)
    missy.entry(origin.url)
    home = tmp_path / "codex"
    home.mkdir()
    environment = {**missy.env(), "HOME": str(home), "CODEX_HOME": str(home)}

    def codex(*args: str) -> str:
        done = subprocess.run(
            [str(CODEX), *args], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return (done.stdout + done.stderr).decode()

    kept = [word for name in ("MISSY_HOME", "PATH") for word in ("--env", f"{name}={environment[name]}")]
    codex("mcp", "add", "missy", *kept, "--", *COMMAND, "mcp", "serve", "--entries", "test")
    settings = {
        "model_providers.mock": f'{{name="mock",base_url="{origin.url}",wire_api="responses"}}',
        "model_provider": '"mock"',
        "mcp_servers.missy.required": "true",
        "mcp_servers.missy.startup_timeout_sec": "60",
        "mcp_servers.missy.default_tools_approval_mode": '"approve"',
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    told = codex(
        "exec", "--skip-git-repo-check", "-m", "mock", *options, "Ask Missy for the capital of France."
    )
    assert "The tool was asked." in told
    asked = [one for one in origin.requests if one.path.endswith("/responses")]
    offered = next(tool["tools"] for tool in asked[0].json()["tools"] if tool.get("name") == "mcp__missy")
    assert sorted(tool["name"] for tool in offered) == ["ask", "audit_recent", "models", "net_explain"]
    assert "Paris" in json.dumps(asked[-1].json()["input"][-1]["output"])
    assert missy.inside("audit", "recent", "--json").text.count('"entry": "test"') >= 1
