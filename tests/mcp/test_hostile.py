"""A server that misbehaves: an error within the time, for the model and on record; never a hang, never its bytes on a terminal."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from missy.mcp import boxed as transport
from tests.mcp.conftest import boxed
from tests.sandbox.levels import LEVELS

pytestmark = boxed
MEMORY = 64 << 20  # what a hostile server may cost, at most

# How it behaves when it is called -> what the model is told
TABLE = {
    "junk": "what it writes is not the Model Context Protocol",
    "braces": "what it writes is not the Model Context Protocol",
    "long": "a line of more than 4 MiB",
    "long-json": "a line of more than 4 MiB",
    "deep": "did not answer echo within",
    "other-id": "did not answer echo within",
    "silent": "did not answer echo within",
    "flood": "it writes without being asked",
    "changes": "it writes without being asked",
    "pings": "it asks, and does not read the answers",
    "exit": "it ended by itself; its last words: ]0;ownedI am leaving",
    "not-a-result": "its answer cannot be used",
    "error": "[31mno way",
}
_SHORT = ("deep", "other-id", "silent")


def peak() -> int:
    """Return the most memory that this process has had, in bytes, counted from now on."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) << 10


@pytest.mark.parametrize("mode", TABLE)
def test_a_hostile_answer_is_an_error_in_time(hostile, mode):
    """Junk, floods, another call's id, silence: each is a failed call that says what happened; memory stays bounded."""
    hostile.approve()
    assert hostile.call()[0].endswith("hello")  # what the first server of a process costs is no matter here
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = peak(), time.monotonic()
    hostile.mode(mode)
    hostile.entry(seconds=5 if mode in _SHORT else 60)
    (told,) = hostile.call()
    assert TABLE[mode] in told
    assert not any(char in told for char in "\x1b\x07\u202e")
    assert hostile.answer.tool_results[0].outcome == "failed"
    assert time.monotonic() - begun < 55
    assert peak() - before < MEMORY


def test_two_answers_are_one(hostile):
    """The second answer to a call is dropped, and the next call gets its own."""
    hostile.approve()
    hostile.mode("twice")
    told = hostile.call(("x__echo", {"text": "a"}), ("x__echo", {"text": "b"}))
    assert [one.split("\n")[1] for one in told] == ["first", "first"]


@pytest.mark.parametrize(
    ("mode", "says"),
    [("sampling", "not supported"), ("elicitation", "not supported"), ("roots", "not supported")],
)
def test_a_server_gets_no_model_and_no_person(hostile, mode, says):
    """Sampling, elicitation and roots are answered with an error: no model is asked, and no person."""
    hostile.approve()
    hostile.mode(mode)
    (told,) = hostile.call()
    assert says in told
    assert len(hostile.origin.requests) == 2


def test_roots_are_the_workspace_that_it_is_given(hostile, tmp_path):
    """A server that may reach the workspace is told where it is, and nothing else."""
    work = tmp_path / "work"
    work.mkdir()
    hostile.entry(workspace="read")
    hostile.missy.config(
        {**json.loads((hostile.missy.home / "config.yaml").read_text()), "tools": {"workspace": str(work)}}
    )
    hostile.approve()
    hostile.mode("roots")
    (told,) = hostile.call(workspace=str(work))
    assert json.loads(told.split("\n", 1)[1])["roots"] == [{"uri": work.as_uri()}]


def test_a_flood_of_stderr_costs_nothing(hostile):
    """What a server writes to stderr is read slowly and kept at its end; the call is answered."""
    hostile.approve()
    hostile.mode("stderr")
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    assert hostile.call()[0].endswith("fine")
    assert peak() - before < MEMORY


def test_a_banner_is_passed_over(hostile):
    """A few lines that are no messages do no harm."""
    hostile.mode("banner")
    hostile.approve()
    assert hostile.call()[0].endswith("hello")


def test_a_failed_tool_is_a_failed_result(hostile):
    """What the server calls an error reaches the model as a failed result."""
    hostile.approve()
    hostile.mode("failed")
    assert hostile.call()[0].endswith("it did not work")
    assert hostile.answer.tool_results[0].outcome == "failed"


def test_an_image_goes_to_the_model_and_other_media_are_named(hostile):
    """A picture is sent as an image, of a sound the model is told kind and size."""
    hostile.approve()
    hostile.mode("image")
    (told,) = hostile.call()
    assert told.endswith("[an image follows]\n[audio, audio/wav, 3 bytes]")
    assert hostile.origin.last.json()["messages"][-1]["content"][-1]["type"] == "image_url"


