"""`missy sessions ...`: what the commands print, and what they refuse."""

from __future__ import annotations

import os
import stat

import pytest

import missy as library
from tests.cli.person import ENTER, Person
from tests.servers import chat_stream
from tests.sessions.conftest import as_json

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202eevil"


@pytest.fixture
def talked(missy, origin):
    """Two sessions: `holiday` of two turns, and `work` of one, used last."""
    for name, prompt in (("holiday", "Straße to Łódź"), ("holiday", "and then?"), ("work", "一篇文章です")):
        assert missy.inside("ask", "--session", name, prompt, "--system", "Be brief.").code == 0
    return {row["name"]: row["id"] for row in missy.inside("sessions", "list", "--json").json()}


def test_list_shows_the_newest_use_first(missy, talked):
    """ID, NAME, LAST USED, TURNS, MODEL, COST; the JSON has all of it, and sums that know what they do not know."""
    rows = missy.inside("sessions", "list", "--json").json()
    assert [row["name"] for row in rows] == ["work", "holiday"]
    assert set(rows[0]) == {
        "id", "name", "created", "updated", "turns", "entry", "model", "usage", "cost_usd", "cost_complete",
    }  # fmt: skip
    assert [(row["turns"], row["entry"], row["model"], row["cost_usd"]) for row in rows] == [
        (1, "test", "m", 0),
        (2, "test", "m", 0),
    ]
    assert rows[1]["usage"] == {
        "input_tokens": 6, "output_tokens": 8, "total_tokens": 14, "cached_tokens": None, "reasoning_tokens": None,
    }  # fmt: skip
    assert rows[0]["cost_complete"] is True
    lines = missy.inside("sessions").text.splitlines()
    assert lines[0].split() == ["ID", "NAME", "LAST", "USED", "TURNS", "MODEL", "COST"]
    assert lines[1].split()[:2] == [rows[0]["id"], "work"]
    assert len(missy.inside("sessions", "list", "--limit", "1", "--json").json()) == 1


def test_show_has_the_shape_of_the_contract(missy, talked):
    """One object of version 1; --turn chooses one; text goes to stdout."""
    got = missy.inside("sessions", "show", "holiday", "--json").json()
    assert set(got) == {"version", "id", "name", "system", "turns"}
    assert (got["version"], got["id"], got["name"], got["system"]) == (
        1,
        talked["holiday"],
        "holiday",
        "Be brief.",
    )
    assert set(got["turns"][0]) == {
        "n", "at", "state", "prompt", "attachments", "answer", "reasoning", "entry", "model", "finish_reason", "usage",
        "cost_usd", "request_id", "active",
    }  # fmt: skip
    assert [turn["n"] for turn in got["turns"]] == [1, 2]
    assert got == missy.inside("sessions", "export", "holiday", "--format", "json").json()
    one = missy.inside("sessions", "show", "holiday", "--turn", "2", "--json").json()
    assert [turn["prompt"] for turn in one["turns"]] == ["and then?"]
    assert missy.inside("sessions", "show", "holiday", "--turn", "3").code == 2
    assert "Straße to Łódź" in missy.inside("sessions", "show", "holiday").text


@pytest.mark.parametrize(
    ("words", "turn", "role"),
    [
        (["STRASSE", "łódź"], 1, "user"),
        (["文章"], 1, "user"),
        (["Holiday", "THEN"], 2, "user"),
        (["straße", ":39"], 1, "assistant"),
        ([":39", ":38", "then"], 2, "assistant"),
        (["olida"], None, "name"),
        (["Ło\u0301dz\u0301".replace("Ł", "ł")], 1, "user"),
    ],
)
def test_search_takes_all_words_in_any_script(words, turn, role, missy, talked):
    """Substrings, both cases, accents however they are written; prompt, answer and name count together."""
    hits = missy.inside("sessions", "search", *words, "--json").json()
    assert set(hits[0]) == {"session", "name", "turn", "role", "snippet", "at"}
    assert (turn, role) in [(hit["turn"], hit["role"]) for hit in hits]


