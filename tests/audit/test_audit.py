"""The audit: what could not be written down does not leave, and what was written down stays as it was."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from missy import audit, folders, os_errors
from missy.audit import Audit, verify, whole_lines
from missy.audit.chain import seal_line
from missy.errors import MissyError
from missy.secrets.redact import Secret
from tests.audit.writing import REQUEST, child, fill


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_one_request_is_two_lines(path: Path) -> None:
    """The opening is on disk before anything leaves; the end repeats it, with how it went."""
    log = Audit(path)
    token = log.begin(**REQUEST, model="m")
    (opening,) = records(path)
    assert log.finish(token, status=200, bytes_out=512, bytes_in=2048)
    _, end = records(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", opening["time"])
    shared = {key: value for key, value in REQUEST.items() if key != "kind"} | {"id": token.id, "model": "m"}
    assert opening.items() >= ({"event": "request", "seq": 1, "prev": audit.GENESIS} | shared).items()
    told = {"event": "end", "status": 200, "bytes_out": 512, "bytes_in": 2048, "outcome": "ok", "error": ""}
    assert end.items() >= ({"seq": 2, "prev": opening["hash"]} | told | shared).items()
    assert end["duration_ms"] >= 0


def test_an_end_is_written_once(path: Path) -> None:
    """Closing twice, or closing a refusal, adds nothing."""
    log = Audit(path)
    token = log.begin(**REQUEST)
    assert log.finish(token)
    assert log.finish(token)
    assert log.finish(log.begin(**REQUEST | {"allowed": False, "rule": "default_deny"}, reason="not listed"))
    assert [record["event"] for record in records(path)] == ["request", "end", "refused"]
    assert records(path)[2]["reason"] == "not listed"


def test_no_query_and_one_line_of_ascii(path: Path) -> None:
    """A query is never on record, and no value, however hostile or long, breaks out of its line."""
    hostile = "a\nb\r\x1b[2J\u202e\ud800\u2028" + "x" * 100_000
    log = Audit(path)
    token = log.begin(
        **REQUEST | {"path": "/p?key=CANARY#CANARY", "host": hostile, "credential": hostile}, odd=object()
    )
    assert log.finish(token, error=hostile)
    raw = path.read_bytes()
    assert b"CANARY" not in raw
    assert raw.isascii()
    assert raw.count(b"\n") == 2
    assert len(raw) < 10_000
    assert records(path)[0]["path"] == "/p"
    assert audit.verify(path).ok


def test_no_secret_is_written_down(path: Path) -> None:
    """A secret in what others influence, a path or a name, is masked: one that is held, and one by its shape."""
    held = Secret("canary-of-a-held-secret-0123")
    shaped = "sk-proj-CANARY0123456789abcdefghijklmnopqrstuvwxyz"
    log = Audit(path)
    log.finish(log.begin(**REQUEST | {"path": f"/v1/{held.reveal()}/{shaped}"}), status=200)
    log.close()
    assert b"canary" not in path.read_bytes().lower()
    assert records(path)[0]["path"].startswith("/v1/")


@pytest.mark.parametrize("mask", [0, 0o777])
def test_private_from_creation(path: Path, mask: int) -> None:
    """The file is 0600 whatever the umask, and one that others could read is narrowed."""
    old = os.umask(mask)
    try:
        fill(path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o666)
    fill(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "folder", "device"])
def test_never_through_anything_but_a_plain_file(path: Path, tmp_path: Path, kind: str) -> None:
    """A link, FIFO, folder or device in the audit's place stops what was about to leave, and stays as it is."""
    folders.ensure_dir(path.parent)
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    makers: dict[str, Callable[[], object]] = {
        "symlink": lambda: path.symlink_to(victim),
        "hard link": lambda: path.hardlink_to(victim),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: None,
    }
    makers[kind]()
    with pytest.raises(MissyError, match="nothing was sent") as caught:
        Audit("/dev/full" if kind == "device" else path).begin(**REQUEST)
    assert caught.value.exit_code == 1
    assert caught.value.hint
    assert victim.read_bytes() == b"victim"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_foreign_owner_is_refused(path: Path) -> None:
    """An audit that belongs to another user is not written."""
    before = fill(path, 1)
    os.chown(path, 65534, 65534)
    with pytest.raises(MissyError, match="another user"):
        Audit(path).begin(**REQUEST)
    assert path.read_bytes() == b"".join(before)


def test_full_disk_stops_the_request(path: Path) -> None:
    """When a line does not fit, nothing is sent, the part is taken back, an open end says so, and it can go on later."""
    lines = fill(path, 2)
    code = (
        "token = log.begin(**REQUEST)\n"
        "size = os.stat(sys.argv[1]).st_size + 100\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        "try: log.begin(**REQUEST)\n"
        "except MissyError as error: print(error.exit_code, error.message, error.hint)\n"
        "print(log.finish(token))\n"
    )
    with child(code, path, stdout=subprocess.PIPE) as process:
        said = process.communicate(timeout=60)[0].decode().splitlines()
    assert said[0].startswith("1 the audit could not be written")
    assert "nothing was sent" in said[0]
    assert said[1] == "False"
    assert path.read_bytes().startswith(b"".join(lines))
    fill(path, 1)
    assert audit.verify(path)[:2] == (True, len(lines) + 3)
    assert audit.verify(path).interrupted == ()


