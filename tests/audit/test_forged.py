"""Lines that no writer left: they are never taken for whole ones, and reading them is bounded and quiet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.audit.chain import is_truncated, parse_line, seal_line
from missy.audit.verifier import verify_lines
from tests.audit.writing import fill
from tests.command import Command

LINE = seal_line({"time": "2026-11-01T00:00:00.000Z", "event": "request", "id": "a"}, 1, "0" * 64)[0][:-1]


def sealed(**fields: object) -> bytes:
    """Return a line with a hash that fits, whatever its fields are."""
    record = {"time": "2026-11-01T00:00:00.000Z", "event": "request", "id": "a"} | fields
    return seal_line(record, 1, "0" * 64)[0][:-1]


FOREIGN = {
    "deep": b'{"time":"x","a":' + b"[" * 60_000,
    "deep and closed": b'{"time":"x","a":' + b"[" * 50_000 + b"]" * 50_000 + b',"hash":"' + b"0" * 64 + b'"}',
    "huge number": b'{"time":"x","a":' + b"9" * 100_000 + b',"hash":"' + b"0" * 64 + b'"}',
    "huge number, torn": b'{"time":"x","a":' + b"9" * 100_000,
    "invalid UTF-8": b'{"time":"\xff\xfe","hash":"' + b"0" * 64 + b'"}',
    "invalid UTF-8, torn": b'{"time":"\xff\xfe',
    "too long": b'{"time":"' + b"x" * 200_000 + b'","hash":"' + b"0" * 64 + b'"}',
    "zeros, too many": bytes(200_000),
    "wrong in the middle": b'{"time":"x",,,"event":"request","id":"a","category":"prov',
    "NaN": sealed(n=float("nan")),
    "infinite": sealed().replace(b'"seq"', b'"n":1e999,"seq"'),
    "list": sealed(host=["a"]),
    "object": sealed(host={"a": 1}),
    "seq a truth": LINE.replace(b'"seq":1', b'"seq":true'),
    "seq negative": LINE.replace(b'"seq":1', b'"seq":-1'),
    "seq beyond": LINE.replace(b'"seq":1', b'"seq":1' + b"0" * 30),
    "prev null": LINE.replace(b'"prev":"' + b"0" * 64 + b'"', b'"prev":null'),
    "time a list": LINE.replace(b'"event":', b'"time":[],"event":'),
    "blank": b"",
    "words": b"hello",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_record_is_not_ok(kind: str) -> None:
    """A line that no writer can have left, whole or torn, is a problem with its number."""
    assert parse_line(FOREIGN[kind]) is None
    report = verify_lines([LINE, FOREIGN[kind]])
    assert (report.ok, report.lines, report.interrupted) == (False, 1, ())
    assert report.problems[0][0] == 2


@given(st.integers(1, len(LINE) - 1), st.integers(0, 4096))
def test_every_front_of_a_line_is_an_interrupted_one(size: int, zeros: int) -> None:
    """Wherever a writer is killed in its line, what is left is known for what it is; zeros may follow."""
    assert parse_line(LINE[:size]) is None
    assert is_truncated(LINE[:size] + bytes(zeros))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
NAMES = st.sampled_from(
    ["time", "event", "id", "host", "port", "path", "status", "bytes_in", "v", "seq", "prev"]
)


@given(st.lists(st.dictionaries(NAMES, VALUES).map(lambda record: json.dumps(record).encode()) | st.binary()))
@settings(max_examples=50)
def test_generated_lines_are_never_ok(lines: list[bytes]) -> None:
    """Whatever stands in a line: there is an answer, and no line counts that was not written by a writer."""
    lines = [b'{"time":"x",' + line[1:-1] + b',"hash":"' + b"0" * 64 + b'"}' for line in lines]
    report = verify_lines(lines)
    assert report.ok is not bool(lines)


@pytest.mark.slow
def test_a_record_of_zeros_is_answered_in_bounded_memory(path: Path) -> None:
    """200 MB of zeros behind a good line, and a million short lines, take a few MB and are not ok."""
    code = (
        "import resource, sys\nfrom missy import audit\n"
        "usage = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "audit.verify(sys.argv[1]); before = usage()\n"
        "with open(sys.argv[1], 'ab') as file:\n"
        "    file.write(b'x\\n' * 1_000_000); file.truncate(file.tell() + 200_000_000)\n"
        "report = audit.verify(sys.argv[1])\n"
        "list(zip(audit.newest(sys.argv[1]), range(1)))\n"
        "print(report.ok, len(report.problems), report.unnamed, usage() - before < 30_000)"
    )
    fill(path, 1)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True, text=True)
    assert done.stdout == "False 1000 999001 True\n"


@pytest.mark.parametrize("kind", FOREIGN)
def test_recent_passes_over_what_is_no_record(missy: Command, path: Path, kind: str) -> None:
    """`recent` shows the rows that are there, says that lines were left out, and shows nothing of them raw."""
    fill(path, 1)
    with path.open("ab") as file:
        file.write(FOREIGN[kind] + b"\n")
    for args in ((), ("--json",)):
        done = missy.inside("audit", "recent", *args)
        assert done.code == 0
        assert b"api.groq.com" in done.out
    assert len(missy.inside("audit", "recent", "--json").json()) == 1
    assert missy.inside("audit", "verify").code == 1


HOSTILE = ["\x1b]0;owned\x07", "\x9b31m", "a\nb\rc", "\u202e", "\ud800", 5, 1.5, None, True, "x" * 5000]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "key", ["id", "host", "port", "path", "status", "bytes_in", "credential", "outcome", "event"]
)
def test_recent_survives_forged_values(missy: Command, path: Path, key: str, value: object) -> None:
    """Any plain value in any field is shown, harmless, in its row."""
    fill(path, 1)
    with path.open("ab") as file:
        file.write(sealed(**{key: value}) + b"\n" + sealed(**{"event": "end", key: value}) + b"\n")
    for args in ((), ("--json",), ("--refused",)):
        done = missy.inside("audit", "recent", *args)
        assert done.code == 0, done.err
        assert not set("\x1b\x9b\x07\r\u202e") & set(done.text)
