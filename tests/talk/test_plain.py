"""The conversation where nothing may be drawn over: `--plain`, `TERM=dumb`, `screen_reader: true`."""

from __future__ import annotations

import json

import pytest

from tests.cli.person import CTRL_C, CTRL_D, CTRL_U, ENTER, UP
from tests.servers import Gate, chat_stream
from tests.talk.conftest import echo, leave, ready, said

pytestmark = pytest.mark.slow

MARKS = ("\x1b[?2004h", "\x1b[?2004l")
WAYS = {"--plain": ({}, ("--plain",)), "dumb": ({"TERM": "dumb"}, ()), "screen_reader": ({}, ())}


@pytest.fixture(params=WAYS)
def plain(request, talk, missy):
    """Begin a conversation in each of the three ways."""
    env, args = WAYS[request.param]
    if request.param == "screen_reader":
        config = json.loads((missy.home / "config.yaml").read_text())
        missy.config({**config, "run": {"screen_reader": True}})
    return talk(*args, env=env)


def test_nothing_is_drawn_over(plain, origin):
    """No escape sequence but the marks of pastes, no status line, and each answer begins with the model's name."""
    origin.script = [chat_stream("# Head\n\n**bold** `code`"), chat_stream("again")]
    plain.press("hello", ENTER)
    plain.see("**bold** `code`")
    ready(plain)
    plain.press("more", ENTER)
    plain.see("again")
    ready(plain)
    leave(plain)
    raw = plain.raw
    for mark in MARKS:
        raw = raw.replace(mark, "")
    assert "\x1b" not in raw
    assert raw.replace("\r\n", "\n") == (
        "> hello\n\nm:\n# Head\n\n**bold** `code`\n\n> more\n\nm:\nagain\n\n> \n"
    )


def test_a_paste_does_not_send(plain, origin):
    """A paste of many lines is one message, marked or not."""
    if MARKS[0] in plain.raw:
        plain.paste("one\r/exit\rtwo\x1b[31m")
    else:
        plain.press("one\r/exit\rtwo\x1b[31m")
    plain.see("two")
    assert origin.requests == []
    plain.press(ENTER)
    plain.see("re: one")
    ready(plain)
    text = said(origin.last)[-1][1]
    assert text.startswith("one\n/exit\ntwo")
    assert "\x1b[31m" not in plain.raw
    leave(plain)


def test_editing_at_the_end(plain, origin):
    """Backspace, Ctrl+U, Ctrl+W, a new line, and the lines before with Up."""
    plain.press("heloo", "\x7f\x7f", "lo wrong", "\x17", "x")
    plain.see("hello x")
    plain.press("\n")
    plain.until(lambda: plain.raw.endswith("\r\n"))
    plain.press("y", ENTER)
    plain.see("re: hello x")
    ready(plain)
    assert said(origin.last) == [("user", "hello x\ny")]
    plain.press("gone", CTRL_U, "/nothing")
    plain.press(ENTER)
    plain.see("no command /nothing")
    plain.press("typed")
    plain.see("> typed")
    plain.press(CTRL_C)
    ready(plain)
    plain.press(CTRL_C)
    plain.see("/exit ends")
    plain.press(UP, UP, ENTER)
    plain.until(lambda: len(origin.requests) == 2)
    assert said(origin.last)[-1] == ("user", "hello x\ny")
    ready(plain)
    plain.press(CTRL_D)
    assert plain.end() == 0
    assert plain.modes() == plain.before


def test_ctrl_c_and_type_ahead(plain, origin):
    """Ctrl-C stops an answer; what was typed meanwhile was not echoed, and is in the next input line."""
    gate = Gate()
    origin.script = [chat_stream("half", gate, "never"), echo]
    plain.press("q", ENTER)
    plain.see("half")
    plain.press("ahead")
    plain.press(CTRL_C)
    plain.see("stopped", "> ahead")
    gate.open()
    plain.press(ENTER)
    plain.see("re: ahead")
    assert said(origin.last) == [("user", "q"), ("assistant", "half"), ("user", "ahead")]
    ready(plain)
    leave(plain)
