"""The standard streams on odd machines: closed, full, without a reader, of a small alphabet, open without an end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.writing import fill
from tests.command import COMMAND, SAFETY, Command, read_until
from tests.servers import chat_stream

COMMANDS = [
    ("--version",),
    ("--help",),
    ("ask", "--help"),
    ("ask", "hi"),
    ("ask", "--json", "hi"),
    ("ask", "--events", "hi"),
    ("ask", "--dry-run", "hi"),
    ("ask", "--dry-run", "--json", "hi"),
    ("providers",),
    ("providers", "--json"),
    ("presets",),
    ("net", "list"),
    ("net", "explain", "https://api.groq.com/"),
    ("audit", "recent"),
    ("audit", "verify"),
    ("audit", "export"),
    ("audit", "seal"),
    ("auth", "status"),
    ("config", "show"),
    ("config", "schema"),
    ("config", "path"),
    ("completion", "bash"),
    ("vault", "list", "--json"),
    ("doctor",),
]
FAILING = [
    ("ask", "--provider", "none", "hi"),
    ("ask", "--json", "--bogus"),
    ("bogus",),
    ("config", "set", "x", "1"),
]


@pytest.fixture
def ready(missy: Command, serve, home: Path) -> Command:
    """A home with an entry that answers, and a record."""
    missy.entry(serve(chat_stream("hello")).url)
    fill(home / "audit.jsonl", 2)
    return missy


@pytest.fixture
def full() -> Iterator[int]:
    """A disk without any space."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


def names(commands: list[tuple[str, ...]]) -> list[str]:
    return [" ".join(command) for command in commands]


def ends(missy: Command, args: tuple[str, ...], redirect: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command from a shell with a redirection, in a process that ignores no signal."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", *COMMAND, *args],
        env=missy.env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=SAFETY,
    )


@pytest.mark.slow
@pytest.mark.parametrize("args", COMMANDS + FAILING, ids=names(COMMANDS + FAILING))
def test_a_broken_stderr_changes_nothing(ready: Command, args: tuple[str, ...]) -> None:
    """Full, closed or without a reader: stdout and the exit code are what they are with a good stderr."""
    good = ready(*args)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        broken = {
            "full": ends(ready, args, "2>/dev/full"),
            "closed": ends(ready, args, "2>&-"),
            "read only": ends(ready, args, "2</dev/null"),
            "no reader": subprocess.CompletedProcess(
                (), (done := ready(*args, stderr=writer)).code, done.out
            ),
        }
    finally:
        os.close(writer)
    for kind, found in broken.items():
        assert found.returncode == good.code, kind
        if not {"--json", "--events", "audit", "doctor"} & set(args):  # these tell times
            assert found.stdout == good.out, kind


@pytest.mark.slow
@pytest.mark.parametrize("args", COMMANDS, ids=names(COMMANDS))
def test_a_full_stdout_is_said(ready: Command, args: tuple[str, ...]) -> None:
    """Output that cannot be written is reported in one line and a hint, exit 1, without a traceback."""
    done = ends(ready, args, ">/dev/full")
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "the output cannot be written" in said
    assert "Traceback" not in said
    assert "internal error" not in said


@pytest.mark.parametrize("args", FAILING, ids=names(FAILING))
def test_a_full_stdout_hides_no_failure(ready: Command, full: int, args: tuple[str, ...]) -> None:
    """A command that fails says so, whatever becomes of its output."""
    good, done = ready(*args), ready(*args, stdout=full)
    assert "Traceback" not in done.err
    if good.out:
        assert done.code in {1, good.code}
    else:
        assert (done.code, done.err) == (good.code, good.err)


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1", "utf-16"])
@pytest.mark.parametrize(
    "args",
    [
        ("ask", "grüße 🦀"),
        ("ask", "--dry-run", "grüße 🦀"),
        ("ask", "--provider", "grüße 🦀", "x"),
        ("config", "show"),
    ],
)
def test_a_small_alphabet_is_no_fault(missy: Command, serve, args: tuple[str, ...], encoding: str) -> None:
    """What a stream cannot encode is replaced; the exit code is that of any other terminal."""
    missy.entry(
        serve(chat_stream("grüße 🦀")).url, name="gr\u00fc\u00dfe-entry" if args[0] == "config" else "test"
    )
    good = missy(*args)
    done = missy(*args, env={"PYTHONIOENCODING": encoding})
    assert done.code == good.code
    assert "internal error" not in done.err


