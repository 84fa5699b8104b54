"""Deleted is deleted: a word that was in a session is in no byte of any file afterwards."""

from __future__ import annotations

import os
import sqlite3

import pytest

from tests.servers import chat_stream
from tests.sessions.conftest import Database

CANARIES = [
    f"{word}zq7{number}xvk"
    for number, word in enumerate(("prompt", "answer", "thought", "titled", "system", "option"))
]
IMAGE = b"\x89PNG\r\n\x1a\n" + b"imagezq7xvk" * 3000


def holding(home):
    """Which canaries are in which files under MISSY_HOME."""
    found = set()
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {(path.name, word) for word in [*CANARIES, "imagezq7xvk"] if word.encode() in data}
    return found


@pytest.fixture
def full(missy, serve, tmp_path, home):
    """A session with a canary wherever one can be, among others that stay."""
    prompt, answer, thought, name, system, option = CANARIES
    image = tmp_path / "dot.png"
    image.write_bytes(IMAGE)
    missy.entry(serve(chat_stream({"reasoning_content": thought}, (answer + " ") * 500)).url)
    for stays in range(5):
        missy.inside("ask", "--session", f"stays {stays}", "hello " * 200)
    for _ in range(3):
        ran = missy.inside("ask", "--session", name, (prompt + " ") * 300, "--attach", str(image), "--system", system,
                           "--model", option)  # fmt: skip
        assert ran.code == 0
    for stays in range(5):
        missy.inside("ask", "--session", f"stays {stays}", "hello " * 200)
    assert {word for _, word in holding(home)} == {*CANARIES, "imagezq7xvk"}
    return name


def test_a_deleted_session_is_in_no_byte(full, missy, home):
    """Prompt, answer, thought, attachment, name and system text are gone from the database, its log and all else."""
    assert missy.inside("sessions", "delete", full, "--yes").code == 0
    leftover = {word for _, word in holding(home)} - {
        CANARIES[1],
        CANARIES[2],
    }  # the others were answered the same
    assert leftover == set()
    assert missy.inside("sessions", "delete", "--all", "--yes").code == 0
    assert holding(home) == set()
    assert missy.inside("sessions", "check").code == 0


def test_it_is_gone_while_others_have_the_file_open(full, missy, home):
    """A second connection that is open, with the rows in its memory, keeps nothing on the disk."""
    other = sqlite3.connect(home / "sessions.db")
    try:
        assert other.execute("SELECT count(*) FROM turn").fetchone()[0] == 13
        ran = missy.inside("sessions", "delete", "--all", "--yes")
        assert (ran.code, "gone: 6 sessions" in ran.err) == (0, True)
        assert holding(home) == set()
    finally:
        other.close()


@pytest.mark.slow
def test_a_reader_in_the_way_is_told(full, missy, home):
    """A reader that does not end: after five seconds exit 1, which says so, and check clears the rest later."""
    other = sqlite3.connect(home / "sessions.db", isolation_level=None)
    try:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM turn").fetchone()
        ran = missy.inside("sessions", "delete", "--all", "--yes")
        assert ran.code == 1
        assert "deleted, but another process is reading" in ran.err
        assert "gone" not in ran.err
        assert "sessions.db-wal" in ran.err
        ran = missy.inside("sessions", "check")
        assert ran.code == 1
        assert "could not be cleared now: another process is reading" in ran.text
        assert "wrong: deleted" not in ran.text
        assert missy.inside("sessions", "--json").json() == []
    finally:
        other.close()
    assert missy.inside("sessions", "check").code == 0
    assert holding(home) == set()


def test_a_turn_that_was_put_aside_goes_too(missy, origin, home):
    """Undone and retried turns are deleted with their session, and so is an attachment that only they had."""
    missy.inside("ask", "--session", "s", CANARIES[0])
    Database(home).rows("UPDATE session SET tip = NULL")
    missy.inside("ask", "--session", "s", "other")
    assert missy.inside("sessions", "delete", "s", "--yes").code == 0
    assert holding(home) == set()
    assert Database(home).rows("SELECT count(*) FROM turn") == [(0,)]


def test_what_two_sessions_have_stays_with_the_one_that_is_left(missy, serve, tmp_path, home):
    """One image in two sessions is stored once, and goes with the second."""
    image = tmp_path / "dot.png"
    image.write_bytes(IMAGE)
    missy.entry(serve(chat_stream("x")).url)
    for name in "ab":
        missy.inside("ask", "--session", name, "look", "--attach", str(image))
    database = Database(home)
    assert database.rows("SELECT size FROM blob") == [(len(IMAGE),)]
    assert missy.inside("sessions", "delete", "a", "--yes").code == 0
    assert database.rows("SELECT size FROM blob") == [(len(IMAGE),)]
    assert missy.inside("ask", "--session", "b", "again").code == 0
    assert missy.inside("sessions", "delete", "b", "--yes").code == 0
    assert database.rows("SELECT size FROM blob") == []
    assert holding(home) == set()


def test_a_file_shrinks_when_its_sessions_go(missy, serve, home):
    """What is freed is given back to the disk."""
    missy.entry(serve(chat_stream("x")).url)
    missy.inside("ask", "--session", "s", "word " * 100_000)
    size = os.path.getsize(home / "sessions.db")
    missy.inside("sessions", "delete", "s", "--yes")
    assert os.path.getsize(home / "sessions.db") < size / 3
