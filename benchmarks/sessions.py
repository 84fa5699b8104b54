"""Conversations at size: ten thousand of them, fifty kills, eight processes in one session.

python benchmarks/sessions.py [killed] [together] [ten_thousand]
It prints what it measured as one JSON object; nothing leaves 127.0.0.1, and its folder is removed afterwards.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.servers import Origin  # noqa: E402
from tests.sessions.conftest import Database, said  # noqa: E402
from tests.sessions.worker import answer_of  # noqa: E402

from missy.sessions import turns  # noqa: E402
from missy.sessions.find import fresh  # noqa: E402
from missy.sessions.records import Outcome, TurnStart  # noqa: E402
from missy.sessions.store import Store  # noqa: E402

SESSIONS, TURNS, KILLS, PROCESSES, ASKS = 10_000, 4, 50, 8, 50
MISSY = (sys.executable, "-m", "missy")
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "st", "lm", "ß", "文")]


def child_seconds(*args: str) -> tuple[float, float, bytes]:
    """Run a command; returns its CPU seconds, its wall seconds and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    out = subprocess.run([*MISSY, *args], stdout=subprocess.PIPE, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(cpu, 3), round(time.monotonic() - began, 3), out


def fill(home: Path) -> float:
    """Store ten thousand conversations of four turns of 1.4 kB; returns seconds."""
    chance, began = random.Random(3), time.monotonic()

    def text(count: int) -> str:
        return " ".join(chance.choices(WORDS, k=count))

    with Store(home / "sessions.db") as store:
        with store.bare() as db:
            db.execute("PRAGMA synchronous = OFF")  # to fill it; what is measured is set as ever
        for number in range(SESSIONS):
            session, parent = fresh(f"talk {number}"), None
            for _ in range(TURNS):
                turn, _ = turns.begin(
                    store, session, TurnStart(text(60), entry="e", model="m"), parent=parent
                )
                turns.finish(store, turn, Outcome("whole", text(200), in_tok=90, out_tok=300))
                parent = turn
    return round(time.monotonic() - began, 1)


def many(home: Path) -> dict[str, Any]:
    """Figures of listing, searching and deleting among ten thousand."""
    figures: dict[str, Any] = {"fill_s": fill(home), "bytes": (home / "sessions.db").stat().st_size}
    figures["version_cpu_s"] = child_seconds("--version")[0]
    figures["list_cpu_s"], figures["list_s"], out = child_seconds("sessions", "list", "--json")
    assert len(json.loads(out)) == 50
    for name, words in (("absent", ["nowherexq"]), ("common", ["ban", "dost"]), ("wide", ["文", "BASS"])):
        figures[f"search_{name}_cpu_s"], figures[f"search_{name}_s"], _ = child_seconds(
            "sessions", "search", "--json", *words
        )
    figures["delete_one_cpu_s"], figures["delete_one_s"], _ = child_seconds(
        "sessions", "delete", "talk 77", "--yes"
    )
    figures["delete_all_cpu_s"], figures["delete_all_s"], _ = child_seconds(
        "sessions", "delete", "--all", "--yes"
    )
    figures["bytes_after"] = (home / "sessions.db").stat().st_size
    return figures


def together(origin: Origin) -> dict[str, Any]:
    """Eight processes, each asking fifty times in one session with the command."""
    loop = f"for n in $(seq {ASKS}); do '{sys.executable}' -m missy ask --session S \"q $1$n\" >/dev/null || exit 1; done"
    origin.requests.clear()
    began = time.monotonic()
    children = [subprocess.Popen(["sh", "-c", loop, "sh", f"{number}0"]) for number in range(PROCESSES)]
    codes = [child.wait() for child in children]
    seconds = round(time.monotonic() - began, 1)
    line = json.loads(child_seconds("sessions", "export", "S", "--format", "json")[2])["turns"]
    lengths = sorted(len(request.json()["messages"]) for request in origin.requests)
    return {
        "exit_codes": codes,
        "seconds": seconds,
        "turns_in_line": len(line),
        "all_whole": all(turn["answer"] == answer_of(turn["prompt"]) for turn in line),
        "each_held_all_before": lengths == list(range(1, 2 * len(line), 2)),
    }


def killed(home: Path) -> dict[str, Any]:
    """Fifty workers, each killed at a moment of chance."""
    chance, acknowledged, broken = random.Random(11), set(), 0
    database = Database(home)
    worker = str(ROOT / "tests" / "sessions" / "worker.py")
    for run in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, worker, "K", str(run * 1000), "900"], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(chance.randrange(4))]
        time.sleep(chance.random() * 0.1)
        child.kill()
        lines += child.communicate()[0].splitlines(keepends=True)
        acknowledged |= {f"q {int(line.split()[1])}" for line in lines if line.endswith(b"\n")}
        broken += database.path.exists() and database.rows("PRAGMA integrity_check") != [("ok",)]
    rows = [row for row in database.turns() if int(row[0].split()[1]) < KILLS * 1000]
    whole = {prompt for prompt, state, _ in rows if state == "whole"}
    return {
        "kills": KILLS,
        "not_whole_files": broken,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - whole),
        "half_as_whole": sum(
            state == "whole" and answer != answer_of(prompt) for prompt, state, answer in rows
        ),
    }


def main() -> None:
    """Measure all of it in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "missy"
        home.mkdir(mode=0o700)
        os.environ.update(MISSY_HOME=str(home), MISSY_CONFIG="")
        origin = Origin(said)
        entry = {"name": "openai", "model": "m", "base_url": origin.url, "max_retries": 0}
        (home / "config.yaml").write_text(json.dumps({"providers": {"test": entry}}), encoding="utf-8")
        parts = {
            "killed": lambda: killed(home),
            "together": lambda: together(origin),
            "ten_thousand": lambda: many(home),
        }
        wanted = sys.argv[1:] or list(parts)
        try:
            figures = {name: parts[name]() for name in wanted}
        finally:
            origin.close()
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
