"""The whole way of a ChatGPT login without an account: `python -m tests.simulator` (add --tls for the true host names).

Starts the simulator, signs in with a scripted browser, asks, shows status and limits, and logs out. With --serve it
only starts the servers and prints a config for them. With --siwc it shows Sign in with ChatGPT instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.simulator import Simulator
from tests.simulator.browser import Page, visit
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_issuer import PLAN_SCOPE

MISSY = (sys.executable, "-m", "missy")


def say(text: str) -> None:
    """Print a line of the demo at once."""
    print(text, flush=True)


def run(home: Path, *words: str) -> int:
    """Run one command as a user would, and show it."""
    say(f"\n$ missy {' '.join(words)}")
    env = {**os.environ, "MISSY_HOME": str(home)}
    return subprocess.run([*MISSY, *words], env=env, stdin=subprocess.DEVNULL, check=False).returncode


def log_in(home: Path, words: tuple[str, ...], browse: Callable[[str], Page]) -> int:
    """Log in: read the address from stdout, open it in the scripted browser, wait for the end."""
    say(f"\n$ missy {' '.join(words)}")
    env = {**os.environ, "MISSY_HOME": str(home)}
    with subprocess.Popen(
        [*MISSY, *words], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        say(address)
        say(f"[browser] {browse(address).text.strip()}")
        for line in process.stdout:
            say(line.rstrip())
    return process.returncode


def write_config(home: Path, text: str) -> None:
    """Make the home with this configuration."""
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(text)
    (home / "config.yaml").chmod(0o600)


def show_codex(folder: Path, words: list[str]) -> list[int]:
    """Show the login of the ChatGPT backend; return the exit codes."""
    home = folder / "missy"
    with Simulator(tls_folder=folder if "--tls" in words else None) as simulator:
        simulator.backend.reset_at = int(time.time()) + 3600
        write_config(home, simulator.config())
        if "--serve" in words:
            say(simulator.config())
            threading.Event().wait()

        def browse(address: str) -> Page:
            # under TLS the true name leads to the internet: the browser goes to the simulator's own port instead
            local = address.replace("https://auth.openai.com", simulator.issuer_origin.url)
            return visit(local, simulator.ca_bundle)

        codes = [log_in(home, ("auth", "login", "--no-open"), browse)]
        codes += [run(home, *line) for line in (
            ("providers",), ("models", "--provider", "openai-codex"), ("ask", "Say hello."),
            ("auth", "status", "--refresh"), ("usage",), ("auth", "logout"), ("auth", "status"),
        )]  # fmt: skip
        say(
            f"\nthe servers were asked {len(simulator.journal)} times; refresh tokens sent: {simulator.renewals}"
        )
    return codes


def show_siwc(folder: Path) -> list[int]:
    """Show Sign in with ChatGPT: a person who declines the use of the plan first, and allows it then."""
    home = folder / "missy"
    with SiwcSimulator(folder) as simulator:
        write_config(home, json.dumps({"network": simulator.network}))
        login = ("auth", "login", "chatgpt", "--no-open")
        simulator.issuer.declines = frozenset({PLAN_SCOPE})
        codes = [log_in(home, login, simulator.visit), abs(run(home, "ask", "Say hello.") - 4)]
        simulator.issuer.declines = frozenset()
        codes += [log_in(home, (*login, "--enable-plan"), simulator.visit)]
        codes += [run(home, *line) for line in (
            ("providers",), ("models",), ("ask", "Say hello."), ("ask", "--session", "talk", "And again."),
            ("auth", "status"), ("usage",), ("doctor",), ("auth", "logout", "chatgpt"), ("auth", "status"),
        )]  # fmt: skip
        say(f"\nthe servers were asked {len(simulator.journal)} times, all through {simulator.proxy.url}")
    return codes


def main(words: list[str]) -> int:
    """Run a demo; the exit code is 0 when every step's is what it should be."""
    with tempfile.TemporaryDirectory() as folder:
        return max(show_siwc(Path(folder)) if "--siwc" in words else show_codex(Path(folder), words))


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
