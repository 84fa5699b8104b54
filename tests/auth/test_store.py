"""The login file, broken off at every system call: it holds the old login or the new one, always."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from missy import files
from tests.auth.place import write_at

REPOSITORY = Path(__file__).parents[2]
CALLS = ("openat", "mkdir", "lstat", "newfstatat", "fstat", "fchmod", "flock", "getdents64", "write", "fsync", "rename",
         "renameat", "renameat2", "unlink", "unlinkat", "ftruncate", "close", "fcntl")  # fmt: skip
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed: no system call can be broken"
    ),
]


def traced(log: Path, where: str, new: str, inject: str | None = None) -> subprocess.CompletedProcess:
    """Run one write under strace."""
    rules = ["-e", f"inject={inject}"] if inject else []
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(log),
        "-e",
        "trace=" + ",".join(f"?{c}" for c in CALLS),
        *rules,
    ]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.run(
        [*command, sys.executable, "-m", "tests.auth.writer", where, new],
        env=env,
        cwd=REPOSITORY,
        capture_output=True,
        timeout=60,
        check=False,
    )


def split(log: Path) -> tuple[Counter, list[str]]:
    """Return how often each call was made before the marker, and the calls after it in order."""
    names = []
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r"\d+\s+(\w+)\(", line)
        if found:
            names.append("MARKER" if "no-such-place" in line else found[1])
    at = names.index("MARKER")
    return Counter([*names[:at], "mkdir"]), [name for name in names[at + 1 :] if name in CALLS]


def test_a_write_that_breaks_anywhere_leaves_a_login(anyone, tmp_path):
    """Killed, out of space, or with a broken disk at each call: old or new, readable, and the next write works."""
    old = anyone.signs_in()
    raw = anyone.path.read_bytes()
    fresh = tmp_path / "secrets" / "new.json"
    there = {**anyone.where, "path": str(fresh)}
    write_at(there, anyone.other_tokens(old))
    new_raw = fresh.read_bytes()
    places = json.dumps(anyone.where), json.dumps(there)
    log = tmp_path / "strace.log"
    first = traced(log, *places)
    if first.returncode != 0 and b"ptrace" in first.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    assert first.returncode == 0, first.stderr
    before, after = split(log)
    assert {"openat", "write", "fsync", "close"} <= set(after)
    assert any(name.startswith("rename") for name in after)
    outcomes: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    trials = 0
    for name in dict.fromkeys(after):
        for number in range(after.count(name)):
            for fault in FAULTS:
                files.write_private(anyone.path, raw)
                done = traced(log, *places, f"{name}:{fault}:when={before[name] + number + 1}")
                found = anyone.path.read_bytes()
                assert found in (raw, new_raw), (name, number, fault)
                assert anyone.stored is not None
                if done.returncode == 0:
                    assert found == new_raw, (name, number, fault, "said that it was written, and it was not")
                killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
                assert killed == fault.startswith("signal"), (name, number, fault, done)
                codes[done.returncode] += 1
                outcomes["new" if found == new_raw else "old"] += 1
                trials += 1
    anyone.store(old)  # whatever was left lying about is in nobody's way
    assert anyone.stored.refresh_token == old.refresh_token
    assert trials >= 60
    assert outcomes["old"] > 0
    assert outcomes["new"] > 0
    print(f"{trials} trials: {dict(outcomes)}, exit codes {dict(codes)}")


RENEW = """
from tests.auth.racer import attempt
print(attempt({where!r}), flush=True)
"""


def renew(anyone, tmp_path, inject):
    code = RENEW.format(where=anyone.where)
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(tmp_path / "log"),
        "-e",
        "trace=/^rename",
        "-e",
        f"inject={inject}",
    ]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        env=env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    return done


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_full_disk_before_the_request_spends_nothing(anyone, tmp_path, error):
    """Where the disk fails from the start, no token request is made and the login is whole."""
    login = anyone.signs_in(lifetime=-1)
    done = renew(anyone, tmp_path, f"/^rename:error={error}:when=1+")
    assert "was not renewed" in done.stdout
    assert anyone.simulator.renewals == 0
    assert anyone.stored.refresh_token == login.refresh_token


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_after_the_request_gets_the_pair_later(anyone, tmp_path, error):
    """The first write after the answer fails: the process has its token, and leaves the new pair on disk."""
    anyone.signs_in(lifetime=-1)
    done = renew(anyone, tmp_path, f"/^rename:error={error}:when=2")
    assert anyone.simulator.renewals == 1
    assert done.stdout.strip() == anyone.stored.access_token.reveal()[-24:]
    assert anyone.owns(anyone.stored.refresh_token)