def test_search_finds_nothing_that_lacks_a_word(missy, talked):
    """One word that is nowhere, and there is no hit; wildcards are letters like others; the limit holds."""
    for words in (["straße", "absent"], ["str%e"], ["a_d"], ["*"]):
        assert missy.inside("sessions", "search", *words, "--json").json() == []
    assert len(missy.inside("sessions", "search", ":1", "--limit", "2", "--json").json()) == 2
    assert missy.inside("sessions", "search", " ").code == 2
    shown = missy.inside("sessions", "search", "łódź").text.splitlines()
    assert shown[0].split() == ["SESSION", "NAME", "TURN", "ROLE", "SNIPPET"]
    assert "Łódź" in shown[1]


def test_a_name_is_changed_and_is_of_one_session_alone(missy, talked):
    """rename; a name that is taken, or is none, is exit 2."""
    assert missy.inside("sessions", "rename", "holiday", "Łódź 2026").code == 0
    assert missy.inside("sessions", "show", "Łódź 2026", "--json").json()["id"] == talked["holiday"]
    for name in ("work", "", "two\nlines"):
        assert missy.inside("sessions", "rename", talked["holiday"], name).code == 2
    for args in (["rename", "work", talked["work"]], ["fork", "work", "--name", talked["work"]]):
        ran = missy.inside("sessions", *args)
        assert (ran.code, "must not look like an id" in ran.err) == (2, True)
    ran = missy.inside("ask", "--session", "0123456789ab", "hi")
    assert (ran.code, "no session has it" in ran.err) == (2, True)


def test_an_unnamed_session_has_one_title_everywhere(missy, origin):
    """The first question of its active turns, in the list, in show and in export, whichever turn is shown."""
    with library.Missy.open() as m:
        s = m.session()
        for prompt in ("wrong", "two"):
            s.ask(prompt).text()
        s.undo(2)
        for prompt in ("first", "second"):
            s.ask(prompt).text()
    (row,) = missy.inside("sessions", "--json").json()
    assert row["name"] == "first"
    for args in (
        ["show"],
        ["show", "--turn", "4"],
        ["show", "--turn", "1"],
        ["show", "--all"],
        ["export", "--format", "json"],
    ):
        shown = missy.inside(
            "sessions", args[0], row["id"], *args[1:], *(["--json"] if args[0] == "show" else [])
        ).json()
        assert shown["name"] == "first", args
        if "--turn" in args:
            assert [turn["n"] for turn in shown["turns"]] == [int(args[-1])]


def test_a_prefix_that_fits_several_lists_them(missy, talked, database):
    """Four characters of an id are enough while they fit one; else exit 2, with the ids."""
    database.rows("INSERT INTO session (id, name, created_ms, updated_ms) VALUES ('abcd00000000', 'a', 1, 1)")
    database.rows("INSERT INTO session (id, name, created_ms, updated_ms) VALUES ('abcd11111111', 'b', 1, 1)")
    for command in (["ask", "hi", "--session"], ["sessions", "show"], ["sessions", "export"]):
        ran = missy.inside(*command, "abcd")
        assert ran.code == 2
        assert "abcd00000000" in ran.err
        assert "abcd11111111" in ran.err
    assert missy.inside("sessions", "show", "abcd0", "--json").json()["name"] == "a"
    assert missy.inside("sessions", "show", "abc").code == 2
    assert missy.inside("sessions", "show", "nobody").code == 2