def test_a_secret_is_not_garbled_by_the_alphabet(missy: Command) -> None:
    """A value from the vault goes into a pipe as it was put in."""
    assert missy("vault", "set", "X", stdin="pässword 🦀".encode()).code == 0
    for encoding in ("ascii", "utf-8"):
        assert missy("vault", "get", "X", env={"PYTHONIOENCODING": encoding}).out == "pässword 🦀\n".encode()


def test_an_open_empty_pipe_beside_a_prompt_is_left_out(missy: Command, serve) -> None:
    """If a pipe stays open and empty, the prompt is answered without it, and stderr says so."""
    missy.entry(serve(chat_stream("hello")).url)
    with missy.start("ask", "hi", stdin=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read() == b"hello\n"
        said = process.stderr.read().decode()
        assert process.wait(SAFETY) == 0
        assert "waiting for stdin" in said
        assert "nothing came on stdin" in said


def test_a_slow_pipe_is_read_to_its_end(missy: Command, serve) -> None:
    """Once a byte has come, all of it is waited for, with a line on stderr."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with missy.start("ask", "hi", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"one ")
        process.stdin.flush()
        read_until(process.stderr, b"waiting for stdin")
        time.sleep(2.5)  # longer than an empty pipe is waited for
        process.stdin.write(b"two")
        process.stdin.close()
        assert process.stdout.read() == b"hello\n"
        assert process.wait(SAFETY) == 0
    assert origin.last.json()["messages"][-1]["content"] == "hi\n\none two"


def test_a_prompt_on_a_slow_pipe_is_waited_for(missy: Command, serve) -> None:
    """Without PROMPT the pipe is the prompt: it is waited for, with a line on stderr."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    with missy.start("ask", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        read_until(process.stderr, b"waiting for stdin")
        time.sleep(2.5)
        process.stdin.write(b"late")
        process.stdin.close()
        assert process.stdout.read() == b"hello\n"
    assert origin.last.json()["messages"][-1]["content"] == "late"


def test_a_quick_pipe_is_read_without_a_word(missy: Command, serve) -> None:
    """Text that is there and ended is appended; an empty pipe that is closed adds nothing; neither is mentioned."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    for given, sent in ((b"text", "hi\n\ntext"), (b"", "hi")):
        done = missy("ask", "hi", stdin=given)
        assert (done.code, done.err) == (0, "")
        assert origin.last.json()["messages"][-1]["content"] == sent


def test_a_stdout_that_does_not_block_gets_everything(ready: Command) -> None:
    """A pipe that was left non-blocking by the parent process loses nothing of a long output."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with ready.start("config", "schema", stdout=writer) as process, os.fdopen(reader, "rb") as stream:
        os.close(writer)
        assert stream.read() == ready("config", "schema").out
        assert process.wait(SAFETY) == 0


READING = [
    ("run",),
    ("ask",),
    ("ask", "-"),
    ("vault", "set", "Y"),
    ("vault", "delete", "X"),
    ("sessions", "delete", "s"),
    ("setup",),
    ("setup", "--no-prompt", "--provider", "openai", "--api-key-stdin"),
    ("audit", "verify", "--checkpoint", "-"),
]


@pytest.mark.parametrize("redirect", ["<&-", "0>/dev/null"], ids=["closed", "write only"])
@pytest.mark.parametrize("args", READING, ids=names(READING))
def test_a_stdin_that_cannot_be_read_is_wrong_use(
    ready: Command, args: tuple[str, ...], redirect: str
) -> None:
    """Without a stdin, a command that wants to read or to ask is exit 2, says what to do, and changes nothing."""
    assert ready("vault", "set", "X", stdin=b"value").code == 0
    assert ready("ask", "--session", "s", "hi").code == 0
    done = ends(ready, args, redirect)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(said)) == (2, b"", 2), said
    assert "type the prompt" not in said[0]
    assert "output" not in said[0]
    assert ready("vault", "get", "X").text == "value\n"
    assert len(ready("sessions", "--json").json()) == 1
