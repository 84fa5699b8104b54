"""`missy audit`: what left the machine, for persons and for scripts."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from missy import audit
from missy.audit import Audit
from tests.command import Command

REQUEST: dict[str, Any] = {
    "kind": "request",
    "category": "provider",
    "host": "api.groq.com",
    "port": 443,
    "method": "POST",
    "path": "/openai/v1/chat/completions",
    "credential": "env:GROQ_API_KEY",
    "rule": "entry:groq",
    "entry": "groq",
}


@pytest.fixture
def path(home: Path) -> Path:
    """An audit with a connection, a whole request, a refusal and a request without an end."""
    path = home / "audit.jsonl"
    log = Audit(path)
    connection = log.begin(**REQUEST | {"kind": "connect", "method": "", "path": ""}, address="192.0.2.7")
    log.finish(log.begin(**REQUEST), status=200, bytes_out=512, bytes_in=2048)
    log.finish(connection, bytes_out=900, bytes_in=3000)
    log.begin(
        **REQUEST
        | {"allowed": False, "rule": "default_deny", "host": "evil.example", "entry": "", "credential": ""}
    )
    log.begin(**REQUEST | {"entry": "other", "host": "::1", "port": 8080})
    return path


def test_recent_is_a_row_for_each_request(missy: Command, path: Path) -> None:
    """Opening and end are one row with time, category, request, status, sizes, duration and credential id."""
    done = missy("audit", "recent")
    head, connection, request, refused, unfinished = done.text.splitlines()
    assert (done.code, done.err) == (0, "")
    assert head.split()[-5:] == ["STATUS", "OUT", "IN", "MS", "CREDENTIAL"]
    assert connection.split()[2:8] == ["provider", "connect", "api.groq.com:443", "ok", "900", "3000"]
    assert request.split()[2:8] == [
        "provider",
        "POST",
        f"api.groq.com:443{REQUEST['path']}",
        "200",
        "512",
        "2048",
    ]
    assert request.endswith("env:GROQ_API_KEY")
    assert "evil.example" in refused
    assert " refused " in refused
    assert f"[::1]:8080{REQUEST['path']}" in unfinished
    assert " no end " in unfinished


def test_recent_json(missy: Command, path: Path) -> None:
    """--json gives the same rows, oldest first, with the keys of the record."""
    rows = missy.inside("audit", "recent", "--json").json()
    assert [row["outcome"] for row in rows] == ["ok", "ok", "refused", "no end"]
    assert (
        rows[1].items()
        >= {"status": 200, "bytes_out": 512, "bytes_in": 2048, "entry": "groq", "port": 443}.items()
    )
    assert rows[1]["duration_ms"] >= 0
    assert rows[3]["status"] is None


@pytest.mark.parametrize(
    ("args", "hosts"),
    [
        (["-n", "1"], ["::1"]),
        (["--entry", "groq", "-n", "1"], ["api.groq.com"]),
        (["--refused"], ["evil.example"]),
        (["--entry", "nobody"], []),
    ],
)
def test_recent_filters(missy: Command, path: Path, args: list[str], hosts: list[str]) -> None:
    """The number is that of rows that fit, counted from the newest."""
    rows = missy.inside("audit", "recent", "--json", *args).json()
    assert [row["host"] for row in rows] == hosts


def test_no_audit_yet(missy: Command, home: Path) -> None:
    """If there is no audit yet, every command says so and succeeds, and no file is made."""
    assert "no audit yet" in missy.inside("audit", "recent").text
    assert missy.inside("audit", "recent", "--json").json() == []
    assert "no audit yet" in missy.inside("audit", "verify").text
    assert missy.inside("audit", "verify", "--json").json()["ok"] is True
    done = missy.inside("audit", "export")
    assert (done.code, done.out) == (0, b"")
    assert "no audit yet" in done.err
    assert not home.exists()


def test_verify_a_whole_record(missy: Command, path: Path) -> None:
    """A whole record is exit 0, with the number of lines and the head to note elsewhere."""
    done = missy("audit", "verify")
    report = audit.verify(path)
    assert done.code == 0
    assert f"lines: {report.lines}" in done.text
    assert report.head in done.text
    assert missy.inside("audit", "verify", "--json").json() == {
        "ok": True,
        "file": str(path),
        "lines": 6,
        "head": report.head,
        "problems": [],
        "interrupted": [],
        "head_file": True,
        "checkpoint": None,
    }


def test_verify_finds_tampering(missy: Command, path: Path) -> None:
    """An edited record is exit 1, with each line that is wrong and what to do."""
    path.write_bytes(path.read_bytes().replace(b"evil.example", b"good.example"))
    done = missy("audit", "verify")
    assert done.code == 1
    assert "line 5: this line was changed" in done.text
    assert "line 5" in done.err
    assert len(done.err.splitlines()) == 2
    told = missy.inside("audit", "verify", "--json")
    assert (told.code, told.json()["ok"]) == (1, False)
    assert told.json()["problems"] == [{"line": 5, "what": "this line was changed"}]


def test_verify_tells_an_interrupted_line(missy: Command, path: Path) -> None:
    """A line that its writer could not finish is named, and is not tampering."""
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[0][:99])
    done = missy.inside("audit", "verify")
    assert done.code == 0
    assert "line 7: interrupted" in done.text
    assert "\nok" not in done.text


def test_export_is_the_record_itself(missy: Command, path: Path, tmp_path: Path) -> None:
    """An export has the unchanged lines, so it can be verified like the original; other users cannot read it."""
    assert missy("audit", "export").out == path.read_bytes()
    old = os.umask(0)
    try:
        done = missy("audit", "export", "-o", "copy.jsonl", cwd=tmp_path)
    finally:
        os.umask(old)
    copy = tmp_path / "copy.jsonl"
    assert (done.code, done.out) == (0, b"")
    assert str(copy) in done.err
    assert copy.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    only_the_head = ((0, "the head file is missing: lines may have been cut off at the end"),)
    assert audit.verify(copy).problems == only_the_head  # the chain is whole; what it ends with stays at home


def test_export_overwrites_only_with_force(missy: Command, path: Path, tmp_path: Path) -> None:
    """A file that is there stays, unless --force says otherwise; a link is never written through."""
    copy, link = tmp_path / "copy", tmp_path / "link"
    copy.write_bytes(b"mine")
    link.symlink_to(copy)
    for target in (copy, link):
        done = missy.inside("audit", "export", "-o", str(target))
        assert (done.code, copy.read_bytes()) == (2, b"mine")
        assert "--force" in done.err
    assert missy.inside("audit", "export", "-o", str(link), "--force").code == 2
    assert copy.read_bytes() == b"mine"
    assert missy.inside("audit", "export", "-o", str(copy), "--force").code == 0
    assert copy.read_bytes() == path.read_bytes()


def test_a_failed_export_leaves_nothing(missy: Command, path: Path, tmp_path: Path) -> None:
    """If the disk becomes full in the middle, no part stays: the next try is not refused, and an old file is kept."""

    def little_space() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    copy = tmp_path / "copy"
    done = missy("audit", "export", "-o", str(copy), preexec_fn=little_space)
    assert (done.code, copy.exists()) == (1, False)
    assert str(copy) in done.err
    assert missy("audit", "export", "-o", str(copy)).code == 0
    whole = copy.read_bytes()
    assert len(whole) > 500
    assert missy("audit", "export", "-o", str(copy), "--force", preexec_fn=little_space).code == 1
    assert copy.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith((".copy", "copy"))] == ["copy"]


def test_export_csv(missy: Command, path: Path) -> None:
    """The table has one row a line, and no cell that a spreadsheet would take for a formula."""
    Audit(path).begin(**REQUEST | {"entry": '=cmd("x"),', "path": "-1"})
    rows = list(csv.DictReader(missy.inside("audit", "export", "--format", "csv").text.splitlines()))
    assert len(rows) == 7
    assert rows[2] | {"status": "200", "host": "api.groq.com", "event": "end"} == rows[2]
    assert (rows[6]["entry"], rows[6]["path"]) == ('\'=cmd("x"),', "'-1")


def test_export_csv_has_the_calls_of_tools(missy: Command, path: Path) -> None:
    """What was decided of a call, and of which tool, has columns of its own; other lines leave them empty."""
    call = {
        "kind": "tool",
        "category": "tool",
        "tool": "x__echo",
        "server": "x",
        "decision": "allow",
        "args_size": 2,
    }
    Audit(path).begin(**REQUEST | call)
    rows = list(csv.DictReader(missy.inside("audit", "export", "--format", "csv").text.splitlines()))
    assert rows[6] | {"tool": "x__echo", "server": "x", "decision": "allow", "args_size": "2"} == rows[6]
    assert rows[2]["tool"] == rows[2]["decision"] == ""


@pytest.mark.parametrize(
    ("since", "count"),
    [("1999-01-01", 6), ("2999-01-01", 0), ("2999-01-01T00:00:00+01:00", 0), ("1999-01-01T00:00:00Z", 6)],
)
def test_export_since(missy: Command, path: Path, since: str, count: int) -> None:
    """--since takes a day or a time."""
    assert len(missy.inside("audit", "export", "--since", since).events()) == count


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+23:00"])
def test_export_since_nonsense(missy: Command, path: Path, since: str) -> None:
    """A --since that is not a date is wrong usage, with a message."""
    done = missy.inside("audit", "export", "--since", since)
    assert (done.code, done.out) == (2, b"")
    assert "2026-11-01" in done.err


def test_a_hostile_record_cannot_steer_the_terminal(missy: Command, path: Path) -> None:
    """Control characters in an edited record are shown as text."""
    hostile = "\x1b]52;c;AAAA\x07\x9b31m\u202e\nroot"
    path.write_bytes(path.read_bytes().replace(b"evil.example", json.dumps(hostile)[1:-1].encode()))
    raw = path.read_bytes().splitlines(keepends=True)
    raw[1] = raw[1].replace(b"api.groq.com", "\x9b2J\u202e".encode())
    path.write_bytes(b"".join(raw))
    for args in (["recent"], ["recent", "--json"], ["verify"], ["export"], ["export", "--format", "csv"]):
        text = missy.inside("audit", *args).text
        assert not set(text) & set("\x1b\x07\x9b\u202e"), args
    assert len(missy.inside("audit", "recent").text.splitlines()) == 5


def test_reading_needs_no_config(missy: Command, path: Path) -> None:
    """A broken configuration does not hide what left."""
    missy.config("providers: [")
    assert missy.inside("audit", "recent").code == 0


def test_a_record_of_another_kind_of_file_is_refused(missy: Command, home: Path) -> None:
    """A folder in the audit's place is an error that names it, exit 1."""
    (home / "audit.jsonl").mkdir(parents=True)
    for args in (["recent"], ["verify"], ["export"]):
        done = missy.inside("audit", *args)
        assert (done.code, done.out) == (1, b"")
        assert str(home / "audit.jsonl") in done.err


def test_recent_says_what_it_left_out(missy: Command, path: Path):
    """Lines that no writer of the record can have written are not shown, but counted."""
    before = missy.inside("audit", "recent")
    assert (before.code, before.err) == (0, "")
    with path.open("ab") as file:
        file.write(b"not a line\n" + b'{"time": 5}\n')
    done = missy.inside("audit", "recent")
    assert (done.code, done.out) == (0, before.out)
    assert "left out: 2 lines that Missy cannot have written; see: missy audit verify" in done.err