def test_a_fork_goes_on_alone(missy, talked, origin):
    """Fork prints the new id; what is asked there is not in the first one, and the other way round."""
    new = missy.inside("sessions", "fork", "holiday", "--turn", "1", "--name", "by train").text.strip()
    missy.inside("ask", "--session", new, "train")
    missy.inside("ask", "--session", "holiday", "plane")
    prompts = {
        name: [turn["prompt"] for turn in missy.inside("sessions", "show", name, "--json").json()["turns"]]
        for name in ("by train", "holiday")
    }
    assert prompts == {
        "by train": ["Straße to Łódź", "train"],
        "holiday": ["Straße to Łódź", "and then?", "plane"],
    }
    assert missy.inside("sessions", "fork", "holiday", "--turn", "9").code == 2


def test_a_fork_outlives_what_it_was_forked_from(missy, talked):
    """Deleting the first one leaves the fork whole; deleting the fork then leaves nothing."""
    new = missy.inside("sessions", "fork", "holiday").text.strip()
    newer = missy.inside("sessions", "fork", new, "--turn", "1").text.strip()
    before = missy.inside("sessions", "show", new, "--json").json()["turns"]
    assert missy.inside("sessions", "delete", "holiday", "--yes").code == 0
    assert missy.inside("sessions", "show", new, "--json").json()["turns"] == before
    assert missy.inside("sessions", "delete", new, "--yes").code == 0
    assert [turn["prompt"] for turn in missy.inside("sessions", "show", newer, "--json").json()["turns"]] == [
        "Straße to Łódź"
    ]
    assert missy.inside("sessions", "check").code == 0


def test_the_export_is_byte_for_byte(missy, serve, tmp_path):
    """Markdown under `## You` and `## MODEL`, every text as it was, into a pipe and into a file of one's own."""
    text = "# Head\r\n\ttab  two \u202eר\u200d 🏳️‍🌈\n```\n\x1b[1mcode\x1b[0m\n```\n\n\n"
    missy.entry(serve(chat_stream({"reasoning_content": "hmm"}, *text)).url)
    missy("ask", "--session", "s", "-", stdin=text.encode())
    out = missy.inside("sessions", "export", "s").out
    assert out == f"## You\n\n{text}\n\n## m\n\n{text}\n".encode()
    assert b"hmm" in missy.inside("sessions", "export", "s", "--reasoning").out
    assert missy.inside("sessions", "export", "s", "--output", "-").out == out
    file = tmp_path / "out.md"
    assert missy.inside("sessions", "export", "s", "--output", str(file)).code == 0
    assert file.read_bytes() == out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert missy.inside("sessions", "export", "s", "--output", str(file)).code == 2
    assert (
        missy.inside("sessions", "export", "s", "--output", str(file), "--force", "--format", "json").code
        == 0
    )
    assert as_json(file.read_bytes())["turns"][0]["answer"] == text


def test_deleting_asks_or_wants_a_yes(missy, talked, origin):
    """On a terminal it asks; without one --yes is needed; names, an age, or all; else exit 2."""
    for args in ([], ["work", "--all"], ["--older-than", "soon", "--yes"], ["work"], ["nobody", "--yes"]):
        assert missy.inside("sessions", "delete", *args).code == 2, args
    assert missy.inside("sessions", "delete", "--older-than", "30d", "--yes").code == 0
    assert len(missy.inside("sessions", "--json").json()) == 2
    with Person(missy, "sessions", "delete", "work") as person:
        person.see("Delete 1 session?")
        person.press("y", ENTER)
        assert person.end() == 0
    assert [row["name"] for row in missy.inside("sessions", "--json").json()] == ["holiday"]
    ran = missy.inside("sessions", "delete", "--all", "--yes")
    assert (ran.code, ran.err.strip()) == (0, "missy: gone: 1 session")
    assert missy.inside("sessions", "--json").json() == []


def test_old_sessions_are_deleted_by_age(missy, talked, database):
    """--older-than looks at the last use."""
    database.rows("UPDATE session SET updated_ms = updated_ms - 86400000 * 31 WHERE name = 'holiday'")
    assert missy.inside("sessions", "delete", "--older-than", "30d", "--yes").code == 0
    assert [row["name"] for row in missy.inside("sessions", "--json").json()] == ["work"]


