"""A real Chromium, driven over the pipe of its DevTools protocol: no package and no port is needed for it."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.command import SAFETY

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


class Browser:
    """One page of a browser. `console` is what the page said there, `requested` the URLs that it asked for."""

    def __init__(self, program: str, profile: Path) -> None:
        command_end, self._write = os.pipe()
        self._read, reply_end = os.pipe()
        # It reads commands from descriptor 3 and writes replies to 4.
        script = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
        shell = [
            "bash",
            "-c",
            script,
            str(command_end),
            str(reply_end),
            program,
            *_OPTIONS,
            f"--user-data-dir={profile}",
        ]
        self._process = subprocess.Popen(
            shell, pass_fds=(command_end, reply_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(command_end)
        os.close(reply_end)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = 0
        self.console: list[str] = []
        self.requested: list[str] = []

    def __enter__(self) -> Self:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(SAFETY)
        os.close(self._write)
        os.close(self._read)

    def resize(self, width: int, scheme: str) -> None:
        """Set the width of the window in pixels, and light or dark."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._and_load(lambda: self._call("Page.navigate", url=url))

    def submit(self, form: str) -> None:
        """Submit a form, and wait until the next page is loaded."""
        self._and_load(lambda: self.evaluate(f"document.querySelector('{form}').requestSubmit()"))

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self) -> str:
        """Return the text of the page."""
        return str(self.evaluate("document.body.innerText"))

    def picture(self, path: Path) -> None:
        """Save a picture of the whole page."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _and_load(self, act: Any) -> None:
        before = self._loaded
        act()
        while self._loaded == before:
            self._take()

    def _call(self, method: str, **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._take()
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def _take(self) -> dict[str, Any]:
        """Return the next message, and note what it tells of the page."""
        ends = time.monotonic() + SAFETY
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], ends - time.monotonic())
            data = os.read(self._read, 1 << 20) if ready else b""
            assert data, "the browser has ended, or says nothing"
            self._buffer += data
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        params = message.get("params", {})
        if message.get("method") == "Page.loadEventFired":
            self._loaded += 1
        elif message.get("method") == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif message.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.console.append(str(params))
        elif message.get("method") == "Log.entryAdded" and not _is_expected(params["entry"]):
            self.console.append(str(params["entry"]))
        return message


def _is_expected(entry: dict[str, Any]) -> bool:
    """Tell whether an entry only repeats that a wrong key was refused with 401."""
    return entry.get("source") == "network" and "401" in entry.get("text", "")
