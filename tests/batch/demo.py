"""Bulk work without a key: 200 prompts to a scripted endpoint with a kill in the middle, then five to the local model.

Run: make demo-batch
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers import Crowd

MISSY = (sys.executable, "-m", "missy")
ROWS, LOCAL_ROWS = 200, 5


def say(text: str) -> None:
    """Print a line of the demo at once."""
    print(text, flush=True)


def run(home: Path, *args: str) -> int:
    """Run the command, and show what it says."""
    say(f"\n$ missy {' '.join(args)}")
    return subprocess.run(
        [*MISSY, *args], env={**os.environ, "MISSY_HOME": str(home)}, check=False
    ).returncode


def scripted(folder: Path) -> None:
    """Kill a run in the middle, run it again, and count what was asked."""
    home, prompts, out = folder / "home", folder / "tickets.jsonl", folder / "answers.jsonl"
    home.mkdir(mode=0o700)
    prompts.write_text("".join(json.dumps({"id": n, "text": f"ticket {n}"}) + "\n" for n in range(ROWS)))
    with Crowd(delay=0.05) as server:
        config = home / "config.yaml"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"providers": {"demo": {"name": "openai", "base_url": server.url}}}))
        args = ("batch", "run", str(prompts), "-o", str(out), "--template", "Bug or wish? {text}")
        say(f"{ROWS} prompts; the process is killed (SIGKILL) when half of them are asked")
        child = subprocess.Popen([*MISSY, *args], env={**os.environ, "MISSY_HOME": str(home)})
        server.wait_asked(ROWS // 2)
        child.kill()
        child.wait()
        say(f"killed: {len(server.asked)} prompts were asked; is there an answers.jsonl? {out.exists()}")
        run(home, "batch", "status", "tickets")
        code = run(home, *args)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        say(f"exit {code}; {len(rows)} rows in order: {[row['row'] for row in rows] == list(range(ROWS))}")
        say(f"asked in all: {server.requests}; asked twice: {server.twice}; lost: {ROWS - len(server.asked)}")
        if code or len(rows) != ROWS or len(server.asked) != ROWS:
            sys.exit(1)


def local(folder: Path, home: Path) -> None:
    """Ask the real model on this machine."""
    prompts = folder / "capitals.jsonl"
    countries = ("France", "Italy", "Spain", "Japan", "Egypt")[:LOCAL_ROWS]
    prompts.write_text(
        "".join(json.dumps({"prompt": f"What is the capital of {c}?"}) + "\n" for c in countries)
    )
    args = (
        "batch",
        "run",
        str(prompts),
        "--provider",
        "local",
        "--max-tokens",
        "24",
        "--job",
        "demo-capitals",
    )
    say("\nnow five prompts to the real model on this machine")
    code = run(home, *args)
    run(home, "batch", "delete", "demo-capitals")
    if code not in (0, 6):  # a small model may talk on and on
        sys.exit(code)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        scripted(Path(made))
        local(Path(made), Path(sys.argv[1]))
