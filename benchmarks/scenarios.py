"""What is measured: each case is one process that is started, and the figures that come out of it.

Figures of a started process: `cpu`, `wall`, `sent_cpu`, `sent_wall` in ms (`sent`: until the mock had the whole
request), `peak` in MiB, `body` in bytes. Figures of a warm process are what its script prints, named here.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from pathlib import Path

from process import HERE, Failed, run

SHORT, LONG, ENDLESS = 20, 2000, 1_000_000  # chunks of an answer
_ENTRY = "  {name}:\n    name: openai\n    model: gpt-4o\n    base_url: {url}\n    timeout: 120\n"
_MORE_ENTRIES = """\
  groq:
    name: openai
    base_url: https://api.groq.com/openai/v1
    api_key: $GROQ_API_KEY
  openai-codex: {}
"""
_COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "providers": ["providers"],
    "config show": ["config", "show"],
    "net explain": ["net", "explain", "https://api.groq.com/openai/v1"],
    "audit recent": ["audit", "recent"],
    "auth status": ["auth", "status"],
}


class World:
    """Where the cases run: a home of its own, a clean environment, the mock."""

    def __init__(self, folder: Path, mock) -> None:
        self.mock = mock
        self.home = folder / "missy"
        self.home.mkdir(mode=0o700)
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "MISSY_HOME": str(self.home),
            "LLM_USER_PATH": str(folder / "llm"),
            "LANG": "C.UTF-8",
        }
        entries = {"test": SHORT, "one": 1, "long": LONG, "endless": ENDLESS}
        text = "".join(_ENTRY.format(name=name, url=mock.url(count)) for name, count in entries.items())
        self._keep("config.yaml", f"providers:\n{text}{_MORE_ENTRIES}")
        self._keep("secrets/openai-oauth.json", json.dumps(_login()))
        _set_up_llm(folder / "llm", mock.url(SHORT))

    def _keep(self, name: str, text: str) -> None:
        path = self.home / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")

    def time(self, *argv: str) -> dict[str, float]:
        """Measure a command from outside. Raises Failed."""
        return run(list(argv), self.env)[0]

    def time_answer(self, *argv: str) -> dict[str, float]:
        """Measure a command that shows the short answer. Raises Failed."""
        figures, output = run(list(argv), self.env, self.mock)
        if output.decode().split() != ["word"] * SHORT:
            raise Failed(f"{' '.join(argv)} answered: {output[:200]!r}")
        return figures

    def time_first_answer(self) -> dict[str, float]:
        """Measure the first call of an endpoint, or after an upgrade: nothing is remembered. Raises Failed."""
        (self.home / "request-heads.json").unlink(missing_ok=True)
        return self.time_answer(*missy(), "ask", "hi")

    def time_curl(self, curl: str, url: str) -> dict[str, float]:
        """Measure curl with the same body; it shows the stream as it is. Raises Failed."""
        body = json.dumps(
            {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        )
        head = "Content-Type: application/json"
        figures, output = run(
            [curl, "-sSN", "-H", head, "-d", body, f"{url}/chat/completions"], self.env, self.mock
        )
        if output.count(b"data: ") < SHORT:
            raise Failed(f"curl got: {output[:200]!r}")
        return figures

    def ask_script(self, script: str, *args: str) -> list[float]:
        """Return the numbers that a script measured in its own warm process. Raises Failed."""
        self.mock.watch(0)
        return [float(word) for word in run([*_script(script), *args], self.env)[1].split()]


def cases(world: World, scale: int):
    """Return the cases by name, in the order of a round; `scale` divides the counts of the warm ones."""
    answer, url = world.mock.url(SHORT), world.mock.url(1)
    made = {"pass": lambda: world.time(sys.executable, "-c", "pass")}
    for name, args in _COMMANDS.items():
        if name != "auth status" or _knows(world, "auth"):
            made[f"missy {name}"] = lambda args=args: world.time(*missy(), *args)
    made["missy ask"] = lambda: world.time_answer(*missy(), "ask", "hi")
    made["missy first ask"] = world.time_first_answer
    for name in ("sdk", "httpx2", "stdlib"):
        made[f"{name} ask"] = lambda name=name: world.time_answer(*_script(f"ask_{name}.py"), answer)
    if curl := shutil.which("curl"):
        made["curl ask"] = lambda: world.time_curl(curl, answer)
    if llm := os.environ.get("LLM") or shutil.which("llm"):
        made["llm --version"] = lambda: world.time(llm, "--version")
        made["llm ask"] = lambda: world.time_answer(llm, "-m", "mock", "--no-log", "hi")
    for who in ("missy", "sdk"):
        made[f"{who} chunks"] = lambda who=who: _named(
            ["chunk"], world.ask_script("chunks.py", who, world.mock.url(LONG), str(LONG))
        )
        for how in ("streamed", "whole"):
            made[f"{who} warm {how}"] = lambda who=who, how=how: _named(
                ["request"], world.ask_script("warm.py", who, how, url, str(200 // scale))
            )
            made[f"{who} flood {how}"] = lambda who=who, how=how: _named(
                ["rate", "request"], world.ask_script("flood.py", who, how, url, str(2000 // scale))
            )
    made["missy record"] = lambda: _named(
        ["opening", "both"], world.ask_script("record.py", str(2000 // scale))
    )
    return made


def soaks(world: World):
    """Return the cases that are run once: they take long, and what they show does not vary."""
    return {
        f"missy soak {how}": lambda how=how: _named(["growth"], world.ask_script("soak.py", how))
        for how in ("sync", "async")
    }


def missy() -> list[str]:
    """Return the command as it is installed beside this interpreter."""
    installed = Path(sys.executable).with_name("missy")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "missy"]


def _script(name: str) -> list[str]:
    return [sys.executable, str(HERE / "scripts" / name)]


def _named(names: list[str], numbers: list[float]) -> dict[str, float]:
    return dict(zip(names, numbers, strict=True))


def _knows(world: World, command: str) -> bool:
    try:
        world.time(*missy(), command, "--help")
    except Failed:
        return False
    return True


def _login() -> dict[str, object]:
    """Return a login as it is kept on disk, with tokens that nobody issued."""
    claims = {"exp": 4102444800, "https://api.openai.com/auth": {"chatgpt_account_id": "account"}}
    token = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)
    )
    return {
        "version": 1,
        "issuer": "https://auth.openai.com",
        "account_id": "account",
        "access_token": f"{token}.c2ln",
        "refresh_token": "refresh",
        "last_refresh": "2026-01-01T00:00:00Z",
    }


def _set_up_llm(folder: Path, url: str) -> None:
    """Tell `llm` of the mock, the way that its documentation gives for other endpoints."""
    folder.mkdir()
    model = {"model_id": "mock", "model_name": "gpt-4o", "api_base": url, "api_key_name": "mock"}
    (folder / "extra-openai-models.yaml").write_text(json.dumps([model]), encoding="utf-8")
    (folder / "keys.json").write_text('{"mock": "none"}', encoding="utf-8")
