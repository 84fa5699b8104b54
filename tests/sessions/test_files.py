"""sessions.db as a file: private, whole, of a schema that is known, and never waited for without end."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from missy.errors import MissyError
from missy.sessions import files, schema
from missy.sessions.store import Store
from tests.command import SAFETY
from tests.servers import Gate, chat_chunk, event_stream, sse
from tests.sessions.opener import PROCESSES


def modes(home):
    """Mode of each file and folder under a home, by name."""
    return {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*") if path.name != "config.yaml"
    }


def test_every_file_is_private_from_the_first_moment(missy, serve, home):
    """Database, log, shared memory and locks are 0600 and their folders 0700, whatever the umask, while an answer comes."""
    gate = Gate()
    seen = {}

    def look(_request, _wire):
        seen.update(modes(home))
        return event_stream(sse(chat_chunk("x")), gate, sse(chat_chunk({}, "stop"), "[DONE]"))

    missy.entry(serve(look).url)
    gate.open()
    assert missy("ask", "--session", "s", "hi", preexec_fn=lambda: os.umask(0)).code == 0
    assert {"sessions.db", "sessions.db-wal", "sessions.db-shm", "locks"} <= seen.keys()
    assert any(name.startswith("session-") for name in seen)
    assert {name: mode for name, mode in seen.items() if mode not in (0o600, 0o700)} == {}
    assert list((home / "locks").iterdir()) == []


def test_each_connection_is_set_as_it_must_be(home, database):
    """WAL, every commit on the disk, deleted bytes written over, and marks by which the file is known."""
    home.mkdir(mode=0o700)
    with Store(home / "sessions.db") as store, store.bare() as db:
        found = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "trusted_schema", "auto_vacuum",
                         "cell_size_check", "temp_store", "application_id", "user_version", "busy_timeout")
        }  # fmt: skip
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "trusted_schema": 0,
        "auto_vacuum": 2, "cell_size_check": 1, "temp_store": 2, "application_id": 0x4D697373, "user_version": 1,
        "busy_timeout": 10_000,
    }  # fmt: skip


@pytest.mark.parametrize("part", ["sessions.db", "sessions.db-wal", "sessions.db-shm"])
@pytest.mark.parametrize("what", ["link", "folder"])
def test_what_is_no_file_of_ones_own_is_refused(part, what, missy, origin, home, tmp_path):
    """A symlink or a folder in the place of the database or a file beside it: exit 1, and nothing is sent."""
    target = tmp_path / "elsewhere"
    target.write_bytes(b"")
    (home / part).symlink_to(target) if what == "link" else (home / part).mkdir()
    for args in (["ask", "--session", "s", "hi"], ["sessions", "check"]):
        ran = missy.inside(*args)
        assert ran.code == 1, args
        assert part in ran.err + ran.text
    assert origin.connections == 0
    assert target.read_bytes() == b""


def test_a_newer_file_is_left_alone(missy, origin, home, database):
    """A schema from the future: exit 1 for each command, no byte is changed, and nothing is sent."""
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    database.rows("PRAGMA user_version = 7")
    before = (home / "sessions.db").read_bytes()
    for args in (
        ["ask", "-c", "hi"],
        ["sessions", "list"],
        ["sessions", "check"],
        ["sessions", "delete", "--all", "--yes"],
    ):
        ran = missy.inside(*args)
        assert ran.code == 1, args
        assert "newer Missy" in ran.err + ran.text, args
    assert (home / "sessions.db").read_bytes() == before
    assert len(origin.requests) == 1


@pytest.mark.parametrize(
    "content",
    [b"no database at all, but long enough " * 40, b"\x00" * 8192, random.Random(1).randbytes(20_000)],
    ids=["text", "zeros", "noise"],  # the same in each process that runs the tests
)
def test_a_damaged_file_is_told_in_one_line(content, missy, origin, home):
    """What is no database is exit 1, with the way out, and stays as it is."""
    path = home / "sessions.db"
    path.write_bytes(content)
    for args in (["ask", "--session", "s", "hi"], ["sessions", "list"], ["sessions", "check"]):
        ran = missy("sessions", "list") if args[0] != "ask" else missy(*args)
        assert ran.code == 1, args
        assert "Traceback" not in ran.err
        assert "internal error" not in ran.err
        assert str(path) in ran.err
    assert path.read_bytes() == content
    assert origin.connections == 0


def test_somebody_elses_database_is_refused(missy, origin, home):
    """A database that is not Missy's is no place for sessions."""
    db = sqlite3.connect(home / "sessions.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    ran = missy.inside("ask", "--session", "s", "hi")
    assert (ran.code, origin.connections) == (1, 0)
    assert "not one of Missy's" in ran.err


@pytest.mark.slow
def test_a_lock_that_is_held_ends_the_wait(missy, origin, home):
    """A writer that holds the database for longer than ten seconds: exit 1, and it says so; nothing is sent."""
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    db = sqlite3.connect(home / "sessions.db", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    try:
        ran = missy.inside("ask", "--session", "s", "again")
    finally:
        db.close()
    assert ran.code == 1
    assert "locked" in ran.err
    assert len(origin.requests) == 1


STEP = (
    "ALTER TABLE session ADD COLUMN pinned INTEGER",
    "UPDATE session SET pinned = 1",
)


def test_an_older_file_is_brought_up_in_one_step(missy, origin, home, database):
    """A new step runs once, keeps what is there, and its copy is gone afterwards."""
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    before = database.turns()
    for _ in range(2):
        with Store(home / "sessions.db", steps=(*schema.STEPS, STEP)) as store, store.read() as db:
            assert db.execute("SELECT name, pinned FROM session").fetchall() == [("s", 1)]
    assert database.turns() == before
    assert database.rows("PRAGMA user_version") == [(2,)]
    assert files.copies(home / "sessions.db") == []
    assert missy.inside("sessions", "list").code == 1  # this one knows version 1


def test_an_upgrade_that_fails_changes_nothing(missy, origin, home, database):
    """Half a step is none; the copy of before is kept, 0600, until an upgrade succeeds or something is deleted."""
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    before = database.turns()
    with pytest.raises(MissyError):
        Store(home / "sessions.db", steps=(*schema.STEPS, (*STEP, "SELECT nonsense")))
    assert database.turns() == before
    assert database.rows("PRAGMA user_version") == [(1,)]
    (copy,) = files.copies(home / "sessions.db")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sqlite3.connect(copy).execute("SELECT prompt FROM turn").fetchall() == [("hi",)]
    assert missy.inside("sessions", "delete", "s", "--yes").code == 0
    assert files.copies(home / "sessions.db") == []


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /home/ada rw,relatime shared:9 master:2 - nfs4 server:/home rw,vers=4.2
41 22 0:46 / /mnt/s rw - fuse.sshfs ada@host: rw
"""


@pytest.mark.parametrize(
    ("device", "shared"), [("8:1", False), ("0:45", True), ("0:46", True), ("9:9", False)]
)
def test_a_disk_of_other_machines_is_known(device, shared):
    """The log of SQLite needs memory that machines do not share: on NFS and the like there is none."""
    assert files.is_shared(MOUNTS, device) is shared


@pytest.mark.slow
def test_many_may_open_a_file_that_is_not_there_yet(tmp_path):
    """Whoever comes first makes it, and the others find it made: nobody sees half of it, and nobody is turned away."""
    opener = Path(__file__).parent / "opener.py"
    done = subprocess.run(
        [sys.executable, str(opener), str(tmp_path), "25"],
        capture_output=True,
        text=True,
        timeout=SAFETY,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for path in tmp_path.glob("*.db"):
        with Store(path) as store, store.read() as db:
            assert db.execute("SELECT count(*) FROM spend").fetchone() == (PROCESSES,)
