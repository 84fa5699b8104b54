"""Answers in a conversation: shown as they arrive, stopped, cut by signals, and what is typed meanwhile."""

from __future__ import annotations

import os
import signal
import termios

import pytest

from tests.cli.person import CTRL_C, ENTER, Person
from tests.servers import Gate, chat_error, chat_stream, event_stream, sse
from tests.servers.replies import chat_chunk
from tests.sessions.conftest import Database
from tests.talk.conftest import echo, leave, ready, said, say

pytestmark = pytest.mark.slow


def is_open(origin) -> bool:
    """Whether any connection to the server is open."""
    return origin.ended + len(origin.failures) < origin.connections


def test_ctrl_c_stops_an_answer_and_keeps_it(talk, origin, home):
    """The prompt is back within half a second of work, the socket closed, and the next request holds the partial answer."""
    gate = Gate()
    origin.script = [chat_stream("half of ", "it", gate, "never"), echo]
    person = talk()
    person.press("question", ENTER)
    person.see("half of it")
    person.press(CTRL_C)
    person.see("stopped; what came is kept", "1 turn")
    gate.open()
    person.until(lambda: not is_open(origin))
    say(person, "next")
    assert said(origin.last) == [("user", "question"), ("assistant", "half of it"), ("user", "next")]
    leave(person)
    assert [turn[1:] for turn in Database(home).turns()] == [("stopped", "half of it"), ("whole", "re: next")]


def test_stopping_twenty_times_costs_nothing(talk, origin):
    """After twenty stopped answers, the process has as many descriptors and nearly as much memory as after three."""
    gates = [Gate() for _ in range(20)]
    origin.script = [chat_stream(f"{f'w{n}' * 9} " * 9, gate, "never") for n, gate in enumerate(gates)] + [
        echo
    ]
    person = talk()
    pid, sizes = person.process.pid, []
    for number, gate in enumerate(gates):
        person.press(f"q{number}", ENTER)
        person.see(f"w{number}" * 9)
        person.press(CTRL_C)
        person.see("stopped", f"{number + 1} turn")
        ready(person)
        gate.open()
        sizes.append((len(os.listdir(f"/proc/{pid}/fd")), resident(pid)))
    assert sizes[-1][0] <= sizes[2][0]
    assert sizes[-1][1] - sizes[2][1] < 3_000  # kB
    say(person, "still here")
    leave(person)


