"""What every plan with a login keeps from outside: streams as they come, errors with a next step, and no token anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Result, read_until
from tests.providers.chatgpt import Subscriber, raw
from tests.providers.member import Member
from tests.simulator import Call, Fault, Say, Script

HOLDERS: dict[str, Any] = {"person": Subscriber, "member": Member}


@pytest.mark.parametrize("options", [(), ("--events",)])
def test_each_delta_is_out_before_the_next_arrives(holder, missy, options):
    """Through the real command and a pipe: the server sends a piece only when the one before it was read."""
    pieces = tuple(f"piece{n} " for n in range(5))
    seen = threading.Semaphore(0)

    def before(number: int) -> None:
        assert not 4 < number <= 8 or seen.acquire(timeout=60)

    holder.simulator.backend.scripts.append(Script((Say(pieces),), before=before))
    process = missy.start("ask", "hi", *options)
    for piece in pieces:
        assert piece.strip().encode() in read_until(process.stdout, piece.strip().encode())
        seen.release()
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(("who", "row"), [(who, row) for who, one in HOLDERS.items() for row in one.rows])
def test_every_error_row_is_two_lines_and_an_exit_code(request, missy, who, row):
    """What happened, what to do, and the request id where there is one; the same in JSON; nothing on stdout."""
    holder = request.getfixturevalue(who)
    fault, code = holder.rows[row]
    holder.backend_faults.add(holder.responses, fault, times=None)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text) == (code, "")
    lines = [line for line in ran.err.splitlines() if "Using ChatGPT plan" not in line]
    assert lines[0].startswith("missy: ")
    assert lines[1].startswith("  ")
    assert len(lines) == 2 + bool({"cf-ray", "x-request-id"} & fault.headers.keys())
    shown = missy.inside("ask", "hi", "--json")
    assert shown.code == code
    failure = shown.json()["error"]
    assert (failure["status"], bool(failure["message"]), bool(failure["hint"])) == (fault.status, True, True)


def test_an_answer_that_is_cut_keeps_its_text_and_is_6(holder, missy):
    """The text so far on stdout, the reason on stderr; in JSON both, and not complete."""
    data = b"".join(Script().raw(holder.model))
    at = data.index(b"simulator.")
    for _ in range(2):
        holder.backend_faults.add(holder.responses, raw(data, cut=at))
    ran = missy.inside("ask", "hi", "--model", holder.model)
    assert (ran.code, ran.text.rstrip("\n")) == (6, "Hello from the ")
    assert "cut off" in ran.err
    shown = missy.inside("ask", "hi", "--json", "--model", holder.model)
    assert shown.code == 6
    one = shown.json()
    assert (one["text"], one["complete"], one["error"]["type"]) == ("Hello from the ", False, "incomplete")


LISTINGS = [
    ("providers",), ("providers", "--json"), ("doctor",), ("doctor", "--json"), ("auth", "status"),
    ("auth", "status", "--json"), ("net", "list"), ("config", "show"), ("config", "validate"),
    ("ask", "hi", "--dry-run"), ("audit", "recent"),
]  # fmt: skip


@pytest.mark.parametrize("args", LISTINGS, ids=" ".join)
@pytest.mark.parametrize("lifetime", [-5, 100])
def test_no_listing_spends_the_refresh_token(holder, missy, args, lifetime):
    """Whatever the state of the login: it is not renewed, and its file is as it was."""
    holder.signs_in(lifetime)
    before = holder.path.read_bytes()
    missy.inside(*args)
    assert holder.simulator.renewals == 0
    assert holder.path.read_bytes() == before


def _failures(who: Any) -> dict[str, Callable[[Any], tuple[str, ...]]]:
    """Ways to fail, each of which sets the simulator up and gives the command to run."""
    ways: dict[str, Callable[[Any], tuple[str, ...]]] = {}

    def answers(name: str, fault: Fault) -> None:
        def way(holder: Any) -> tuple[str, ...]:
            holder.backend_faults.add(holder.responses, fault, times=None)
            return ("ask", "hi", "--model", holder.model)

        ways[f"answer {name}"] = way

    def lists(name: str, fault: Fault) -> None:
        def way(holder: Any) -> tuple[str, ...]:
            holder.backend_faults.add(holder.models, fault, times=None)
            return ("models",)

        ways[f"models {name}"] = way

    def renewals(name: str, fault: Fault) -> None:
        def way(holder: Any) -> tuple[str, ...]:
            holder.signs_in(-5)
            holder.issuer_faults.add(holder.token, fault, times=None)
            return ("ask", "hi", "--model", holder.model)

        ways[f"renewal {name}"] = way

    for name, (fault, _) in who.rows.items():
        answers(name, fault)
    for name, (fault, _) in who.issuer_rows.items():
        renewals(name, fault)
    for name in list(who.rows)[::3]:
        lists(name, who.rows[name][0])
    lists("no json", Fault(200, b"{"))
    for name, script in {
        "failed": Script(end="failed"), "error": Script(end="error"), "incomplete": Script(end="incomplete"),
        "cut": Script(cut=900), "stopped": Script(stop=900), "empty": Script(()),
        "broken call": Script((Call("f", '{"x":'),)),
    }.items():  # fmt: skip
        answers(f"stream {name}", raw(b"".join(script.raw(who.model))[: script.stop], cut=script.cut))

    def echo(holder: Any) -> tuple[str, ...]:
        login = holder.stored
        said = f"bad token {login.access_token.reveal()} and {login.refresh_token.reveal()}"
        holder.backend_faults.add(holder.responses, Fault(400, {"detail": said}), times=None)
        return ("ask", "hi", "--model", holder.model)

    def stream_echo(holder: Any) -> tuple[str, ...]:
        said = {"code": "server_error", "message": f"token {holder.stored.access_token.reveal()}"}
        holder.backend_faults.add(
            holder.responses, raw(b"".join(Script(end="failed", error=said).raw(holder.model)))
        )
        return ("ask", "hi", "--model", holder.model, "--json")

    def refused(holder: Any) -> tuple[str, ...]:
        holder.lose_the_way()
        return ("ask", "hi", "--model", holder.model)

    return {**ways, "the server repeats the token": echo, "in a stream": stream_echo, "refused": refused}


FAILURES = {who: _failures(one) for who, one in HOLDERS.items()}
CASES = [(who, way) for who, ways in FAILURES.items() for way in ways]
OWN_PROCESS = [
    *[("person", way) for way in ("answer token-expired", "renewal reused", "in a stream")],
    *[("member", way) for way in ("answer invalid-user", "renewal refresh_token_reused", "in a stream")],
]


def test_there_are_enough_failures():
    """At least forty runs of each kind that fail."""
    assert all(len(ways) >= 40 for ways in FAILURES.values())


@pytest.mark.parametrize(("who", "way"), CASES)
def test_no_failing_run_shows_a_token(request, missy, who, way):
    """With --debug: no token in stdout, stderr, the traceback, the audit, or any file but the login's own."""
    holder = request.getfixturevalue(who)
    args = FAILURES[who][way](holder)
    ran = missy.inside("--debug", *args)
    assert ran.code != 0, ran.text
    assert "Traceback" in ran.err or "--json" in args
    assert_no_token(holder, ran)


