"""The head file: what was cut off at the end is found, and a killed writer never looks like it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from missy import audit
from missy.audit import Audit, Link
from missy.audit.chain import seal_line
from missy.errors import MissyError
from tests.audit.writing import REQUEST, child, fill


def head(path: Path) -> Path:
    return path.with_suffix(".head")


def test_the_head_names_the_newest_line(path: Path) -> None:
    """After each line, the head file has its number and hash, and nobody else can read it."""
    log = Audit(path)
    for number in range(1, 13):
        log.begin(**REQUEST)
        newest = json.loads(path.read_bytes().splitlines()[-1])
        assert json.loads(head(path).read_bytes()) == {"lines": number, "hash": newest["hash"]}
    assert stat.S_IMODE(head(path).stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_cut_at_every_byte_of_the_last_lines_is_found(path: Path) -> None:
    """Cut the record anywhere in its last three lines: it is never ok, but for the last newline alone."""
    lines = fill(path, 3)
    whole = b"".join(lines)
    for size in range(len(whole) - sum(map(len, lines[-3:])), len(whole) - 1):
        path.write_bytes(whole[:size])
        os.utime(path, (0, 0))  # no writer is at work that would be waited for
        report = audit.verify(path)
        assert not report.ok, size
        assert "cut off at the end" in report.problems[-1][1]
    path.write_bytes(whole[:-1])
    assert audit.verify(path).ok


@pytest.mark.parametrize("how", ["emptied", "deleted", "two lines cut", "half a line cut", "begun anew"])
def test_what_was_cut_off_is_found_for_good(path: Path, how: str, tmp_path: Path) -> None:
    """An emptied, deleted, shortened or replaced record is found, and is still found after more was written."""
    lines = fill(path, 3)
    if how == "begun anew":
        fill(tmp_path / "other.jsonl", 2)
        shutil.copy(tmp_path / "other.jsonl", path)
    elif how == "deleted":
        path.unlink()
    else:
        kept = {"emptied": b"", "two lines cut": b"".join(lines[:4])}
        path.write_bytes(kept.get(how, b"".join(lines)[:-50]))
    for _ in range(3):
        report = audit.verify(path)
        assert not report.ok, how
        fill(path, 1)


def test_a_running_writer_sees_that_lines_are_missing(path: Path) -> None:
    """Lines that are cut off under a running writer are found, although it goes on writing."""
    log = Audit(path)
    for _ in range(4):
        log.begin(**REQUEST)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    log.begin(**REQUEST)
    assert audit.verify(path).problems == ((3, "2 lines before it removed, or this one moved"),)


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_a_head_that_lags_is_no_tampering(path: Path, lag: int) -> None:
    """A head of a few lines ago is what killed writers leave: all is well, and the next line catches up."""
    lines = fill(path, 4)
    link = json.loads(lines[-1 - lag])
    head(path).write_bytes(b'{"lines":%d,"hash":"%s"}\n' % (link["seq"], link["hash"].encode()))
    assert audit.verify(path).ok
    fill(path, 1)
    assert audit.verify(path)[:2] == (True, 10)
    assert json.loads(head(path).read_bytes())["lines"] == 10


def test_a_writer_killed_before_its_first_line(path: Path) -> None:
    """Files that a writer made and did not get to write are an empty record, not a cut one."""
    fill(path, 1)
    path.write_bytes(b"")
    for content in (b"", b'{"lines":0,"hash":"' + b"0" * 64 + b'"}\n'):
        head(path).write_bytes(content)
        assert audit.verify(path)[:2] == (True, 0)
    fill(path, 1)
    assert audit.verify(path)[:2] == (True, 2)


def old_lines(path: Path, count: int) -> None:
    """Write a record as versions did that knew no head file."""
    prev, lines = audit.GENESIS, []
    for seq in range(1, count + 1):
        line, prev = seal_line(
            {"time": "2026-11-01T00:00:00.000Z", "event": "request", "id": f"{seq}"}, seq, prev
        )
        lines.append(line)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(b"".join(lines))


def test_a_record_of_an_older_version_is_no_tampering(path: Path) -> None:
    """Without a head file an older record is ok as far as its chain goes; from the next line on it has one."""
    old_lines(path, 3)
    assert audit.verify(path)[:2] == (True, 3)
    assert not audit.verify(path).has_head
    lines = fill(path, 1)
    assert audit.verify(path)[:2] == (True, 5)
    assert audit.verify(path).has_head
    path.write_bytes(b"".join(lines[:-1]))
    assert not audit.verify(path).ok


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\0" * 90, b"[" * 5000, b'{"lines":99'])
def test_a_head_that_was_taken_away_is_found_for_good(path: Path, content: bytes | None) -> None:
    """Lines that were written with a head file need it: one that is gone or unreadable is found, later too."""
    lines = fill(path, 2)
    if content is None:
        head(path).unlink()
    else:
        head(path).write_bytes(content)
    path.write_bytes(b"".join(lines[:-1]))
    assert not audit.verify(path).ok
    fill(path, 1)
    assert audit.verify(path).problems[0][0] == 4
    assert len(audit.verify(path).problems) == 1


@pytest.mark.parametrize("kind", ["symlink", "folder"])
def test_a_head_that_cannot_be_kept_stops_the_request(path: Path, tmp_path: Path, kind: str) -> None:
    """A link or folder in the head's place stops what was about to leave, and is not written through."""
    path.parent.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    head(path).symlink_to(victim) if kind == "symlink" else head(path).mkdir()
    with pytest.raises(MissyError, match="nothing was sent"):
        Audit(path).begin(**REQUEST)
    assert victim.read_bytes() == b"victim"


