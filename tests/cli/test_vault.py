"""`missy vault` from outside: prompt, stdin, file, exit codes, no leak."""

from __future__ import annotations

import os
import pty
import selectors
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import COMMAND, SAFETY, Command

pytestmark = pytest.mark.slow

VALUE = "s3cret-Value-0815"
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
# Runs the command, and marks SIGINT as received, without a signal, when a byte comes on a descriptor: that is what Python sees of
# one that comes just before the system call of a read.
LATE = """
import _thread, os, threading
wait = lambda: os.read({late}, 1) and _thread.interrupt_main()
threading.Thread(target=wait, daemon=True).start()
from missy.cli import main
main()
"""


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keyring this machine has, it is not used."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def read(terminal: int) -> bytes:
    """Read what the terminal shows next; fail if nothing comes for too long."""
    with selectors.DefaultSelector() as ready:
        ready.register(terminal, selectors.EVENT_READ)
        assert ready.select(SAFETY), "the command hangs"
    return os.read(terminal, 4096)


def on_terminal(missy: Command, *args: str, answers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Run the command on a pseudo-terminal: wait for each prompt, type its answer. Returns exit code and screen."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", TAKE_TERMINAL, *COMMAND, *args]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=missy.env(), start_new_session=True
    )
    os.close(theirs)
    screen = b""
    try:
        for prompt, answer in answers:
            while prompt not in screen:
                screen += read(terminal)
            os.write(terminal, answer)
        while data := read(terminal):
            screen += data
    except OSError:  # the command has ended
        pass
    finally:
        os.close(terminal)
    return process.wait(SAFETY), screen


def test_a_value_from_stdin_comes_back(missy: Command) -> None:
    """A value goes in by stdin without its line end, and comes out on stdout alone; notices go to stderr."""
    done = missy("vault", "set", "groq", "--stdin", stdin=VALUE.encode() + b"\n")
    assert (done.code, done.out) == (0, b"")
    assert "vault.key" in done.err
    assert "no system keyring" in done.err
    assert "vault://groq" in done.err
    got = missy("vault", "get", "groq")
    assert (got.code, got.out, got.err) == (0, VALUE.encode() + b"\n", "")


def test_the_place_of_the_key_is_said_once(missy: Command) -> None:
    """Only the command that makes the key file tells of it."""
    missy("vault", "set", "a", "--stdin", stdin=b"x")
    assert "vault.key" not in missy("vault", "set", "b", "--stdin", stdin=b"y").err


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_value_from_a_file_loses_one_line_end(missy: Command, tmp_path: Path, end: bytes) -> None:
    """The last newline of a file is not part of the value; all before it is, blank lines too."""
    file = tmp_path / "key"
    file.write_bytes(b" two\nlines \n" + end)
    assert missy("vault", "set", "pem", "--from-file", str(file)).code == 0
    assert missy("vault", "get", "pem").out == b" two\nlines " + (b"\n\n" if end else b"\n")


def test_a_value_is_asked_for_and_not_shown(missy: Command) -> None:
    """On a terminal the value is typed at a prompt without an echo."""
    code, screen = on_terminal(
        missy, "vault", "set", "groq", answers=[(b"not shown", VALUE.encode() + b"\n")]
    )
    assert code == 0
    assert VALUE.encode() not in screen
    assert missy("vault", "get", "groq").text == VALUE + "\n"


@pytest.mark.parametrize(("answer", "code"), [(b"\x03", 130), (b"\x04", 2), (b"\n", 2)])
def test_no_value_stores_nothing(missy: Command, answer: bytes, code: int) -> None:
    """Ctrl-C, end of input and an empty line at the prompt leave no vault behind, and no traceback."""
    ended, screen = on_terminal(missy, "vault", "set", "groq", answers=[(b"not shown", answer)])
    assert ended == code
    assert b"Traceback" not in screen
    assert not (missy.home / "secrets").exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\x03", 130), (b"y\n", 0)])
def test_a_question_before_a_deletion_may_be_answered_with_no(
    missy: Command, answer: bytes, code: int
) -> None:
    """A no is told, exit code 1, and deletes nothing; Ctrl-C is 130."""
    assert missy("vault", "set", "groq", stdin=VALUE.encode()).code == 0
    ended, screen = on_terminal(missy, "vault", "delete", "groq", answers=[(b"y/N", answer)])
    assert ended == code
    assert (b"nothing was deleted" in screen) is (code == 1)
    assert (missy("vault", "get", "groq").code == 0) is (code != 0)


