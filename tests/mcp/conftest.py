"""A server of tools in the sandbox whose behaviour a test sets, and a model that calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from missy import Missy, Toolbox
from missy.sandbox import probe
from tests.command import Command
from tests.servers import chat_stream
from tests.toolbox.conftest import calls, results

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
SCRIPT = Path(__file__).with_name("hostile.py")
boxed = pytest.mark.skipif(probe.try_levels().level is None, reason="this machine gives no sandbox")


class Hostile:
    """The server `x`: its entry, its behaviour, and what one answer makes of calling it."""

    def __init__(self, missy: Command, folder: Path, serve: Callable[..., Any]) -> None:
        self.missy = missy
        self.folder = folder
        self.serve = serve
        self.settings: dict[str, Any] = {}
        self.answer: Any = None
        self.origin: Any = None
        self.notices: list[str] = []

    def entry(self, **fields: Any) -> None:
        """Write the configuration with the server."""
        self.settings = fields
        command = [sys.executable, "-I", "-S", str(SCRIPT), str(self.folder)]
        server = {"command": command, "read": [str(self.folder)], "seconds": 30, **fields}
        self.missy.config(
            {
                "providers": {
                    "test": {"name": "openai", "model": "m", "base_url": self._url(), "max_retries": 0}
                },
                "mcp": {"x": server},
            }
        )

    def _url(self) -> str:
        return self.origin.url if self.origin is not None else "http://127.0.0.1:9/v1"

    def mode(self, name: str) -> None:
        """Set how it behaves from its next start on."""
        (self.folder / "mode").write_text(name)

    def tools(self, *tools: dict[str, Any]) -> None:
        """Set the tools that it lists."""
        (self.folder / "tools").write_text(json.dumps(tools))

    def approve(self, *names: str) -> Any:
        """Approve its tools as they are now, by the command."""
        done = self.missy.inside("mcp", "approve", "x", *names, "--yes")
        assert done.code == 0, done.err
        return done

    def call(self, *wanted: Any, approve: Any = lambda _: True, **box: Any) -> list[str]:
        """Let a model call its tools once; returns what the model was told."""
        wanted = wanted or (("x__echo", {"text": "hello"}),)
        self.origin = self.serve(calls(*wanted), chat_stream("done"))
        self.entry(**self.settings)
        self.notices = []
        with Missy.open(notice=self.notices.append) as m:
            toolbox = Toolbox(**{"use": (), "mcp": ["x"], **box})
            self.answer = m.ask("go", toolbox=toolbox, approve=approve)
            events = list(self.answer)
        self.notices += [event.text for event in events if type(event).__name__ == "Notice"]
        return results(self.origin.last)


@pytest.fixture
def hostile(missy: Command, tmp_path: Path, serve: Callable[..., Any]) -> Hostile:
    """The server, in the configuration and not approved yet."""
    folder = tmp_path / "server"
    folder.mkdir()
    made = Hostile(missy, folder, serve)
    made.entry()
    return made
