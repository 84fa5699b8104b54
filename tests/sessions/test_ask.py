"""`missy ask` in a session: what is sent, what is stored, and what is not."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

import missy as library
from tests.command import read_until
from tests.servers import Gate, chat_chunk, chat_error, chat_stream, event_stream, sse
from tests.sessions.conftest import texts
from tests.sessions.worker import answer_of


def test_an_answer_without_a_session_is_written_nowhere(missy, origin, home):
    """`ask` alone stores numbers: neither the question nor the answer is in any file of the home."""
    assert missy.inside("ask", "zanzibar").code == 0
    assert missy.inside("sessions", "list", "--json").json() == []
    assert (home / "sessions.db").exists()
    for path in filter(Path.is_file, home.rglob("*")):
        data = path.read_bytes()
        assert b"zanzibar" not in data, path
        assert answer_of("zanzibar").encode() not in data, path


def test_a_session_goes_on_where_it_was(missy, origin):
    """A name that is new makes a session, told on stderr; then the next request holds user, assistant, user."""
    first = missy("ask", "--session", "holiday", "one")
    assert (first.code, first.text) == (0, answer_of("one").rstrip() + " \n")
    assert "new session" in first.err
    second = missy.inside("ask", "--session", "holiday", "two", "--json")
    assert second.err == ""
    assert texts(origin.last) == [("user", "one"), ("assistant", answer_of("one")), ("user", "two")]
    got = second.json()
    assert (len(got["session"]), got["turn"]) == (12, 2)
    third = missy.inside("ask", "-c", "three", "--json").json()
    assert (third["session"], third["turn"]) == (got["session"], 3)
    for word in (got["session"], got["session"][:4]):
        assert missy.inside("ask", "--session", word, "more", "--json").json()["session"] == got["session"]
    assert len(missy.inside("sessions", "list", "--json").json()) == 1


def test_json_without_a_session_says_so(missy, origin):
    """`session` and `turn` are null where nothing is kept."""
    got = missy.inside("ask", "hi", "--json").json()
    assert (got["session"], got["turn"]) == (None, None)


def test_continue_without_any_session_is_wrong_use(missy, origin):
    """`-c` with nothing to continue is exit 2, the hint names --session, and nothing is sent."""
    ran = missy.inside("ask", "-c", "hi")
    assert (ran.code, ran.text) == (2, "")
    assert "--session" in ran.err
    assert origin.connections == 0
    assert missy.inside("ask", "-c", "--session", "x", "hi").code == 2


def test_the_entry_model_and_system_text_of_a_session_stay(missy, serve):
    """A conversation does not wander to another endpoint: only --provider moves it."""
    one, two = serve(chat_stream("from one")), serve(chat_stream("from two"))
    entries = {
        name: {"name": "openai", "model": "m", "base_url": server.url}
        for name, server in (("a", one), ("b", two))
    }
    missy.config({"providers": entries})
    options = ["--provider", "b", "--model", "special", "--system", "Be brief."]
    assert missy.inside("ask", "--session", "s", "hi", *options).text == "from two\n"
    assert missy.inside("ask", "--session", "s", "again").text == "from two\n"
    assert one.connections == 0
    assert two.last.json()["model"] == "special"
    assert texts(two.last)[0] == ("system", "Be brief.")
    assert missy.inside("ask", "--session", "s", "--provider", "a", "now").text == "from one\n"
    assert one.last.json()["model"] == "m"
    assert texts(one.last)[1:] == [
        ("user", "hi"), ("assistant", "from two"), ("user", "again"), ("assistant", "from two"), ("user", "now"),
    ]  # fmt: skip


def test_save_all_stores_each_answer(missy, serve):
    """`sessions: {save: all}` makes a session of each `ask`; `none` and `run` do not."""
    server = serve(chat_stream("hello"))
    entry = {"test": {"name": "openai", "model": "m", "base_url": server.url}}
    for save, count in (("none", 0), ("run", 0), ("all", 2)):
        missy.config({"providers": entry, "sessions": {"save": save, "keep_days": None}})
        for _ in range(2):
            assert missy.inside("ask", "what a day\nsecond line").code == 0
        assert len(missy.inside("sessions", "--json").json()) == count
    rows = missy.inside("sessions", "list", "--json").json()
    assert {row["name"] for row in rows} == {"what a day"}
    assert len({row["id"] for row in rows}) == 2


def test_a_dry_run_shows_the_whole_request_and_stores_nothing(missy, origin, database):
    """--dry-run in a session prints what would be sent, history and all."""
    missy.inside("ask", "--session", "s", "one")
    before = origin.connections, database.turns()
    got = missy.inside("ask", "--session", "s", "two", "--dry-run", "--json").json()
    assert [message["content"] for message in got["body"]["messages"]] == ["one", answer_of("one"), "two"]
    assert missy.inside("ask", "--session", "other", "two", "--dry-run").code == 0
    assert (origin.connections, database.turns()) == before
    assert len(missy.inside("sessions", "--json").json()) == 1


def test_the_question_is_stored_before_the_request_leaves(missy, serve, database):
    """When the server gets the request, the prompt is on the disk already, and its turn is `asking`."""
    seen = []

    def look(_request, _wire):
        seen.extend(database.turns())
        return chat_stream("hello")

    missy.entry(serve(look).url)
    assert missy.inside("ask", "--session", "s", "hi").code == 0
    assert seen == [("hi", "asking", None)]
    assert database.turns() == [("hi", "whole", "hello")]


def test_ctrl_c_keeps_what_came(missy, serve, database):
    """An answer that is stopped keeps its part, as `stopped`; the next request holds user, partial assistant, user."""
    gate = Gate()
    origin = serve(event_stream(sse(chat_chunk("half an")), gate), chat_stream("hello"))
    missy.entry(origin.url)
    child = missy.start("ask", "--session", "s", "one")
    read_until(child.stdout, b"half an")
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    gate.open()
    child.communicate()
    assert database.turns() == [("one", "stopped", "half an")]
    assert missy.inside("ask", "--session", "s", "two").code == 0
    assert texts(origin.last) == [("user", "one"), ("assistant", "half an"), ("user", "two")]
    assert "stopped" in missy.inside("sessions", "export", "s").text


def test_an_answer_that_is_cut_or_fails_is_kept_as_such(missy, serve, database):
    """Cut off: what came is kept. Refused before a word: the question is kept, and goes along no more."""
    cut = event_stream(sse(chat_chunk("so far")), end=False)
    origin = serve(cut, chat_error(400, "no"), chat_stream("hello"))
    missy.entry(origin.url)
    codes = [missy.inside("ask", "--session", "s", prompt).code for prompt in ("one", "two", "three")]
    assert codes[0] in (5, 6)
    assert codes[1:] == [5, 0]
    assert database.turns() == [("one", "cut", "so far"), ("two", "failed", ""), ("three", "whole", "hello")]
    assert texts(origin.last) == [("user", "one"), ("assistant", "so far"), ("user", "three")]


def test_a_full_disk_loses_no_answer(missy, serve, database):
    """Where the end cannot be stored the answer is shown all the same; exit 1, and it says that it was not stored."""
    long = "word " * 60_000
    missy.entry(serve(chat_stream("hello"), chat_stream(long)).url)
    assert missy("ask", "--session", "s", "one").code == 0

    def no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    ran = missy("ask", "--session", "s", "two", preexec_fn=no_more)
    assert ran.code == 1
    assert ran.text.strip() == long.strip()
    assert "not stored" in ran.err
    assert "Traceback" not in ran.err
    assert missy.inside("sessions", "show", "s", "--json").json()["turns"][1]["state"] == "cut"
    assert database.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_second_process_waits_and_goes_on_from_the_new_tip(missy, serve, database):
    """Two answers in one session come one after the other: the second says who is answering, and holds the first."""
    gate = Gate()
    origin = serve(
        event_stream(sse(chat_chunk("first")), gate, sse(chat_chunk({}, "stop"), "[DONE]")), chat_stream("x")
    )
    missy.entry(origin.url)
    one = missy.start("ask", "--session", "s", "one")
    read_until(one.stdout, b"first")
    two = missy.start("ask", "--session", "s", "two")
    told = read_until(two.stderr, b"waiting")
    assert f"answering in process {one.pid}, waiting".encode() in told
    assert len(origin.requests) == 1
    gate.open()
    assert (one.wait(30), two.wait(30)) == (0, 0)
    for child in (one, two):
        child.communicate()
    assert texts(origin.last) == [("user", "one"), ("assistant", "first"), ("user", "two")]
    assert [row[:2] for row in database.turns()] == [("one", "whole"), ("two", "whole")]


def test_what_a_killed_process_asked_becomes_cut(missy, serve, database):
    """After SIGKILL the question is there, and reads as cut."""
    gate = Gate()
    missy.entry(serve(event_stream(sse(chat_chunk("some")), gate), chat_stream("hello")).url)
    child = missy.start("ask", "--session", "s", "one")
    read_until(child.stdout, b"some")
    assert missy.inside("sessions", "show", "s", "--json").json()["turns"][0]["state"] == "asking"
    child.kill()
    child.wait()
    gate.open()
    child.communicate()
    turns = missy.inside("sessions", "show", "s", "--json").json()["turns"]
    assert [(turn["prompt"], turn["state"]) for turn in turns] == [("one", "cut")]
    assert missy.inside("ask", "--session", "s", "two").text == "hello\n"


def test_a_killed_process_leaves_what_had_come(missy, serve, database):
    """A long answer is kept every two seconds: after SIGKILL the turn is cut, with its part."""
    gate = Gate()

    def slowly(_request, wire):
        for piece in event_stream(sse(chat_chunk("one ")), end=False)[:-1]:
            wire.send(piece)
        time.sleep(2.2)  # what it is about
        data = sse(chat_chunk("two "))
        wire.send(b"%x\r\n%s\r\n" % (len(data), data))
        gate.pass_through()

    missy.entry(serve(slowly).url)
    child = missy.start("ask", "--session", "s", "count")
    read_until(child.stdout, b"two")
    child.kill()
    child.communicate()
    gate.open()
    assert missy.inside("sessions", "show", "s", "--json").json()["turns"][0]["answer"] == "one two "
    assert [row[1] for row in database.turns()] == ["cut"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "0123456789ab"])
def test_an_impossible_name_makes_no_session(name, missy, origin):
    """A name is one line of 1 to 200 characters, and does not look like an id."""
    assert missy.inside("ask", "--session", name, "hi").code == 2
    assert origin.connections == 0


def test_an_image_goes_along_with_its_turn(missy, serve, tmp_path):
    """What was attached is sent again with the turn that it belongs to, byte for byte."""
    image = tmp_path / "dot.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(40))
    origin = serve(chat_stream("a dot"))
    missy.entry(origin.url)
    missy.inside("ask", "--session", "s", "what is it?", "--attach", str(image))
    sent = origin.last.json()["messages"][0]
    missy.inside("ask", "--session", "s", "and now?")
    assert origin.last.json()["messages"][0] == sent
    files = missy.inside("sessions", "show", "s", "--json").json()["turns"][0]["attachments"]
    assert files == [{"name": "dot.png", "media_type": "image/png", "bytes": 48}]


def test_an_answer_that_fits_a_schema_is_kept_as_its_text(missy, serve, database):
    """`--schema` in a session: the value in `--json`, its text in the store, in the library too, also asked again."""
    origin = serve(chat_stream('{"age": 3}'))
    missy.entry(origin.url)
    got = missy.inside("ask", "--session", "s", "--schema", "age int", "--json", "how old?").json()
    assert (got["value"], got["turn"]) == ({"age": 3}, 1)
    with library.Missy.open() as m:
        talk = m.session("s")
        assert talk.ask("and now?", schema="age int").value() == {"age": 3}
        assert talk.retry().value() == {"age": 3}
    assert [text for _, _, text in database.turns()] == ['{"age": 3}'] * 3


@pytest.mark.parametrize(("finish", "code", "state"), [("stop", 0, "whole"), ("odd\ud800", 6, "cut")])
def test_an_answer_is_kept_whatever_words_come_with_it(missy, serve, database, finish, code, state):
    """Lone surrogates in the name of the model, in the reason of the end or in the text: all of it is stored and counted."""
    missy.entry(serve(chat_stream("a\ud800b", finish=finish, model="m\ud800x")).url)
    ran = missy.inside("ask", "--session", "s", "q")
    assert (ran.code, "not stored" in ran.err, "not recorded" in ran.err) == (code, False, False)
    assert database.turns() == [("q", state, "a\ufffdb")]
    shown = missy.inside("sessions", "show", "s", "--json").json()["turns"][0]
    assert shown["model"] == "m\ufffdx"


def test_the_last_question_is_asked_again_with_its_schema(missy, serve, tmp_path):
    """However the schema was given, `retry` sends the same one, also from another process: a file may have changed since."""
    origin = serve(chat_stream('{"age": 3}'))
    missy.entry(origin.url)
    path = tmp_path / "s.json"
    path.write_text('{"type": "object", "properties": {"age": {"type": "integer"}}}')
    for number, given in enumerate(("age int", str(path))):
        assert missy.inside("ask", "--session", f"s{number}", "--schema", given, "how old?").code == 0
        sent = origin.last.json()["response_format"]
        path.write_text("{}")
        with library.Missy.open() as m:
            assert m.session(f"s{number}").retry().value() == {"age": 3}
        assert origin.last.json()["response_format"] == sent


def test_an_answer_that_does_not_fit_its_schema_is_kept_too(missy, serve, database):
    """Cut off, or of another form: nothing is given out, and what came is stored."""
    missy.entry(serve(chat_stream('{"age": 3', finish="length"), chat_stream('{"age": "x"}')).url)
    for prompt in ("one", "two"):
        ran = missy.inside("ask", "--session", "s", "--schema", "age int", "--no-repair", prompt)
        assert (ran.code, ran.text) == (6, "")
    assert database.turns() == [("one", "cut", '{"age": 3'), ("two", "cut", '{"age": "x"}')]
