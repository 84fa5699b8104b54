"""A run that is killed, stopped or out of disk: nothing stored is asked again, and nothing is said to be stored that is not."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from missy.batch.job import COMMIT_ROWS
from missy.batch.journal import Journal
from tests.batch.conftest import read_out
from tests.command import SAFETY, Command

CONCURRENCY = 8


@pytest.mark.slow
def test_killed_at_random_moments(missy: Command, crowd, prompts, tmp_path):
    """SIGKILL five times: the job is complete in the end, and each kill costs at most what was under way, and a commit."""
    server = crowd(delay=0.02)
    missy.entry(server.url)
    path, out = str(prompts(400)), tmp_path / "o.jsonl"
    args = ("batch", "run", path, "-o", str(out), "--concurrency", str(CONCURRENCY))
    for part in range(1, 6):
        child = missy.start(*args)
        server.wait_asked(min(part * 60 + random.randrange(15), 390))
        child.kill()
        child.communicate()
        assert not out.exists()
    assert missy(*args).code == 0
    told = missy("batch", "status", "in", "--json").json()
    assert [row["row"] for row in read_out(out)] == list(range(400))
    assert len(server.asked) == 400
    assert server.twice <= told["asked_twice_at_most"] <= 5 * (CONCURRENCY + COMMIT_ROWS)
    assert server.twice <= 5 * CONCURRENCY  # lines are written at once: a kill loses no line


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order(missy: Command, crowd, prompts, tmp_path, number, code):
    """Ctrl-C or SIGTERM: what was answered is stored, the exit code says so, and the job goes on later."""
    server = crowd(delay=0.05)
    missy.entry(server.url)
    path, out = str(prompts(60)), str(tmp_path / "o.jsonl")
    child = missy.start("batch", "run", path, "-o", out)
    server.wait_asked(20)
    child.send_signal(number)
    _, err = child.communicate(timeout=SAFETY)
    assert child.returncode == code
    assert b"missy batch resume in" in err
    assert b"Traceback" not in err
    asked = server.requests
    assert missy("batch", "resume", "in").code == 0
    assert len(server.asked) == 60
    assert server.requests - asked >= 1


def test_cancel_stops_the_process_that_runs_it(missy: Command, crowd, prompts, tmp_path):
    """`batch cancel` ends a run in another process; meanwhile nobody else can run or delete the job."""
    server = crowd(delay=0.1)
    missy.entry(server.url)
    child = missy.start("batch", "run", str(prompts(500)), "-o", str(tmp_path / "o.jsonl"))
    server.wait_asked(5)
    assert missy("batch", "resume", "in").code == 2
    assert missy("batch", "delete", "in").code == 2
    assert missy("batch", "status", "in", "--json").json()["state"] == "running"
    assert missy("batch", "cancel", "in").code == 0
    child.communicate(timeout=SAFETY)
    assert child.returncode == 143
    assert missy("batch", "cancel", "in").err == "missy: job in is not running\n"


def _filled(path: Path, rows: int) -> None:
    journal = Journal(path, write=True)
    for row in range(rows):
        kind = "incomplete" if row % 3 == 2 else ""
        journal.append(
            row, f"{row:016x}", kind, row * 10, 15, json.dumps({"row": row, "text": "ü}}\n"}).encode()
        )
    journal.close()


def test_a_journal_cut_at_any_byte_loses_the_torn_line_alone(home: Path):
    """Cut at every byte of its last two lines, the journal keeps every whole line, and goes on cleanly after them."""
    path = home / "jobs" / "j" / "answers.jsonl"
    _filled(path, 6)
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    for size in range(ends[3], len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = sum(end <= size for end in ends)
        journal = Journal(path, write=True)
        assert [bool(journal.state(row)) for row in range(6)] == [row < kept for row in range(6)]
        journal.append(5, "f" * 16, "", 1, 1, b'{"row":5}')
        journal.close()
        again = Journal(path, write=False)
        assert again.damaged == 0
        assert again.state(5) == "done"
        assert again.totals.done + sum(again.totals.failed.values()) == min(kept, 5) + 1
        again.close()


def test_a_cut_journal_costs_one_question(missy: Command, crowd, prompts, tmp_path):
    """The command on a journal whose last line is torn asks that row again, and no other."""
    server = crowd()
    missy.entry(server.url)
    path, out = str(prompts(5)), tmp_path / "o.jsonl"
    missy("batch", "run", path, "-o", str(out))
    journal = missy.home / "jobs" / "in" / "answers.jsonl"
    torn = json.loads(journal.read_bytes().splitlines()[-1])["row"]
    journal.write_bytes(journal.read_bytes()[:-7])
    assert missy("batch", "run", path, "-o", str(out)).code == 0
    assert server.asked == {f"prompt {n}": 1 + (n == torn) for n in range(5)}
    assert len(read_out(out)) == 5


def test_a_success_beats_a_failure(home: Path):
    """A line of a failure after one of a success of the same request changes nothing; after another request it counts."""
    path = home / "jobs" / "j" / "answers.jsonl"
    journal = Journal(path, write=True)
    journal.append(0, "a" * 16, "", 5, 1, b'{"n":1}')
    journal.append(0, "a" * 16, "provider", 0, 0, b'{"n":2}')
    assert (journal.state(0), journal.at(0).out, journal.totals.paid) == ("done", b'{"n":1}', 5)
    journal.append(0, "b" * 16, "provider", 0, 0, b'{"n":3}')
    assert (journal.state(0), journal.totals.done, journal.totals.failed) == ("fail", 0, {"provider": 1})
    journal.forget(0)
    journal.close()
    again = Journal(path, write=False)
    assert (again.rows, again.state(0), again.totals.failed["provider"]) == (0, "", 0)
    again.close()


_FULL = """
import json, resource, signal, sys
from pathlib import Path
from missy.batch.journal import Journal
from missy.errors import MissyError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
journal = Journal(Path(sys.argv[1]), write=True)
for row in range(100):
    try:
        journal.append(row, "a" * 16, "", 1, 1, b'{"text":"' + b"x" * 60 + b'"}')
    except MissyError as error:
        print(row, error.exit_code, journal.state(row) == "")
        break
"""


def test_a_full_disk_marks_nothing_as_stored_that_is_not(home: Path):
    """A line that the disk does not take is an error (1): the row counts as not answered, and no part of a line stays."""
    path = home / "jobs" / "j" / "answers.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True
    )
    row, code, absent = done.stdout.split()
    assert (code, absent) == ("1", "True")
    journal = Journal(path, write=False)
    assert (journal.rows, journal.damaged) == (int(row), 0)
    assert path.read_bytes().endswith(b"}}\n")
    journal.close()


def test_a_run_on_a_full_disk_ends_with_1_and_goes_on_later(missy: Command, crowd, prompts, tmp_path):
    """The command that cannot write ends with 1; run again with room, it completes, and asks few rows twice."""
    server = crowd()
    missy.entry(server.url)
    path, out = str(prompts(120)), str(tmp_path / "o.jsonl")

    def tight() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    full = missy("batch", "run", path, "-o", out, preexec_fn=tight)
    assert full.code == 1, full.err
    assert missy("batch", "run", path, "-o", out).code == 0
    assert len(read_out(Path(out))) == 120
    assert server.twice <= CONCURRENCY * 2
