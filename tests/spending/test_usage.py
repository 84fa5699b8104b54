"""`missy usage`: sums over the record, by day, entry, model and session, that know what they do not know."""

from __future__ import annotations

import fcntl
import os
import pty
import sqlite3
import struct
import termios
import time

import pytest

from tests.servers import chat_stream
from tests.spending.conftest import PRICE, usage

DAY_MS = 86_400_000


@pytest.fixture
def spent(missy, serve):
    """Two entries: `a` with a price, `b` (free) and a session `talk`; then a call of unknown price, a month of days ago."""
    replies = [chat_stream("hi", usage=usage(1000, 100, 400), model="large")]
    entries = {
        "a": {"name": "openai", "model": "large", "base_url": serve(*replies).url, "price": PRICE},
        "b": {
            "name": "openai",
            "model": "small",
            "base_url": serve(chat_stream("hi", usage=usage(), model="small")).url,
        },
    }
    missy.config({"providers": entries})
    for args in (("-p", "a"), ("-p", "a", "--session", "talk"), ("-p", "b")):
        assert missy.inside("ask", "hi", *args).code == 0
    now = int(time.time() * 1000)
    db = sqlite3.connect(missy.home / "sessions.db")
    with db:
        for days, cost in ((3, None), (3, 7000), (400, 99_000_000)):
            db.execute(
                "INSERT INTO spend (at_ms, entry, model, in_tok, out_tok, cost_micro, price_from) VALUES (?,?,?,?,?,?,?)",
                (now - days * DAY_MS, "c", "old", 10, 1, cost, "~config" if cost else None),
            )
    db.close()
    return missy


def sums(missy, *args):
    """Return key -> (calls, cost, unpriced calls) of `usage --json`."""
    rows = missy.inside("usage", "--json", *args).json()["rows"]
    return {row["key"]: (row["calls"], row["cost_usd"], row["unpriced_calls"]) for row in rows}


def on_terminal(missy, *args) -> list[str]:
    """Run a command on a terminal of 100 columns, and return its lines."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        child = missy.start(*args, env=environment, stdout=theirs, stdin=theirs)
        child.communicate(timeout=60)
        assert child.returncode == 0
        return os.read(ours, 65536).decode().splitlines()
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_sums_of_each_day_entry_model_and_session(spent):
    """Counts and cost of the last 30 days; what is not known is counted, and never a 0."""
    assert list(sums(spent).values()) == [(2, 0.007, 1), (3, 0.006, 0)]
    assert sums(spent, "--by", "entry") == {"c": (2, 0.007, 1), "a": (2, 0.006, 0), "b": (1, 0, 0)}
    assert sums(spent, "--by", "model") == {"old": (2, 0.007, 1), "large": (2, 0.006, 0), "small": (1, 0, 0)}
    by_session = sums(spent, "--by", "session")
    assert sorted(by_session.values()) == [(1, 0.003, 0), (4, 0.01, 1)]
    assert by_session[None] == (4, 0.01, 1)


def test_the_object_has_the_shape_of_the_contract(spent):
    """since, rows with their keys, limits; a sum with an unknown part says that it is a lower bound."""
    got = spent.inside("usage", "--json", "--by", "entry").json()
    assert set(got) == {"since", "rows", "cost_usd", "cost_complete", "limits"}
    assert (got["cost_usd"], got["cost_complete"], got["limits"]) == (0.013, False, [])
    row = next(row for row in got["rows"] if row["key"] == "a")
    assert row == {
        "key": "a", "calls": 2, "input_tokens": 2000, "output_tokens": 200, "cached_tokens": 800, "cost_usd": 0.006,
        "cost_complete": True, "cost_estimated": False, "unpriced_calls": 0,
    }  # fmt: skip
    assert got["rows"][0]["cost_estimated"] is True


def test_since_and_provider_choose(spent):
    """An age in hours, days or weeks; one entry alone."""
    assert len(sums(spent, "--since", "1d")) <= 2
    assert sums(spent, "--since", "12h", "--by", "entry").keys() == {"a", "b"}
    assert sums(spent, "--since", "60w", "--by", "entry")["c"][0] == 3
    assert sums(spent, "--by", "entry", "--provider", "b") == {"b": (1, 0, 0)}
    assert [
        spent.inside("usage", *args).code for args in (("--since", "x"), ("--by", "x"), ("--provider", "x"))
    ] == [2] * 3


def test_a_pipe_gets_a_table_without_bars(spent):
    """Columns of plain ASCII, a line of sums at the end, estimates and lower bounds marked."""
    lines = spent.inside("usage", "--by", "entry").text.splitlines()
    assert lines[0].split() == ["ENTRY", "CALLS", "IN", "OUT", "CACHED", "COST"]
    assert lines[1].split() == ["c", "2", "20", "2", "?", "~$0.0070+"]
    assert lines[2].split() == ["a", "2", "2,000", "200", "800", "$0.0060"]
    assert lines[-1].split() == ["total", "5", "3,020", "302", "800", "~$0.0130+"]
    assert "\n".join(lines).isascii()


def test_a_terminal_gets_bars(spent):
    """The length of a bar is the share of the cost; a row that cost nothing has none."""
    lines = on_terminal(spent, "usage", "--by", "entry")
    lengths = {
        line.split()[0]: line.count("█") for line in lines if line.split()[:1] and line.split()[0] in "abc"
    }
    assert lengths["c"] > lengths["a"] > lengths["b"] == 0


def test_nothing_on_record_is_said(missy, serve):
    """No call, no file, no request: a notice, and an empty list."""
    missy.entry("https://llm.example/v1", api_key="k")
    ran = missy.inside("usage")
    assert (ran.code, ran.text) == (0, "")
    assert "no call is on record" in ran.err
    assert missy.inside("usage", "--json").json()["rows"] == []
    assert not (missy.home / "sessions.db").exists()


def test_a_hostile_name_controls_no_terminal(spent):
    """A model's name comes from an endpoint: what would control the terminal is made visible."""
    db = sqlite3.connect(spent.home / "sessions.db")
    with db:
        db.execute("UPDATE spend SET model = ?", ("x\x1b]0;evil\x07\n",))
    db.close()
    assert "\x1b" not in spent.inside("usage", "--by", "model").text