@pytest.mark.parametrize("mode", ["dead-start", "endless-list"])
def test_a_server_that_does_not_start_is_an_error_in_time(hostile, mode):
    """A server that says nothing, or lists tools without an end, is given up."""
    hostile.mode(mode)
    hostile.entry(seconds=5)
    done = hostile.missy.inside("mcp", "approve", "x", "--yes")
    assert done.code == 5
    assert "within 5 seconds" in done.err or "lists more than" in done.err


@pytest.mark.parametrize("level", LEVELS)
def test_it_gets_no_key_and_no_file(level, at_level, hostile, monkeypatch, tmp_path):
    """Its environment is PATH, HOME, LANG and what `env` names; of ten secrets outside it reads none, at either level."""
    at_level(level)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123456789")
    monkeypatch.setenv("GIVEN", "a value")
    hostile.entry(env={"TOKEN": "$GIVEN"})
    hostile.approve()
    hostile.mode("env")
    environ = json.loads(hostile.call()[0].split("\n", 1)[1])
    assert environ["TOKEN"] == "a value"
    assert set(environ) <= {"PATH", "HOME", "TMPDIR", "NO_COLOR", "TOKEN", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    places = [tmp_path / "canary", hostile.missy.home / "config.yaml", hostile.missy.home / "audit.jsonl"]
    places += [Path.home() / name for name in (".netrc", ".ssh", "canary")] + [
        Path("/root/canary"),
        Path("/run/canary"),
    ]
    places += [Path(f"/proc/{os.getpid()}/environ"), hostile.missy.home / "mcp" / "x.json"]
    for place in (tmp_path / "canary", Path.home() / "canary", Path.home() / ".netrc"):
        place.write_text("canary")
    hostile.mode("files")
    told = hostile.call(("x__echo", {"text": "\n".join(map(str, places))}))[0].split("\n")[1:]
    assert len(told) == 10
    assert set(told) <= {"FileNotFoundError", "PermissionError", "IsADirectoryError"}


def test_the_workspace_is_there_only_if_it_is_given(hostile, tmp_path):
    """Without `workspace` a server does not see it; with `read` it does."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "note").write_text("seen")
    hostile.approve()
    hostile.mode("files")
    wanted = ("x__echo", {"text": str(work / "note")})
    assert hostile.call(wanted, workspace=str(work))[0].endswith("NotFoundError")
    hostile.entry(workspace="read")
    assert hostile.call(wanted, workspace=str(work))[0].endswith("seen")


@pytest.mark.parametrize("level", LEVELS)
def test_a_server_lives_for_all_calls_and_ends_with_its_owner(level, at_level, hostile):
    """One process serves all calls of a Missy, and is gone after it, at either level."""
    at_level(level)
    hostile.approve()
    told = hostile.call(("x__echo", {"n": 7}), ("x__echo", {"n": 7}))
    assert told[0] == told[1]
    assert processes(str(hostile.folder)) == []


def processes(word: str) -> list[int]:
    """Return the processes that have a word in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            found += [int(entry.name)] if word.encode() in words else []
    return found


def wait_for(condition, seconds=30.0):
    """Wait until something is so, as long as a loaded machine may take."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_no_process_is_left(hostile, number):
    """Ctrl-C in the middle of a call, and kill -9 of Missy: the server and all that it started are gone."""
    hostile.approve()
    hostile.mode("fork")
    hostile.call
    from tests.servers import chat_stream
    from tests.toolbox.conftest import calls

    hostile.origin = hostile.serve(calls(("x__echo", {})), chat_stream("done"))
    hostile.entry(seconds=600)
    running = hostile.missy.start("ask", "--mcp", "x", "--allow", "mcp:x/*", "go")
    try:
        wait_for(lambda: len(processes(str(hostile.folder))) >= 2)
        running.send_signal(number)
        running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    assert running.returncode in (130, -signal.SIGINT, -signal.SIGKILL)
    wait_for(lambda: not processes(str(hostile.folder)))


def test_bounds_are_what_the_documentation_says():
    """The numbers of docs/mcp.md."""
    assert transport.MAX_LINE_BYTES == 4 << 20
    assert transport.STDERR_BYTES == 8 << 10
    assert transport.STDERR_BYTES_PER_SECOND == 64 << 10