def test_hostile_content_is_shown_and_not_obeyed(missy, serve, database):
    """Names, prompts, answers and models with escape sequences reach no terminal, whoever wrote them into the file."""
    missy.entry(serve(chat_stream(HOSTILE)).url)
    missy.inside("ask", "--session", "s", HOSTILE)
    database.rows("UPDATE session SET name = ?", HOSTILE)
    database.rows("UPDATE turn SET model = ?, entry = ?", HOSTILE, HOSTILE)
    (found,) = missy.inside("sessions", "--json").json()
    for args in (["list"], ["show", found["id"]], ["search", "evil"], ["show", found["id"], "--json"], ["search", "evil", "--json"],
                 ["show", "nobody" + HOSTILE], ["rename", found["id"], HOSTILE]):  # fmt: skip
        ran = missy.inside("sessions", *args)
        assert b"\x1b" not in ran.out, args
        assert b"\x07" not in ran.out, args
        assert "\x1b" not in ran.err, args
    with Person(missy, "sessions", "export", found["id"]) as person:
        assert person.end() == 0
        assert "\x1b]52" not in person.raw
        assert "\x1b[2J" not in person.raw


def test_a_hostile_tree_ends(missy, talked, database):
    """A circle of parents, a tip that is nowhere and JSON that is none are no endless loop and no traceback."""
    database.rows("UPDATE turn SET parent = id, options = '[', replay = '{\"items\": 7}'")
    for args in (
        ["show", "holiday"],
        ["list"],
        ["search", "straße"],
        ["fork", "holiday"],
        ["export", "holiday"],
    ):
        assert missy("sessions", *args).code == 0, args
    database.rows("UPDATE session SET tip = 999")
    for args in (["show", "holiday"], ["list"], ["show", "holiday", "--all"]):
        ran = missy("sessions", *args)
        assert (ran.code, "Traceback" in ran.err) == (0, False), args


def test_check_says_what_is_wrong(missy, talked, home):
    """Whole and private: exit 0. A wide mode or a damaged page: exit 1, and what."""
    ran = missy.inside("sessions", "check")
    assert (ran.code, ran.text.splitlines()[-1]) == (0, "ok")
    path = home / "sessions.db"
    path.chmod(0o644)
    assert (missy.inside("sessions", "check").code, stat.S_IMODE(path.stat().st_mode)) == (1, 0o600)
    assert missy.inside("sessions", "check", "--json").json()["ok"] is True
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(3 * 4096))
    ran = missy.inside("sessions", "check", "--json")
    assert (ran.code, ran.json()["ok"]) == (1, False)
    assert ran.json()["problems"]


def test_without_any_database_all_is_well(missy, home):
    """Check and list on a new home are no errors and make nothing."""
    for args in (["check"], ["list"], ["search", "x"]):
        assert missy.inside("sessions", *args).code == 0
    assert not (home / "sessions.db").exists()


def test_a_listing_loads_no_http_stack(missy, talked):
    """`missy sessions` reads a file and nothing more: no SDK, no HTTP stack, no renderer, no event loop."""
    from tests.test_imports import HEAVY, watch

    trace = watch(missy, "sessions", "list", "--json")
    assert trace.code == 0
    assert trace.packages & HEAVY == set()
    assert trace.sockets == []


def test_the_reasoning_is_kept(missy, serve):
    """What the model thought is in the JSON, and in the Markdown when asked for."""
    missy.entry(serve(chat_stream({"reasoning_content": "let me see"}, "hello")).url)
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    assert missy.inside("sessions", "show", "s", "--json").json()["turns"][0]["reasoning"] == "let me see"
    assert "let me see" not in missy.inside("sessions", "export", "s").text
    assert "let me see" in missy.inside("sessions", "export", "s", "--reasoning").text