def resident(pid: int) -> int:
    """Return the memory of a process in kB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_what_is_typed_during_an_answer_waits(talk, origin):
    """It is not echoed into the answer; it is in the next input line; Enter that was pressed sends it."""
    first, second = Gate(), Gate()
    origin.script = [chat_stream("one ", first, "two"), chat_stream("three ", second, "four"), echo]
    person = talk()
    person.press("a", ENTER)
    person.see("one")
    person.press("typed ahead")
    person.press("\x1b[200~ and pasted\rwith a line\x1b[201~")
    first.open()
    person.see("> typed ahead and pasted", "with a line", "1 turn")
    assert "one two" in person.terminal.text()
    assert len(origin.requests) == 1
    person.press(ENTER)
    person.see("three")
    person.press("at once", ENTER)
    second.open()
    person.see("re: at once")
    assert [said(request)[-1][1] for request in origin.requests] == [
        "a",
        "typed ahead and pasted\nwith a line",
        "at once",
    ]
    assert "three four" in person.terminal.text()
    leave(person)


def test_what_is_typed_before_ctrl_c_is_kept(talk, origin):
    """Ctrl-C stops the answer and does not throw away what was typed ahead."""
    gate = Gate()
    origin.script = [chat_stream("one ", gate, "two"), echo]
    person = talk()
    person.press("a", ENTER)
    person.see("one")
    person.press("kept")
    person.press(CTRL_C)
    person.see("stopped", "> kept")
    gate.open()
    leave_with_text(person)


def leave_with_text(person: Person) -> None:
    """Clear the line, and leave."""
    person.press(CTRL_C)
    ready(person)
    leave(person)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("where", ["prompt", "answer", "confirm"])
def test_a_signal_stores_what_came_and_restores_the_terminal(talk, origin, missy, home, number, code, where):
    """SIGTERM and SIGHUP: exit 143 and 129, the part is stored, every mode of the terminal is as before."""
    gate = Gate()
    missy.entry(origin.url, api_key="sk-CANARYCANARY1234")
    origin.script = [chat_stream("half", gate, "never")]
    person = talk()
    if where == "answer":
        person.press("question", ENTER)
        person.see("half")
    elif where == "confirm":
        person.press("sk-CANARYCANARY1234", ENTER)
        person.see("yes or no")
    else:
        person.press("unsent")
        person.see("unsent")
    person.signal(number)
    assert person.end() == code
    gate.open()
    assert person.modes() == person.before
    assert modes_left(person.raw) == set()
    if where == "answer":
        assert [turn[1:] for turn in Database(home).turns()] == [("stopped", "half")]


def modes_left(raw: str) -> set[str]:
    """Return the private modes that were changed and not set back; the cursor and wrapping are on at first."""
    import re

    state = {"25": "h", "7": "h", "2004": "l", "1": "l"}
    before = dict(state)
    for mode, how in re.findall(r"\x1b\[\?(\d+)([hl])", raw):
        assert mode in state, f"an unexpected mode: {mode}"
        state[mode] = how
    return {mode for mode in state if state[mode] != before[mode]}


def test_no_mode_is_left_and_none_is_asked_for(talk, origin):
    """No alternate screen, no mouse, no blinking cursor, no title; every mode is set back at the end."""
    person = talk()
    say(person, "hello")
    person.press("\x12", "he", CTRL_C, CTRL_C)
    person.see("/exit ends")
    leave(person)
    assert modes_left(person.raw) == set()
    assert "\x1b]" not in person.raw


def test_each_byte_is_seen_at_once(talk, origin):
    """An answer that comes a byte at a time is shown a byte at a time."""
    gates = [Gate() for _ in range(6)]
    pieces = [part for char, gate in zip("abcdef", gates, strict=True) for part in (char, gate)]
    origin.script = [chat_stream(*pieces)]
    person = talk()
    person.press("drip", ENTER)
    for count, gate in enumerate(gates, 1):
        person.until(lambda count=count: "abcdef"[:count] in person.terminal.shown().splitlines())
        gate.open()
    person.see("1 turn")
    leave(person)


def test_a_window_that_changes_in_an_answer_loses_no_line(talk, origin):
    """Resized twice in the middle of an answer, each of its lines is on the terminal once."""
    gates = [Gate(), Gate()]
    parts = [[f"part{part}line{n}\n" for n in range(30)] for part in range(3)]
    text = ["".join(f"- {line}" for line in part) for part in parts]
    origin.script = [chat_stream(text[0], gates[0], text[1], gates[1], text[2])]
    person = talk(columns=80, rows=24)
    person.press("long", ENTER)
    person.see("part0line29")
    person.resize(50, 16)
    gates[0].open()
    person.see("part1line29")
    person.resize(90, 30)
    gates[1].open()
    person.see("1 turn")
    shown = person.terminal.text()
    for part in parts:
        assert [shown.count(line.strip() + "\n") for line in part] == [1] * 30
    leave(person)


@pytest.mark.parametrize(
    "text", ["日本語の文章です。" * 12, "emoji 🎉🚀 " * 20, "שלום עולם " * 15, "a" * 200]
)
def test_wide_characters_are_edited_in_the_right_columns(talk, origin, text):
    """Text of any script, longer than a row, is shown whole while it is edited, and sent as it is."""
    person = talk(columns=40, rows=20)
    person.paste(text)
    squeezed = "".join(text.split())
    person.until(lambda: squeezed in "".join(person.terminal.shown().split()))
    person.press("\x01", "X", "\x05", "Y")  # to the beginning, and to the end
    person.until(lambda: f"X{squeezed}Y" in "".join(person.terminal.shown().split()))
    person.press(ENTER)
    person.see("1 turn")
    assert said(origin.last) == [("user", f"X{text}Y")]
    assert f"X{squeezed}Y" in "".join(person.terminal.text().split())
    leave(person)


def test_an_error_keeps_the_message(talk, origin):
    """After a failure without any text, the message is in the input line again, and Enter sends it again."""
    origin.script = [chat_error(500, "broken"), chat_error(500, "broken"), echo]
    person = talk()
    person.press("try me", ENTER)
    person.see("broken", "> try me test")  # the status follows the input line
    person.press(ENTER)
    person.until(lambda: len(origin.requests) == 2)
    person.see("> try me test")
    person.press(ENTER)
    person.see("re: try me")
    assert said(origin.last) == [("user", "try me")]
    leave(person)


def test_a_cut_answer_says_so_and_is_kept(talk, origin, home):
    """An answer that breaks off is kept as cut; /retry asks again."""
    origin.script = [event_stream(sse(chat_chunk("half")), end=False), echo]
    person = talk()
    person.press("question", ENTER)
    person.see("cut off", "/retry asks again")
    ready(person)
    person.press("/retry", ENTER)
    person.see("re: question")
    leave(person)
    assert [turn[1:] for turn in Database(home).turns()] == [("cut", "half"), ("whole", "re: question")]
    assert said(origin.last) == [("user", "question")]


def test_a_full_context_is_said_with_what_helps(talk, origin):
    """A prompt that is too long for the model: /undo, /fork and /model are named, and the message is kept."""
    text = "This model's maximum context length is 10 tokens."
    origin.script = [chat_error(400, text, code="context_length_exceeded")]
    person = talk()
    person.press("too long", ENTER)
    person.see("no longer fits", "/undo", "/fork", "/model", "> too long test")
    leave_with_text(person)


STOPPER = """
import os, signal, subprocess, sys, termios
job = subprocess.Popen(sys.argv[1:], process_group=0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
assert os.WIFSTOPPED(status)
os.tcsetpgrp(0, os.getpgrp())
print("IS STOPPED", bool(termios.tcgetattr(0)[3] & termios.ECHO), bool(termios.tcgetattr(0)[3] & termios.ICANON))
sys.stdin.readline()
os.tcsetpgrp(0, job.pid)
os.kill(job.pid, signal.SIGCONT)
sys.exit(job.wait())
"""


@pytest.mark.parametrize("where", ["prompt", "answer"])
def test_ctrl_z_and_fg(missy, origin, tmp_path, where):
    """Stopped with Ctrl-Z, the terminal is as it was before; continued, the conversation goes on where it was."""
    import sys

    gate = Gate()
    origin.script = [chat_stream("half ", gate, "whole"), echo]
    script = tmp_path / "shell.py"
    script.write_text(STOPPER)
    command = [sys.executable, str(script), sys.executable, "-m", "missy", "run"]
    with Person(missy, command=command) as person:
        person.see("test · m")
        if where == "answer":
            person.press("q", ENTER)
            person.see("half")
        else:
            person.press("be")
            person.see("> be")
        person.press("\x1a")
        person.see("IS STOPPED True True")
        person.press("\n")
        if where == "answer":
            gate.open()
            person.see("half whole", "1 turn")
            say(person, "next")
        else:
            person.see("> be test")
            gate.open()
            person.press("gun", ENTER)
            person.see("half whole", "1 turn")
            assert said(origin.last) == [("user", "begun")]
        person.press("\x04")
        assert person.end() == 0
        assert person.modes()[3] & termios.ECHO


@pytest.mark.parametrize("where", ["prompt", "answer"])
def test_a_terminal_that_is_gone_ends_the_conversation(talk, origin, home, where):
    """The window is closed: exit 129, and what came is stored."""
    gate = Gate()
    origin.script = [chat_stream("half", gate, "never")]
    person = talk()
    if where == "answer":
        person.press("question", ENTER)
        person.see("half")
    person.close_window()
    assert person.process.wait(60) == 129
    gate.open()
    if where == "answer":
        assert [turn[1:] for turn in Database(home).turns()] == [("stopped", "half")]


def test_the_memory_of_a_conversation_is_its_text(talk, origin):
    """Forty turns leave the process hardly larger than ten."""
    person = talk()
    pid, sizes = person.process.pid, []
    for number in range(1, 41):
        person.press(f"q{number}", ENTER)
        person.see(f"re: q{number}", f"· {number} turn")
        sizes.append(resident(pid))
    assert sizes[-1] - sizes[9] < 3_000  # kB
    leave(person)