def test_a_disk_without_a_byte_left_stops_the_request(path: Path) -> None:
    """When not one byte of a line fits, the system's own error, nothing is sent and nothing is changed either."""
    lines = fill(path, 2)
    code = (
        "limit = os.stat(sys.argv[1]).st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        "try: log.begin(**REQUEST)\n"
        "except MissyError as error: print(error.exit_code, error.message, error.hint)\n"
    )
    with child(code, path, stdout=subprocess.PIPE) as process:
        said = process.communicate(timeout=60)[0].decode()
    assert said.startswith("1 the audit could not be written")
    assert "nothing was sent" in said
    assert path.read_bytes() == b"".join(lines)


def test_many_processes_at_once(path: Path) -> None:
    """Eight processes write a hundred lines each at once: all are there, and the chain is whole."""
    writers = [
        child("for _ in range(50): assert log.finish(log.begin(**REQUEST), status=200)", path)
        for _ in range(8)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 8
    report = audit.verify(path)
    assert report[:2] == (True, 800)
    assert report.interrupted == ()
    assert [record["seq"] for record in records(path)] == list(range(1, 801))


def test_many_threads_with_one_audit(path: Path) -> None:
    """Threads may share one object."""
    log = Audit(path)
    threads = [
        threading.Thread(target=lambda: [log.finish(log.begin(**REQUEST)) for _ in range(25)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.verify(path)[:2] == (True, 400)


def test_parent_and_forked_children(path: Path) -> None:
    """After a fork, parent and children write in turn, although they inherited one open file."""
    code = (
        "log.begin(**REQUEST)\n"
        "children = []\n"
        "for _ in range(3):\n"
        "  pid = os.fork()\n"
        "  if not pid:\n"
        "    for _ in range(50): log.finish(log.begin(**REQUEST))\n"
        "    os._exit(0)\n"
        "  children.append(pid)\n"
        "for _ in range(50): log.finish(log.begin(**REQUEST))\n"
        "assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 3\n"
    )
    assert child(code, path).wait(60) == 0
    assert audit.verify(path)[:2] == (True, 401)


@pytest.mark.race
def test_killed_writers(path: Path) -> None:
    """Writers that are killed in the middle of their work, again and again, never break the chain."""
    for _ in range(6):
        code = "log.begin(**REQUEST); print(flush=True)\nwhile True: log.finish(log.begin(**REQUEST))"
        writers = [child(code, path, stdout=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            with writer:
                assert writer.stdout
                assert writer.stdout.readline() == b"\n"
                writer.send_signal(signal.SIGKILL)
    fill(path, 1)
    report = audit.verify(path)
    assert report.ok, report.problems
    assert report.lines >= 14


@pytest.mark.parametrize("keep", [1, 8, 9, 40, 200, -80, -2, -1])
def test_a_torn_line_is_not_tampering(path: Path, keep: int) -> None:
    """Kill a writer anywhere in its line: it is reported as interrupted, and the next goes on from the last whole one."""
    fill(path, 3)
    head = path.with_suffix(".head").read_bytes()
    last = fill(path, 1)[6]
    before = path.read_bytes().splitlines(keepends=True)[:6]
    path.with_suffix(".head").write_bytes(head)
    path.write_bytes(b"".join(before) + last[:keep])
    whole = keep == -1  # only the newline is missing
    report = audit.verify(path)
    assert (report.ok, report.lines) == (True, 6 + whole)
    assert report.interrupted == (() if whole else (7,))
    fill(path, 1)
    report = audit.verify(path)
    assert (report.ok, report.lines) == (True, 8 + whole)
    assert report.interrupted == (() if whole else (7,))


def test_zeros_after_a_crash_are_not_tampering(path: Path) -> None:
    """A system that went down may leave zeros where a line was to be; the chain goes on behind them."""
    lines = fill(path, 1)
    path.write_bytes(b"".join(lines) + bytes(5000))
    fill(path, 1)
    assert audit.verify(path)[:2] == (True, 4)
    assert audit.verify(path).interrupted == (3,)


def edit(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b"api.groq.com", b"api.evil.com")


def reseal(lines: list[bytes]) -> None:
    record = json.loads(lines[2])
    record["host"] = "api.evil.com"
    del record["hash"]
    lines[2] = seal_line(record, record["seq"], record["prev"])[0]


def insert(lines: list[bytes]) -> None:
    record = json.loads(lines[2])
    del record["hash"]
    record["host"] = "added"
    lines.insert(2, seal_line(record, 3, record["prev"])[0])


def swap(lines: list[bytes]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


TAMPERING: dict[str, tuple[Callable[[list[bytes]], object], int]] = {
    "edited": (edit, 3),
    "edited and sealed again": (reseal, 4),
    "a space added": (lambda lines: lines.__setitem__(2, lines[2].replace(b'":', b'": ', 1)), 3),
    "hash changed": (lambda lines: lines.__setitem__(2, lines[2][:-67] + b"0" * 64 + b'"}\n'), 3),
    "hash removed": (lambda lines: lines.__setitem__(2, lines[2][:-76] + b"}\n"), 3),
    "deleted": (lambda lines: lines.pop(2), 3),
    "two deleted": (lambda lines: lines.__delitem__(slice(2, 4)), 3),
    "start deleted": (lambda lines: lines.pop(0), 1),
    "inserted": (insert, 4),
    "text inserted": (lambda lines: lines.insert(2, b"hello\n"), 3),
    "blank inserted": (lambda lines: lines.insert(2, b"\n"), 3),
    "repeated": (lambda lines: lines.insert(2, lines[1]), 3),
    "swapped": (swap, 3),
    "cut inside": (lambda lines: lines.__setitem__(2, lines[2][:50] + b"\n"), 4),
    "huge line inserted": (lambda lines: lines.insert(2, b"x" * 300_000 + b"\n"), 3),
    "newline made CRLF": (lambda lines: lines.__setitem__(2, lines[2][:-1] + b"\r\n"), 3),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_tampering_is_found(path: Path, kind: str) -> None:
    """Each way to change the record, but to cut off its end, is found and its line named; later writers change nothing."""
    lines = fill(path, 4)
    change, first = TAMPERING[kind]
    change(lines)
    path.write_bytes(b"".join(lines))
    assert not audit.verify(path).ok
    assert audit.verify(path).problems[0][0] == first
    fill(path, 1)
    assert audit.verify(path).problems[0][0] == first


def test_head_and_count_are_those_of_the_newest_line(path: Path) -> None:
    """The number of lines and the head are those of the newest line, to be noted elsewhere."""
    lines = fill(path, 3)
    noted = audit.verify(path)
    assert (noted.lines, noted.head) == (6, json.loads(lines[-1])["hash"])


def test_the_chain_can_be_checked_without_missy(path: Path) -> None:
    """A few lines of anybody's own are enough to check the chain."""
    import hashlib

    prev = "0" * 64
    for line in fill(path, 3):
        record = json.loads(line)
        seal = record.pop("hash")
        body = json.dumps(record, separators=(",", ":"))
        assert record["prev"] == prev
        assert hashlib.sha256(body.encode()).hexdigest() == seal
        prev = seal


@pytest.mark.parametrize("how", ["renamed", "removed", "folder removed"])
def test_a_rotated_file_begins_anew(path: Path, how: str) -> None:
    """When record and head were moved away between two lines, the next goes into new ones, with a chain of its own."""
    log = Audit(path)
    log.begin(**REQUEST)
    for file in (path, path.with_suffix(".head")):
        file.rename(f"{file}.1")
        if how != "renamed":
            Path(f"{file}.1").unlink()
    if how == "folder removed":
        path.parent.rmdir()
    log.begin(**REQUEST)
    assert audit.verify(path)[:2] == (True, 1)


def test_verify_while_others_write(path: Path) -> None:
    """A check during the writing sees whole lines only."""
    fill(path, 1)
    code = "print(flush=True)\nwhile True: log.begin(**REQUEST)"
    with child(code, path, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        reports = [audit.verify(path) for _ in range(10)]
        writer.kill()
    assert all(report.ok and not report.interrupted for report in reports)


def test_no_audit_yet(path: Path) -> None:
    """Reading what is not there is an error of its own, and makes nothing."""
    for read in (audit.verify, lambda p: list(audit.newest(p)), lambda p: list(audit.whole_lines(p))):
        with pytest.raises(os_errors.MissingFile):
            read(path)
    assert not path.parent.exists()


def test_newest_first(path: Path) -> None:
    """Reading backwards gives every whole line once, over torn ones and across blocks."""
    lines = fill(path, 400)
    path.write_bytes(b"".join(lines[:300]) + b'{"time":"torn\n' + b"".join(lines[300:]) + b'{"ti')
    assert [record["seq"] for record in audit.newest(path)] == list(range(800, 0, -1))
    assert [record["seq"] for _, record in audit.whole_lines(path)] == list(range(1, 801))


def test_a_closed_record_holds_no_file_and_opens_again(path: Path):
    """After `close` no descriptor of the record is open, a second `close` does nothing, and the next line goes on in the chain."""
    files = [path, path.with_suffix(".head")]

    def held() -> int:
        """Return how many descriptors of these files are open."""
        open_ones = 0
        for name in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError):  # the one that lists them
                open_ones += any(os.path.samestat(os.fstat(int(name)), file.stat()) for file in files)
        return open_ones

    log = Audit(path)
    assert log.finish(log.begin(**REQUEST), status=200)
    assert held() == 2
    log.close()
    log.close()
    assert held() == 0
    assert log.finish(log.begin(**REQUEST), status=200)
    log.close()
    report = verify(path)
    assert (report.ok, [record["seq"] for _, record in whole_lines(path)]) == (True, [1, 2, 3, 4])
