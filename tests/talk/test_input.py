"""What is typed and pasted: what sends it, what is shown of it, and what is a command."""

from __future__ import annotations

import json
import os
import stat

import pytest

from tests.cli.person import CTRL_C, CTRL_D, CTRL_U, ENTER, UP, Person
from tests.talk.conftest import leave, ready, said, say

pytestmark = pytest.mark.slow


def test_two_messages_are_one_conversation(talk, origin):
    """Enter sends; the second request holds the first question and its answer."""
    person = talk()
    say(person, "hello")
    say(person, "again")
    leave(person)
    assert said(origin.last) == [("user", "hello"), ("assistant", "re: hello"), ("user", "again")]


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
def test_a_paste_of_200_lines_is_one_message_byte_for_byte(talk, origin, size):
    """A paste never sends, whatever lines it holds; then Enter sends it as it was, and all of it is on the terminal."""
    text = "\n".join(f"line {n}\t{'x' * (n % 70)}" for n in range(100))
    text += "\n/exit\n\n//exit\n" + "\n".join(f"line {n} é 文章 🎉" for n in range(100, 200))
    person = talk(columns=size[0], rows=size[1])
    person.paste(text.replace("\n", "\r"))
    person.see("line 199")
    assert origin.requests == []
    person.press(ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", text)]
    shown = person.terminal.text().replace("\n", "")
    assert all(f"line {n}" in shown for n in range(200))
    leave(person)
    assert len(origin.requests) == 1


def test_a_paste_without_marks_does_not_send_either(talk, origin):
    """A terminal that marks no paste writes 200 lines at once: they stay in the input line."""
    person = talk()
    text = "\n".join(f"row {n}" for n in range(200))
    person.press(text.replace("\n", "\r"), "\r")
    person.see("row 199")
    assert origin.requests == []
    person.press(ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", text + "\n")]
    leave(person)


def test_what_a_paste_does_to_terminals_is_shown_and_not_done(talk, origin):
    """Control characters of a paste reach the terminal as text, and what is shown is what is sent."""
    person = talk()
    person.paste("a\x1b]52;c;aGk=\x07b\x1b[31mc\x9b2J\u202ed\u200be\x00")
    person.see("pasted:")
    person.press(ENTER)
    person.see("re: a", "1 turn")
    shown = r"a\x1b]52;c;aGk=\x07b\x1b[31mc\x9b2Jde\x00"
    assert said(origin.last) == [("user", shown)]
    assert shown in person.terminal.text()
    assert "\x1b]" not in person.raw
    assert "\x1b[31m" not in person.raw
    assert "\u202e" not in person.raw
    leave(person)


def test_a_paste_that_ends_itself_does_not_send(talk, origin):
    """A paste that holds the mark of its own end goes on until the mark that the terminal wrote."""
    person = talk()
    person.press("\x1b[200~one\x1b[201~\r/exit\rtwo\x1b[201~")
    person.see("one", "/exit", "two")
    assert origin.requests == []
    person.press(ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", "one\n/exit\ntwo")]
    leave(person)


@pytest.mark.parametrize(
    "key", ["\x1b\r", "\n", "\x1b[13;2u", "\x1b[27;2;13~", "\x1bOM"],
    ids=["Alt+Enter", "Ctrl+J", "CSI u", "modifyOtherKeys", "SS3 M"],
)  # fmt: skip
def test_keys_that_make_a_line(talk, origin, key):
    """Each of these makes a line and does not send."""
    person = talk()
    person.press("one", key)
    person.press("two", ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", "one\ntwo")]
    leave(person)


def test_only_a_typed_slash_is_a_command(talk, origin):
    """A pasted slash is a message; `//x` sends `/x`; an unknown command is an error and not sent."""
    person = talk()
    person.paste("/exit")
    person.press(ENTER)
    person.see("re: /exit")
    ready(person)
    person.press("//two", ENTER)
    person.see("re: /two")
    ready(person)
    person.press("/nonsense", ENTER)
    person.see("no command /nonsense", "//")
    person.press("/undow 1", ENTER)
    person.see("did you mean /undo?")
    person.press("  /three", ENTER)
    person.see("re: /three")
    leave(person)
    assert [said(request)[-1][1] for request in origin.requests] == ["/exit", "/two", "  /three"]


def test_a_pasted_slash_is_a_message_at_every_input_line(talk, origin):
    """It is one after an earlier message too, and in a conversation that begins with a history of lines."""
    person = talk()
    say(person, "first")
    person.paste("/undo")
    person.press(ENTER)
    person.see("re: /undo")
    ready(person)
    leave(person)
    person = talk()
    person.paste("/exit")
    person.press(ENTER)
    person.see("re: /exit")
    ready(person)
    leave(person)
    assert [said(request)[-1][1] for request in origin.requests] == ["first", "/undo", "/exit"]


def test_history_recalls_what_was_sent_as_it_was_meant(talk, origin, missy):
    """Up brings back earlier lines, of earlier conversations too; a pasted slash is still no command."""
    person = talk()
    person.paste("/exit")
    person.press(ENTER)
    person.see("re: /exit")
    ready(person)
    say(person, "second")
    person.press(" with a blank first", ENTER)
    person.see("3 turns")
    leave(person)
    person = talk()
    person.press(UP)
    person.see("> second")
    person.press(UP)
    person.see("> //exit")
    person.press(ENTER)
    person.see("re: /exit")
    leave(person)
    path = missy.home / "run-history.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [json.loads(line) for line in path.read_text().splitlines()] == ["//exit", "second", "//exit"]


def test_history_is_searched(talk, origin):
    """Ctrl+R finds an earlier line."""
    person = talk()
    say(person, "find the needle here")
    say(person, "other")
    person.press("\x12", "needle")
    person.see("find the needle here")
    person.press(ENTER)
    person.press(ENTER)
    person.see("3 turns")
    assert said(origin.last)[-1] == ("user", "find the needle here")
    leave(person)


def test_no_history_where_none_is_wanted(talk, origin, missy):
    """`run: {history: false}` writes no file of lines."""
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "run": {"history": False}})
    person = talk()
    say(person, "hello")
    leave(person)
    assert not list(missy.home.glob("run-history*"))


def test_a_key_is_masked_in_the_history_and_not_sent_without_a_yes(talk, origin, missy):
    """A message that holds the key of an entry is asked about; the history has it masked."""
    missy.entry(origin.url, api_key="sk-CANARYCANARY1234")
    person = talk()
    person.press("my key is sk-CANARYCANARY1234", ENTER)
    person.see("holds the key of entry test", "yes or no")
    person.press("y", ENTER)
    person.see("not sent")
    assert origin.requests == []
    person.press(ENTER)
    person.see("yes or no")
    person.press("yes", ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", "my key is sk-CANARYCANARY1234")]
    leave(person)
    assert "CANARY" not in (missy.home / "run-history.jsonl").read_text()


def test_keys_that_end_or_clear(talk, origin):
    """Ctrl-C clears what was typed; on an empty line it says how to leave; Ctrl-D deletes, and leaves when empty."""
    person = talk()
    person.press("to be cleared")
    person.see("to be cleared")
    person.press(CTRL_C)
    ready(person)
    person.press(CTRL_C)
    person.see("/exit ends the conversation")
    person.press("ab", "\x01", CTRL_D)
    person.see("> b")
    person.press(CTRL_U, "\x0b")
    ready(person)
    leave(person)
    assert origin.requests == []


def test_exit_ends(talk):
    """/exit ends with 0."""
    person = talk()
    person.press("/exit", ENTER)
    assert person.end() == 0
    assert person.modes() == person.before


EDITOR = """#!/bin/sh
stat -c '%a %n' "$1" "$(dirname "$1")" > "$OUT"
env | grep -c CANARYKEY >> "$OUT"
printf '/edited\\nline two\\n' > "$1"
touch "$1~"
"""


def test_an_editor_of_ones_own(talk, origin, missy, tmp_path):
    """Ctrl+X Ctrl+E opens $EDITOR on a private file in MISSY_HOME, which is gone afterwards; what was saved is a message."""
    editor, out = tmp_path / "ed.sh", tmp_path / "out"
    editor.write_text(EDITOR)
    editor.chmod(0o700)
    person = talk(env={"EDITOR": str(editor), "OUT": str(out), "OTHER_API_KEY": "CANARYKEY", "VISUAL": None})
    person.press("begun")
    person.see("begun")
    person.press("\x18\x05")
    person.see("/edited", "line two")
    person.press(ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", "/edited\nline two")]
    leave(person)
    modes = out.read_text().splitlines()
    assert modes[0].split()[0] == "600"
    assert modes[0].split()[1].startswith(os.fspath(missy.home))
    assert modes[1].split()[0] == "700"
    assert modes[2] == "0"
    assert not list(missy.home.glob("edit-*"))


def test_an_input_that_is_no_terminal_is_refused(missy, origin):
    """Without a terminal: exit 2, and the hint names `missy ask`."""
    ran = missy("run", stdin=b"hello\n")
    assert ran.code == 2
    assert "use missy ask" in ran.err
    assert origin.requests == []


@pytest.mark.parametrize("args", [(), ("--plain",)])
def test_what_is_typed_while_missy_starts_is_sent(missy, origin, args):
    """A message that was typed before the first input line, Enter included, is sent."""
    with Person(missy, "run", *args) as person:
        person.press("early bird", ENTER)
        person.see("re: early bird")
        ready(person)
        leave(person)
    assert said(origin.last) == [("user", "early bird")]