def assert_no_token(holder: Any, ran: Result) -> None:
    """Look for every token that the issuer ever gave out, and for its parts."""
    canaries = holder.canaries
    canaries += [part for token in canaries if token.count(".") == 2 for part in token.split(".")[1:]]
    assert canaries
    places = {"stdout": ran.text, "stderr": ran.err}
    for path in holder.command.home.rglob("*"):
        if path.is_file() and path != holder.path:
            places[str(path)] = path.read_bytes().decode("utf-8", "replace")
    assert any(name.endswith("audit.jsonl") for name in places) or "refused" in ran.err
    for place, text in places.items():
        assert not [canary for canary in canaries if canary in text], place


@pytest.mark.parametrize(("who", "way"), OWN_PROCESS)
def test_no_failing_process_shows_a_token(request, missy, who, way):
    """The same as a process of its own: other tests' secrets are not there to be masked."""
    holder = request.getfixturevalue(who)
    ran = missy("--debug", *FAILURES[who][way](holder))
    assert ran.code != 0
    assert_no_token(holder, ran)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("lifetime", [3600, -5], ids=["asking", "renewing"])
def test_a_running_command_has_no_token_in_its_arguments_environment_or_children(holder, missy, lifetime):
    """Seen from outside, while the server keeps it waiting."""
    holder.signs_in(lifetime)
    come, go = threading.Event(), threading.Event()
    place = holder.backend_faults if lifetime > 0 else holder.issuer_faults
    place.add(holder.responses if lifetime > 0 else holder.token, Fault(500, seen=come, hold=go))
    process = missy.start("--debug", "ask", "hi", "--model", holder.model)
    try:
        assert come.wait(60)
        proc = Path(f"/proc/{process.pid}")
        text = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        children = [path.read_text().split() for path in proc.glob("task/*/children")]
    finally:
        go.set()
        process.communicate(timeout=60)
    assert not [token for token in holder.canaries if token.encode() in text]
    assert [child for found in children for child in found] == []
