"""The login file, broken off at every system call: it holds the old login or the new one, always."""

from __future__ import annotations

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
from missy.auth.login import load, store
from missy.auth.oauth import Tokens

WRITER = Path(__file__).with_name("writer.py")
CALLS = ("openat", "mkdir", "lstat", "newfstatat", "fstat", "fchmod", "flock", "getdents64", "write", "fsync", "rename",
         "renameat", "renameat2", "unlink", "unlinkat", "ftruncate", "close", "fcntl")  # fmt: skip
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed: no system call can be broken"
    ),
]


def traced(log: Path, path: Path, new: Path, inject: str | None = None) -> subprocess.CompletedProcess:
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
        [*command, sys.executable, str(WRITER), str(path), str(new)],
        env=env,
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


def test_a_write_that_breaks_anywhere_leaves_a_login(person, tmp_path):
    """Killed, out of space, or with a broken disk at each call: old or new, readable, and the next write works."""
    old = person.signs_in()
    raw = person.path.read_bytes()
    fresh = tmp_path / "secrets" / "new.json"
    store(fresh, old.renewed(Tokens(None, None, None), 5.0))
    new_raw = fresh.read_bytes()
    log = tmp_path / "strace.log"
    first = traced(log, person.path, fresh)
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
                files.write_private(person.path, raw)
                done = traced(log, person.path, fresh, f"{name}:{fault}:when={before[name] + number + 1}")
                found = person.path.read_bytes()
                assert found in (raw, new_raw), (name, number, fault)
                assert load(person.path) is not None
                if done.returncode == 0:
                    assert found == new_raw, (name, number, fault, "said that it was written, and it was not")
                killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
                assert killed == fault.startswith("signal"), (name, number, fault, done)
                codes[done.returncode] += 1
                outcomes["new" if found == new_raw else "old"] += 1
                trials += 1
    store(person.path, old)  # whatever was left lying about is in nobody's way
    assert load(person.path).refresh_token == old.refresh_token
    assert trials >= 60
    assert outcomes["old"] > 0
    assert outcomes["new"] > 0
    print(f"{trials} trials: {dict(outcomes)}, exit codes {dict(codes)}")


RENEW = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from racer import attempt
print(attempt(Path({path!r}), {issuer!r}), flush=True)
"""


def renew(person, simulator, tmp_path, inject):
    code = RENEW.format(tests=str(WRITER.parent), path=str(person.path), issuer=simulator.issuer_url)
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
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    return done


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_full_disk_before_the_request_spends_nothing(person, simulator, tmp_path, error):
    """Where the disk fails from the start, no token request is made and the login is whole."""
    login = person.signs_in(lifetime=-1)
    done = renew(person, simulator, tmp_path, f"/^rename:error={error}:when=1+")
    assert "was not renewed" in done.stdout
    assert simulator.renewals == 0
    assert person.stored.refresh_token == login.refresh_token


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_after_the_request_gets_the_pair_later(person, simulator, tmp_path, error):
    """The first write after the answer fails: the process has its token, and leaves the new pair on disk."""
    person.signs_in(lifetime=-1)
    done = renew(person, simulator, tmp_path, f"/^rename:error={error}:when=2")
    assert simulator.renewals == 1
    assert done.stdout.strip() == person.stored.access_token.reveal()[-24:]
    family = simulator.issuer.refresh_tokens[person.stored.refresh_token.reveal()]
    assert family.refresh == person.stored.refresh_token.reveal()