@pytest.mark.slow
def test_killed_at_any_moment_while_four_write(path: Path) -> None:
    """Of four that write at once, one after the other is killed at a random moment: the record is always ok."""
    dice = random.Random(20261125)
    code = "log.begin(**REQUEST); print(flush=True)\nwhile True: log.finish(log.begin(**REQUEST))"

    def start() -> subprocess.Popen[bytes]:
        writer = child(code, path, stdout=subprocess.PIPE)
        assert writer.stdout
        assert writer.stdout.readline() == b"\n"
        return writer

    writers = [start() for _ in range(4)]
    try:
        for _ in range(8):
            size = path.stat().st_size + dice.randrange(20_000)
            while path.stat().st_size < size:
                pass
            victim = writers.pop(dice.randrange(4))
            victim.send_signal(signal.SIGKILL)
            with victim:
                pass
            for writer in writers:
                writer.send_signal(signal.SIGSTOP)  # wherever they are: a check waits for no lock
            report = audit.verify(path)
            assert report.ok, report.problems
            for writer in writers:
                writer.send_signal(signal.SIGCONT)
            writers.append(start())
    finally:
        for writer in writers:
            writer.kill()
            with writer:
                pass
    assert audit.verify(path).ok
    fill(path, 1)
    assert audit.verify(path).ok


def test_a_checkpoint_needs_its_line(path: Path) -> None:
    """A link that was noted must be in the record, as it was, whatever came after it."""
    lines = [json.loads(line) for line in fill(path, 3)]
    for record in lines:
        assert audit.verify(path, Link(record["seq"], record["hash"])).ok
        assert not audit.verify(path, Link(record["seq"], "f" * 64)).ok
    assert not audit.verify(path, Link(7, "f" * 64)).ok
    assert audit.verify(path, Link(0, audit.GENESIS)).ok


@pytest.mark.parametrize(("left", "ends"), [(4, "it ends with line 4"), (0, "the record is empty")])
def test_a_cut_end_is_told_with_what_is_left(path: Path, left: int, ends: str) -> None:
    """The report says how many lines are missing, where the record ends now, and what the head file says."""
    lines = fill(path, 3)
    path.write_bytes(b"".join(lines[:left]))
    missing = f"{6 - left} lines cut off at the end: {ends}, the head file says 6"
    assert audit.verify(path).problems == ((0, missing),)
