"""Many processes in one session, and processes that are killed: no turn is lost, and none is half."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import SAFETY
from tests.sessions.worker import answer_of

PROCESSES, EACH = 4, 4
WORKER = Path(__file__).parent / "worker.py"


def start(missy, *args) -> subprocess.Popen[bytes]:
    """Start a worker."""
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, args)],
        env=missy.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_processes_take_turns(missy, origin, database):
    """Four processes ask in one session that is new to all of them: one session, every turn in its one line."""
    workers = [start(missy, "s", number * 100, EACH) for number in range(PROCESSES)]
    try:
        for worker in workers:
            out, err = worker.communicate(timeout=4 * SAFETY)
            assert (worker.returncode, len(out.splitlines())) == (0, EACH), err.decode()
    finally:
        for worker in workers:
            worker.kill()
    (session,) = missy.inside("sessions", "list", "--json").json()
    turns = missy.inside("sessions", "show", "s", "--json").json()["turns"]
    assert session["turns"] == len(turns) == PROCESSES * EACH
    assert [turn["n"] for turn in turns] == list(range(1, PROCESSES * EACH + 1))
    assert {turn["prompt"] for turn in turns} == {
        f"q {number * 100 + n}" for number in range(PROCESSES) for n in range(EACH)
    }
    assert all((turn["state"], turn["answer"]) == ("whole", answer_of(turn["prompt"])) for turn in turns)
    # each request held all turns before it, and no other
    assert sorted(len(request.json()["messages"]) for request in origin.requests) == list(
        range(1, 2 * len(turns), 2)
    )


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_whole_answer_and_makes_no_half_one(missy, origin, database):
    """After SIGKILL: the file is whole, what was acknowledged is there, and `whole` means whole. Bounded; more in benchmarks."""
    chance = random.Random(7)
    acknowledged: set[str] = set()
    for run in range(8):
        worker = start(missy, "s", run * 1000, 500)
        for _ in range(chance.randrange(4)):
            acknowledged.add(f"q {int(worker.stdout.readline().split()[1])}")
        time.sleep(chance.random() * 0.05)  # the moment of the kill, which nothing tells
        worker.kill()
        rest = worker.communicate()[0]
        acknowledged |= {
            f"q {int(line.split()[1])}" for line in rest.splitlines(keepends=True) if line.endswith(b"\n")
        }
        assert database.path.exists() is False or database.rows("PRAGMA integrity_check") == [("ok",)]
    whole = {
        prompt
        for prompt, state, answer in database.turns()
        if state == "whole" and answer == answer_of(prompt)
    }
    assert acknowledged <= whole
    assert len(acknowledged) >= 8
    assert [row for row in database.turns() if row[1] == "whole" and row[2] != answer_of(row[0])] == []
    turns = missy.inside("sessions", "show", "s", "--json").json()["turns"]
    assert {turn["state"] for turn in turns} <= {"whole", "cut"}
    assert missy.inside("sessions", "check").code == 0
    assert missy.inside("ask", "--session", "s", "q 1").code == 0