@pytest.mark.parametrize(("args", "prompt"), [(("delete", "groq"), b"y/N"), (("set", "groq"), b"not shown")])
def test_ctrl_c_just_before_a_prompt_reads_is_not_lost(
    missy: Command, args: tuple[str, ...], prompt: bytes
) -> None:
    """Nobody needs to press another key: the command ends with 130."""
    assert missy("vault", "set", "groq", stdin=VALUE.encode()).code == 0
    terminal, theirs = pty.openpty()
    late, ours = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, sys.executable, "-c", LATE.format(late=late), "vault", *args],
        stdin=theirs, stdout=theirs, stderr=theirs, env=missy.env(), start_new_session=True, pass_fds=[late],
    )  # fmt: skip
    os.close(theirs)
    os.close(late)
    try:
        screen = b""
        while prompt not in screen:
            screen += read(terminal)
        ends = time.monotonic() + SAFETY
        state = Path(f"/proc/{process.pid}/stat")  # where it is there: the main thread waits
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < ends
        os.write(ours, b"!")
        assert process.wait(SAFETY) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(terminal)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_piped_value_needs_no_option(missy: Command, end: bytes) -> None:
    """What is piped in is the value, as with `gh secret set`; one newline at its end is removed, and only one."""
    assert missy("vault", "set", "groq", stdin=VALUE.encode() + end).code == 0
    assert missy("vault", "get", "groq").out == VALUE.encode() + b"\n"
    assert missy("vault", "set", "groq", stdin=b"two\n\n").code == 0
    assert missy("vault", "get", "groq").out == b"two\n\n"


def test_without_a_terminal_it_says_how(missy: Command) -> None:
    """Without a terminal and without a pipe, the error says how to give a value. No argument takes the value, or is shown."""
    for stdin in (None, b"", b"\n"):
        done = missy("vault", "set", "groq", stdin=stdin)
        assert done.code == 2
        assert "pipe the value in" in done.err
    given = missy("vault", "set", "groq", VALUE)
    assert given.code == 2
    assert "from a pipe" in given.err
    assert VALUE not in given.err
    assert missy("vault", "set", "groq", "--stdin", "--from-file", "x", stdin=b"x").code == 2
    assert not (missy.home / "secrets").exists()


def test_a_listing_shows_names_alone(missy: Command) -> None:
    """Names go to stdout, a line or an object each; values nowhere."""
    assert missy("vault", "list", "--json").json() == []
    for name in ("two", "one"):
        missy("vault", "set", name, "--stdin", stdin=VALUE.encode())
    assert missy("vault", "list").text == "one\ntwo\n"
    listed = missy("vault", "list", "--json").json()
    assert [entry["name"] for entry in listed] == ["one", "two"]
    assert VALUE not in str(listed)


def test_deleting_wants_a_yes(missy: Command) -> None:
    """--yes deletes at once; a terminal is asked; without both nothing is deleted."""
    missy("vault", "set", "groq", "--stdin", stdin=b"x")
    assert missy("vault", "delete", "groq").code == 2
    code, _ = on_terminal(missy, "vault", "delete", "groq", answers=[(b"[y/N]", b"n\n")])
    assert code == 1
    assert missy("vault", "list").text == "groq\n"
    code, _ = on_terminal(missy, "vault", "delete", "groq", answers=[(b"[y/N]", b"y\n")])
    assert code == 0
    missy("vault", "set", "groq", "--stdin", stdin=b"x")
    assert missy("vault", "delete", "groq", "--yes").code == 0
    assert missy("vault", "list").text == ""


def test_what_is_not_there_is_exit_4(missy: Command) -> None:
    """An unknown name has no credential; a name that cannot be one is wrong use."""
    for command in (("get", "nope"), ("delete", "nope", "--yes")):
        done = missy("vault", *command)
        assert done.code == 4
        assert "no secret nope" in done.err
    assert missy("vault", "get", "no/pe").code == 2
    assert missy("vault", "set", "no pe", "--stdin", stdin=b"x").code == 2
    assert missy("vault", "set", "nope", "--stdin", stdin=b"\xff").code == 2
    assert missy("vault", "set", "nope", "--from-file", "/no/such/file").code == 1


def test_a_lost_key_and_a_damaged_vault_are_exit_4(missy: Command) -> None:
    """Both are named on stderr with what to do; there is no traceback, and no new key."""
    missy("vault", "set", "groq", "--stdin", stdin=VALUE.encode())
    key = missy.home / "secrets" / "vault.key"
    key.rename(key.with_name("away"))
    for args in (("get", "groq"), ("delete", "groq", "--yes"), ("set", "groq", "--stdin")):
        done = missy("vault", *args, stdin=b"x")
        assert done.code == 4
        assert "vault.key is missing" in done.err
        assert "restore it" in done.err
    assert not key.exists()
    (missy.home / "secrets" / "vault.json").write_text("{")
    assert missy("vault", "list").code == 4
    assert "Traceback" not in missy("--debug", "vault", "get", "groq").out.decode()


def test_a_value_cannot_steer_the_terminal(missy: Command) -> None:
    """Into a pipe goes the value as it is; on a terminal control characters are made visible."""
    missy("vault", "set", "evil", "--stdin", stdin=b"a\x1b]0;pwned\x07b")
    assert missy("vault", "get", "evil").out == b"a\x1b]0;pwned\x07b\n"
    code, screen = on_terminal(missy, "vault", "get", "evil", answers=[])
    assert code == 0
    assert b"\x1b" not in screen
    assert b"pwned" in screen
