"""The record in several files: nothing is lost, and the chain goes through all of them."""

from __future__ import annotations

import os
from pathlib import Path

from missy.audit import Audit, newest, verify, whole_lines
from missy.audit.chain import Link
from missy.audit.segments import ended
from tests.audit.writing import REQUEST, child
from tests.command import Command

SMALL = 4000  # bytes of a file
_MANY = """
log = Audit(sys.argv[1], segment_bytes=4000)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    assert log.finish(log.begin(**REQUEST), status=200)
"""


def _fill(path: Path, pairs: int, **options: int) -> None:
    log = Audit(path, segment_bytes=SMALL, **options)
    for _ in range(pairs):
        assert log.finish(log.begin(**REQUEST), status=200)
    log.close()


def test_the_chain_goes_through_all_files(path: Path):
    """A record of many files verifies as one; its first lines name the file before; nothing is missing."""
    _fill(path, 60)
    files = ended(path)
    assert len(files) >= 5
    assert all(os.stat(name).st_mode & 0o777 == 0o600 for _, name in files)
    report = verify(path)
    assert report.ok, report.problems
    records = [record for _, record in whole_lines(path)]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert sum(record["event"] == "end" for record in records) == 60
    begun = [record["file"] for record in records if record["event"] == "segment"]
    assert begun == [os.path.basename(name) for _, name in files]
    assert [record["seq"] for record in newest(path)] == [record["seq"] for record in reversed(records)]


def test_a_file_that_is_changed_or_missing_is_found(path: Path):
    """One byte changed in an ended file, or the whole file gone, is a problem."""
    _fill(path, 40)
    _, name = ended(path)[1]
    held = Path(name).read_bytes()
    Path(name).write_bytes(held.replace(b"api.groq.com", b"api.grok.com", 1))
    assert not verify(path).ok
    Path(name).unlink()
    assert not verify(path).ok
    Path(name).write_bytes(held)
    Path(name).chmod(0o600)
    assert verify(path).ok


def test_what_is_not_kept_is_no_problem_and_what_is_cut_is(path: Path):
    """With `keep`, older files are deleted and the rest verifies; a kept one that is missing is found."""
    _fill(path, 80, keep=2)
    files = ended(path)
    assert len(files) == 2
    assert files[0][0] > 1
    assert verify(path).ok
    Path(files[0][1]).unlink()
    assert not verify(path).ok


def test_a_checkpoint_of_what_is_not_kept_is_told_as_that(path: Path):
    """A checkpoint that names a line before the kept part proves nothing: the report says from which line on there is a record."""
    _fill(path, 80, keep=2)
    first = next(record for _, record in whole_lines(path))
    report = verify(path, sealed=Link(1, "0" * 64))
    assert not report.ok
    assert report.problems[0][1].endswith(f"the record is kept from line {first['seq']} on")


def test_many_writers_lose_nothing(path: Path):
    """Four processes that write at the same time, over many files: every line is there once, and the chain holds."""
    writers = [child(_MANY, path, stdin=-1, stdout=-1) for _ in range(4)]
    for one in writers:
        assert one.stdout.readline() == b"ready\n"
    for one in writers:
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in writers:
        one.communicate()
        assert one.returncode == 0
    report = verify(path)
    assert report.ok, report.problems
    ends = [record["id"] for _, record in whole_lines(path) if record["event"] == "end"]
    assert len(ends) == len(set(ends)) == 160


def test_a_writer_that_was_killed_between_two_files_is_no_problem(path: Path):
    """A kill after the old file got its second name, or after the new file took its place, leaves a record that goes on."""
    _fill(path, 4)
    os.link(
        path,
        ended(path)[-1][1].replace("00000", "00099") if ended(path) else f"{path.parent}/audit-000001.jsonl",
    )
    log = Audit(path, segment_bytes=1 << 20)
    assert log.finish(log.begin(**REQUEST), status=200)
    log.close()
    assert verify(path).ok
    before = (path.parent / "audit.head").read_bytes()
    size = path.stat().st_size
    log = Audit(path, segment_bytes=size)
    log.begin(**REQUEST)
    log.close()
    (path.parent / "audit.head").write_bytes(before)
    path.write_bytes(
        path.read_bytes().splitlines(keepends=True)[0]
    )  # only the first line of the new file was written
    log = Audit(path)
    assert log.finish(log.begin(**REQUEST), status=200)
    log.close()
    assert verify(path).ok, verify(path).problems


def test_the_command_keeps_to_the_configuration(missy: Command, serve):
    """`audit.segment_mb` and `keep` are read; `audit verify`, `recent` and `export` walk all files."""
    missy.config({"audit": {"segment_mb": 0}})
    assert "segment_mb" in missy("config", "validate").err
    missy.config({"audit": {"segment_mb": 1, "keep": 3}, "batch": {"keep_days": 30}})
    assert missy("config", "validate").code == 0
    _fill(missy.home / "audit.jsonl", 30)
    assert missy("audit", "verify", "--json").json()["ok"] is True
    assert len(missy("audit", "recent", "-n", "100", "--json").json()) == 30
    exported = missy("audit", "export").text.splitlines()
    assert len(exported) > 60


def test_a_file_that_cannot_be_followed_by_another_one_grows_on(path: Path):
    """Where no other file can be begun, the lines go on in the one that is there: nothing is lost, and the chain holds."""
    _fill(path, 1)
    path.with_name(path.name + ".new").mkdir()
    _fill(path, 59)
    assert ended(path) == []
    assert path.stat().st_size > 5 * SMALL
    report = verify(path)
    assert report.ok, report.problems
    assert len(list(whole_lines(path))) == 120
