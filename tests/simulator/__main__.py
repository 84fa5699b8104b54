"""The whole way of a ChatGPT login without an account: `python -m tests.simulator` (add --tls for the true host names).

Starts the simulator, signs in with a scripted browser, asks, shows status and limits, and logs out. With --serve it
only starts the servers and prints a config for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.simulator import Simulator
from tests.simulator.browser import visit

MISSY = (sys.executable, "-m", "missy")


def say(text: str) -> None:
    """Print a line of the demo at once."""
    print(text, flush=True)


def run(home: Path, *words: str) -> int:
    """Run one command as a user would, and show it."""
    say(f"\n$ missy {' '.join(words)}")
    env = {**os.environ, "MISSY_HOME": str(home)}
    return subprocess.run([*MISSY, *words], env=env, stdin=subprocess.DEVNULL, check=False).returncode


def log_in(home: Path, simulator: Simulator) -> int:
    """Log in: read the address from stdout, open it in the scripted browser, wait for the end."""
    say("\n$ missy auth login --no-open")
    env = {**os.environ, "MISSY_HOME": str(home)}
    command = [*MISSY, "auth", "login", "--no-open"]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        say(address)
        # under TLS the true name leads to the internet: the browser goes to the simulator's own port instead
        local = address.replace("https://auth.openai.com", simulator.issuer_origin.url)
        say(f"[browser] {visit(local, simulator.ca_bundle).text.strip()}")
        for line in process.stdout:
            say(line.rstrip())
    return process.returncode


def main(words: list[str]) -> int:
    """Run the demo; the exit code is 0 when every step's is."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "missy"
        home.mkdir(mode=0o700)
        with Simulator(tls_folder=Path(folder) if "--tls" in words else None) as simulator:
            simulator.backend.reset_at = int(time.time()) + 3600
            (home / "config.yaml").write_text(simulator.config())
            (home / "config.yaml").chmod(0o600)
            if "--serve" in words:
                say(simulator.config())
                threading.Event().wait()
            codes = [log_in(home, simulator)]
            codes += [run(home, *line) for line in (
                ("providers",), ("models", "--provider", "openai-codex"), ("ask", "Say hello."),
                ("auth", "status", "--refresh"), ("usage",), ("auth", "logout"), ("auth", "status"),
            )]  # fmt: skip
            say(
                f"\nthe servers were asked {len(simulator.journal)} times; refresh tokens sent: {simulator.renewals}"
            )
    return max(codes)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
