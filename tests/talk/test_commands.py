"""Slash commands: what each changes of what is asked next, and what is kept."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from missy.cli.talk.clipboard import code_blocks
from tests.cli.person import CTRL_C, ENTER, Person
from tests.providers.chatgpt import Subscriber
from tests.servers import Gate, chat_stream
from tests.sessions.conftest import Database
from tests.simulator import Say, Script, Simulator, Think
from tests.talk.conftest import echo, leave, ready, said, say

pytestmark = pytest.mark.slow

BLOCKS = (
    "Run:\n\n```sh\ncurl -s https://a.example/"
    + "x" * 90
    + " \\\n\t-o out\n```\n\nor\n\n1. item\n   ~~~\n   two\n     three\n   ~~~\n"
)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def command(person, text: str, *shown: str) -> None:
    """Type a command, and wait for what it shows and the next prompt."""
    person.press(text, ENTER)
    person.see(*shown)
    ready(person)


def test_help_names_every_command(talk):
    """/help lists each command with its argument, and the keys."""
    person = talk(rows=40)
    command(person, "/help", "/model [M]", "/attach FILE", "/copy [N|all]", "/exit", "Alt+Enter")
    leave(person)


def test_retry_edit_and_undo_put_turns_aside(talk, origin, missy, home):
    """They ask again without what was before; what was put aside stays stored, in the same session."""
    person = talk()
    say(person, "one")
    say(person, "two")
    person.press("/retry other-model", ENTER)
    person.until(lambda: len(origin.requests) == 3)
    ready(person)
    assert origin.last.json()["model"] == "other-model"
    assert said(origin.last) == [("user", "one"), ("assistant", "re: one"), ("user", "two")]
    person.press("/edit", ENTER)
    person.see("> two test")
    person.press(" more", ENTER)
    person.see("re: two more")
    ready(person)
    assert said(origin.last) == [("user", "one"), ("assistant", "re: one"), ("user", "two more")]
    command(person, "/undo", "1 turn put aside, 1 left")
    say(person, "three")
    assert said(origin.last) == [("user", "one"), ("assistant", "re: one"), ("user", "three")]
    command(person, "/undo 7", "7 turns cannot be undone")
    command(person, "/undo x", "no number of turns")
    command(person, "/undo 2", "2 turns put aside, 0 left")
    say(person, "fresh")
    assert said(origin.last) == [("user", "fresh")]
    leave(person)
    assert [turn[0] for turn in Database(home).turns()] == ["one", "two", "two", "two more", "three", "fresh"]
    sessions = missy.inside("sessions", "list", "--json").json()
    assert len(sessions) == 1
    shown = missy.inside("sessions", "show", sessions[0]["id"], "--all", "--json").json()
    assert [turn["active"] for turn in shown["turns"]] == [False] * 5 + [True]


def test_an_edit_can_be_given_up(talk, origin):
    """Ctrl-C after /edit leaves the last turn as it was."""
    person = talk()
    say(person, "one")
    person.press("/edit", ENTER)
    person.see("> one test")
    person.press(CTRL_C)
    person.see("stays as it was")
    ready(person)
    say(person, "two")
    assert said(origin.last) == [("user", "one"), ("assistant", "re: one"), ("user", "two")]
    leave(person)


def test_fork_goes_on_in_a_new_session(talk, origin, missy):
    """The new session has the same turns; the old one stays as it is."""
    person = talk()
    say(person, "one")
    command(person, "/fork branch", "this is now the session", "(branch)")
    say(person, "two")
    assert said(origin.last) == [("user", "one"), ("assistant", "re: one"), ("user", "two")]
    leave(person)
    sessions = {one["name"]: one["turns"] for one in missy.inside("sessions", "list", "--json").json()}
    assert sessions == {"branch": 2, "one": 1}


def copied(raw: str) -> str:
    """Return what the last OSC 52 sequence holds."""
    data = raw.rpartition("\x1b]52;c;")[2].partition("\x07")[0]
    return base64.b64decode(data).decode()


def test_copy_writes_to_the_terminals_clipboard(talk, origin):
    """/copy: the last answer; /copy N: a code block exactly as it is; /copy all: the conversation."""
    origin.script = [chat_stream(BLOCKS)]
    person = talk()
    person.press("code", ENTER)
    person.see("1 turn")
    command(person, "/copy", "terminal's clipboard (unconfirmed)")
    assert copied(person.raw) == BLOCKS
    command(person, "/copy 1", "bytes sent")
    person.until(lambda: copied(person.raw).startswith("curl"))
    assert copied(person.raw) == "curl -s https://a.example/" + "x" * 90 + " \\\n\t-o out"
    command(person, "/copy 2", "bytes sent")
    person.until(lambda: copied(person.raw).startswith("two"))
    assert copied(person.raw) == "two\n  three"
    command(person, "/copy all", "bytes sent")
    person.until(lambda: "## You" in copied(person.raw))
    command(person, "/copy 3", "no code block 3", "it has 2")
    assert person.raw.count("\x1b]") == person.raw.count("\x1b]52;c;") == 4
    leave(person)


def test_the_start_of_a_code_block_is_found_in_time():
    """A row of backticks of any length, which begins no block, is read once."""
    assert code_blocks("`" * 300_000) == []


def test_the_clipboard_can_be_off(talk, origin, missy):
    """`run: {clipboard: false}`: no such sequence is written."""
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "run": {"clipboard": False}})
    person = talk()
    say(person, "hello")
    command(person, "/copy", "the clipboard is off")
    assert "\x1b]" not in person.raw
    leave(person)


def test_save_writes_a_private_file_and_never_over_one(talk, origin, tmp_path):
    """/save FILE: Markdown or JSON with mode 0600; a file that is there stays."""
    person = talk()
    command(person, f"/save {tmp_path}/none.md", "there is no turn yet")
    say(person, "hello")
    command(person, f"/save {tmp_path}/a.md", "written:")
    command(person, f"/save {tmp_path}/a.md", "nothing is written over")
    command(person, f"/save {tmp_path}/b.json", "written:", "b.json")
    leave(person)
    assert (tmp_path / "a.md").read_text() == "## You\n\nhello\n\n## m\n\nre: hello\n"
    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "b.json").read_text())["turns"][0]["prompt"] == "hello"


def test_what_is_asked_next_can_be_changed(talk, origin, missy):
    """/system, /model, /reasoning and /schema are in the next request, and nothing is sent by them."""
    person = talk()
    command(person, "/system Be brief.", "system: Be brief.")
    command(person, "/model m2", "model: m2")
    command(person, "/reasoning high", "reasoning: high")
    command(person, "/reasoning loud", "no level 'loud'")
    assert origin.requests == []
    say(person, "one")
    body = origin.last.json()
    assert (body["model"], body["reasoning_effort"]) == ("m2", "high")
    assert said(origin.last) == [("system", "Be brief."), ("user", "one")]
    command(person, "/system off", "system: none")
    command(person, "/reasoning off", "as the endpoint chooses")
    say(person, "two")
    assert said(origin.last)[0] == ("user", "one")
    assert "reasoning_effort" not in origin.last.json()
    origin.script = [chat_stream('{"name":"Ada","age":36}')]
    command(person, "/schema name str, age int", "must fit")
    person.press("who?", ENTER)
    person.see('"name": "Ada"', "3 turns")
    assert origin.last.json()["response_format"]["type"] == "json_schema"
    command(person, "/schema off", "no schema")
    leave(person)


def test_the_entry_can_be_changed_over_both_wire_formats(missy, origin):
    """/provider asks another entry with the whole conversation, over Chat Completions and Responses; sealed items stay home."""
    with Simulator() as simulator:
        simulator.backend.scripts.extend([Script((Think(("Hm",)), Say(("sealed ", "answer"))))] * 2)
        subscriber = Subscriber(missy, simulator)
        subscriber.signs_in()
        config = json.loads((missy.home / "config.yaml").read_text())
        config["providers"]["test"] = {"name": "openai", "model": "m", "base_url": origin.url, "timeout": 20}
        missy.config({**config, "default_provider": "test"})
        with Person(missy, "run") as person:
            person.see("test · m")
            say(person, "one")
            command(person, "/provider nowhere", "no provider 'nowhere'")
            command(person, "/provider openai-codex", "provider: openai-codex")
            person.press("two", ENTER)
            person.see("sealed answer", "2 turns")
            ready(person)
            roles = [item["role"] for item in subscriber.body["input"]]
            assert roles == ["user", "assistant", "user"]
            command(person, "/provider test", "provider: test")
            say(person, "three")
            assert said(origin.last)[2:] == [
                ("user", "two"),
                ("assistant", "sealed answer"),
                ("user", "three"),
            ]
            assert Think(("Hm",)).encrypted not in origin.last.body.decode()
            command(person, "/provider openai-codex", "provider: openai-codex")
            person.press("four", ENTER)
            person.see("4 turns")
            assert [item["type"] for item in subscriber.body["input"]].count("reasoning") == 1
            assert "h window" in person.terminal.shown() or "d window" in person.terminal.shown()
            ready(person)
            leave(person)


def test_files_wait_for_the_next_message(talk, origin, tmp_path):
    """/attach sends nothing; the file goes along with the next message only; /detach forgets it."""
    image = tmp_path / "dot.png"
    image.write_bytes(PNG)
    person = talk()
    command(person, f"/attach {image}", "attached to the next message: dot.png, image/png", "1 attached")
    command(person, "/detach", "detached: 1")
    command(person, f"/attach {tmp_path}", "folder")
    command(person, f"/attach {image}", "1 attached")
    assert origin.requests == []
    say(person, "what is it?")
    assert origin.last.json()["messages"][-1]["content"][1]["type"] == "image_url"
    say(person, "and now?")
    assert origin.last.json()["messages"][-1]["content"] == "and now?"
    leave(person)


def test_sessions_are_listed_searched_resumed_and_named(talk, origin, missy):
    """/sessions, /search, /resume, /rename and /clear; resuming shows the last turn."""
    person = talk("--session", "first")
    say(person, "remember the walrus")
    command(person, "/clear", "a new session; the one before stays stored")
    say(person, "second thing")
    assert said(origin.last) == [("user", "second thing")]
    command(person, "/rename my talk", "now called my talk")
    command(person, "/rename first", "has the name 'first' already")
    command(person, "/sessions", "ID", "first", "my talk")
    command(person, "/search WALRUS", "remember the walrus")
    command(person, "/resume nothing", "there is no session 'nothing'")
    command(person, "/resume first", "1 turn; the last one:", "re: remember the walrus")
    say(person, "go on")
    assert said(origin.last)[0] == ("user", "remember the walrus")
    command(person, "/usage", "2 turns", "6 in 8 out", "$0.0000")
    leave(person)
    person = talk("--continue")
    person.see("session", "(first)", "2 turns", "> go on", "re: go on")
    leave(person)


def test_a_new_session_can_be_named_before_its_first_message(talk, origin, missy):
    """/rename before anything was asked names the session that the first message begins."""
    person = talk()
    command(person, "/rename plans", "now called plans")
    say(person, "hello")
    leave(person)
    assert [one["name"] for one in missy.inside("sessions", "list", "--json").json()] == ["plans"]


def test_turns_that_were_added_elsewhere_are_said(talk, origin, missy):
    """If another process continued the session, the next message says so, and goes on from there."""
    person = talk("--session", "shared")
    say(person, "one")
    for prompt in ("two", "three"):
        assert missy("ask", "--session", "shared", prompt).code == 0
    person.press("four", ENTER)
    person.see("2 turns were added elsewhere", "re: four")
    assert [text for role, text in said(origin.last) if role == "user"] == ["one", "two", "three", "four"]
    leave(person)


def test_a_change_of_the_configuration_switches_no_entry(talk, origin, serve, missy):
    """Another default is not asked; an entry that leads elsewhere now is asked only after a yes."""
    other = serve(echo)
    person = talk()
    say(person, "one")
    entry = {"name": "openai", "model": "m", "max_retries": 0, "timeout": 20}
    two = {"a": {**entry, "base_url": other.url}, "test": {**entry, "base_url": origin.url}}
    missy.config({"default_provider": "a", "providers": two})
    say(person, "two")
    assert other.requests == []
    missy.config({"providers": {"test": {**entry, "base_url": other.url}}})
    person.press("three", ENTER)
    person.see("all of this conversation would go to", "yes or no")
    person.press("no", ENTER)
    person.see("not sent")
    assert other.requests == []
    person.press(ENTER)
    person.see("yes or no")
    person.press("yes", ENTER)
    person.see("re: three")
    assert len(said(other.last)) == 5
    leave(person)


@pytest.mark.parametrize("args", [("--temp",), ()], ids=["--temp", "/temp"])
def test_a_temporary_conversation_leaves_no_byte(talk, origin, missy, home, args):
    """Nothing of it is under MISSY_HOME, and the input line says `temp`."""
    gate = Gate()
    origin.script = [echo, chat_stream("CANARYzq7 half", gate, "x"), echo]
    person = talk(*args)
    if not args:
        command(person, "/temp", "from now on nothing is stored")
    person.see("temp>")
    command(person, "/system CANARYzq7 system", "system:")
    person.press("CANARYzq7 one", ENTER)
    person.see("re: CANARYzq7 one", "1 turn")
    ready(person)
    person.press("CANARYzq7 two", ENTER)
    person.see("CANARYzq7 half")
    person.press(CTRL_C)
    person.see("stopped")
    ready(person)
    gate.open()
    person.press("\x18\x05")
    person.see("writes no file")
    command(person, "/retry", "re: CANARYzq7 two")
    command(person, "/rename CANARYzq7", "has no name")
    command(person, "/resume abcd", "stores nothing")
    leave(person)
    assert origin.last.json()["messages"][0]["content"] == "CANARYzq7 system"
    for path in home.rglob("*"):
        assert "CANARYzq7" not in path.name
        assert not path.is_file() or b"CANARYzq7" not in path.read_bytes()
    assert Database(home).turns() == []  # what was spent is counted, in numbers only
    assert not [one for one in home.glob("run-history*") if args]


def test_temp_is_refused_once_something_is_stored(talk, origin):
    """/temp after the first message is an error; so are --temp and a session together."""
    person = talk()
    say(person, "hello")
    command(person, "/temp", "is stored already")
    leave(person)


def test_a_deleted_session_leaves_the_history_too(talk, origin, missy, home):
    """`sessions delete` removes the prompts of the session from the history of typed lines."""
    person = talk("--session", "gone")
    say(person, "CANARYzq7 prompt")
    command(person, "/clear", "a new session")
    say(person, "stays")
    leave(person)
    assert missy.inside("sessions", "delete", "gone", "--yes").code == 0
    assert all(b"CANARYzq7" not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert '"stays"' in (home / "run-history.jsonl").read_text()


def test_old_sessions_are_deleted_at_the_end(talk, origin, missy, home):
    """`sessions: {keep_days: 1}` deletes what was last used before that, when the conversation ends."""
    assert missy("ask", "--session", "old", "x").code == 0
    Database(home).rows("UPDATE session SET updated_ms = 1000")
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "sessions": {"keep_days": 1}})
    person = talk()
    say(person, "new")
    leave(person)
    assert "deleted, as sessions.keep_days says: 1 session" in person.terminal.text()
    assert len(missy.inside("sessions", "list", "--json").json()) == 1
