"""How an assistant like this has failed its users before, and that this one does not: a test for each, from outside."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

import missy as package
from tests.command import Command, Result, read_until
from tests.servers import (
    Gate,
    chat_answer,
    chat_chunk,
    chat_error,
    chat_stream,
    event_stream,
    response,
    sse,
    tool_delta,
)

pytestmark = pytest.mark.slow

SOURCE = Path(package.__file__).parent
TESTS = Path(__file__).parent.parent


def audit(missy: Command):
    """Read the audit log."""
    path = missy.home / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# A process's ru_maxrss begins with its parent's size, so the peak is read from the process's own memory map.
WEIGH = """
import re, sys
from missy.cli.main import run
code = run(sys.argv[1:])
status = open("/proc/self/status").read()
sys.stderr.write("\\npeak " + re.search(r"VmHWM:\\s+(\\d+)", status)[1])
sys.exit(code)
"""


def run_weighed(missy: Command, *args: str) -> tuple[Result, float]:
    """Run the command; return how it ended and the most memory that it held, in MB."""
    if sys.platform != "linux":
        pytest.skip("memory is read from /proc")
    command = [sys.executable, "-c", WEIGH, *args]
    done = subprocess.run(
        command, env=missy.env(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    err, _, peak = done.stderr.decode().rpartition("\npeak ")
    return Result(done.returncode, done.stdout, err), int(peak) / 1024


# --- 1, 2, 3: where a prompt and a key may go -----------------------------------------------------------------------


def test_01_the_host_of_an_entry_is_reachable_and_diagnosed_as_such(missy, serve, tunnel, certify, ca_bundle):
    """The endpoint that an entry names is allowed for `ask`, and `net explain` and the audit say the same."""
    origin = serve(chat_stream("hello"), tls=certify("api.groq.com"))
    proxy = tunnel({"api.groq.com:443": origin.port})
    network = {"proxy": proxy.url, "ca_bundle": str(ca_bundle)}
    missy.entry("https://api.groq.com/openai/v1", "groq", api_key="gsk-test-000000", network=network)
    ran = missy("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n")) == (0, "hello")
    assert (origin.last.path, origin.last.header("host")) == ("/openai/v1/chat/completions", "api.groq.com")
    explained = missy("net", "explain", "https://api.groq.com/openai/v1/chat/completions", "--json")
    assert (explained.code, explained.json()["allowed"], explained.json()["rule"]) == (0, True, "entry:groq")
    assert any(
        "entry:groq" in json.dumps(line) and "api.groq.com" in json.dumps(line) for line in audit(missy)
    )


def test_02_the_openai_key_goes_to_openai_alone(missy, serve):
    """OPENAI_API_KEY is not sent to another base_url, and OPENAI_BASE_URL moves nothing."""
    origin, elsewhere = serve(chat_stream("hello")), serve(chat_stream("stolen"))
    missy.entry(origin.url, "groq")
    stray = {
        "OPENAI_API_KEY": "sk-canary-000000",
        "OPENAI_BASE_URL": elsewhere.url,
        "OPENAI_ORG_ID": "org-canary",
        "OPENAI_PROJECT_ID": "proj-canary",
        "OPENAI_CUSTOM_HEADERS": "x-canary: canary",
        "HTTPS_PROXY": elsewhere.url,
        "HTTP_PROXY": elsewhere.url,
        "ALL_PROXY": elsewhere.url,
        "SSL_CERT_FILE": "/nonexistent",
        "SSLKEYLOGFILE": str(missy.home / "keys.log"),
    }
    assert missy("ask", "hi", env=stray).text.rstrip("\n") == "hello"
    baseline = missy("ask", "hi")
    first, second = origin.requests
    assert (first.headers, first.body) == (second.headers, second.body)
    assert first.header("authorization") is None
    assert "canary" not in repr(first)
    assert (baseline.code, elsewhere.connections) == (0, 0)
    assert not (missy.home / "keys.log").exists()


def test_02_diagnostics_name_the_endpoint_that_is_used(missy, serve):
    """`providers` names the endpoint that a call goes to, whatever the environment says."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url, "mine")
    (entry,) = missy("providers", "--json", env={"OPENAI_BASE_URL": "https://evil.example/v1"}).json()
    assert (entry["entry"], entry["base_url"], entry["credential"]) == ("mine", origin.url, "none")
    assert origin.connections == 0


@pytest.mark.parametrize("name", ["grok", "off", "keyless"])
def test_03_a_named_provider_is_binding(name, missy, serve):
    """A misspelt, disabled or unready provider is an error, and no other one sees the prompt."""
    origin = serve(chat_stream("hello"))
    entry = {"name": "openai", "model": "m", "base_url": origin.url}
    keyless = {"name": "openai", "base_url": "https://api.groq.com/openai/v1"}
    missy.config({"providers": {"groq": entry, "off": {**entry, "enabled": False}, "keyless": keyless}})
    ran = missy("ask", "hi", "--provider", name)
    assert ran.code == (4 if name == "keyless" else 2)
    assert ran.text == ""
    assert name in ran.err
    assert origin.connections == 0
    if name == "grok":
        assert "groq" in ran.err


# --- 4, 8, 9: what the user sees ------------------------------------------------------------------------------------


def test_04_each_delta_is_shown_before_the_next_is_sent(missy, serve):
    """Five deltas, each held back until the one before it was read from stdout."""
    gates = [Gate() for _ in range(4)]
    deltas = ["one ", gates[0], "two ", gates[1], "three ", gates[2], "four ", gates[3], "five"]
    missy.entry(serve(chat_stream(*deltas)).url)
    with missy.start("ask", "hi") as running:
        for word, gate in zip((b"one ", b"two ", b"three ", b"four "), gates, strict=True):
            assert read_until(running.stdout, word) == word
            gate.open()
        assert running.stdout.read().rstrip(b"\n") == b"five"
    assert running.returncode == 0


def test_04_events_arrive_one_by_one_too(missy, serve):
    """`--events` prints the first event before the second is sent."""
    gate = Gate()
    missy.entry(serve(chat_stream("one", gate, "two")).url)
    with missy.start("ask", "hi", "--events") as running:
        assert json.loads(read_until(running.stdout, b"\n").splitlines()[-1])["text"] == "one"
        gate.open()
        assert b"two" in running.stdout.read()
    assert running.returncode == 0


def test_08_hi_is_a_small_request_and_unknown_usage_is_null(missy, serve):
    """Two letters make a request of less than 500 bytes, and tokens nobody counted are null, not 0."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    ran = missy.inside("ask", "hi", "--json")
    assert len(origin.last.body) < 500
    assert (ran.code, ran.json()["usage"]) == (0, None)


HOSTILE = "[/INST] arr[i] [bold]x[/bold] \x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \x9b31m \x08\x00 \u202egnp.exe \u2066 tab\there"


def test_09_any_text_is_shown_and_no_control_character_passes(missy, serve):
    """Brackets of every kind survive; no escape sequence and no C1 byte reaches stdout, and there is no box."""
    missy.entry(serve(chat_stream(HOSTILE, "\x1b", "[2Jclear\r\nnext")).url)
    ran = missy.inside("ask", "hi")
    assert ran.code == 0
    for kept in ("[/INST]", "arr[i]", "[bold]x[/bold]", "red", "tab\there", "clear", "next"):
        assert kept in ran.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", ran.text)
    assert not re.search("[\u2500-\u257f]", ran.text)


def test_09_an_error_of_the_server_cannot_steer_the_terminal_either(missy, serve):
    """What the server says in an error, and the model's name, are made safe as well."""
    missy.entry(serve(chat_error(400, "no \x1b[31m \x9b2J \u202e good", ("x-request-id", "r\x1b[1m"))).url)
    ran = missy.inside("ask", "hi")
    assert ran.code == 5
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", ran.err)


# --- 10, 11: limits, times and ports --------------------------------------------------------------------------------


def test_10_a_gzip_bomb_is_stopped_by_what_it_unpacks_to(missy, serve):
    """The limit counts the bytes after decompression: a small reply that unpacks to 200 MB ends as an error, in little memory."""
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    missy.entry(serve(response(200, bomb, ("Content-Encoding", "gzip"), kind="application/json")).url)
    ran, size = run_weighed(missy, "ask", "hi", "--json", "--no-stream")
    assert (ran.code, ran.json()["error"]["type"]) == (5, "bad_reply")
    assert size < 150


def test_10_an_endless_line_is_stopped(missy, serve):
    """A line of the stream without an end is an error, not a heap of memory."""

    def endless(_request, wire):
        wire.send_all(event_stream(b"data: ", end=True)[:2])
        block = b"%x\r\n%s\r\n" % (1 << 16, b"x" * (1 << 16))
        for _ in range(4000):
            wire.send(block)

    missy.entry(serve(endless).url)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["error"]["type"]) == (5, "bad_reply")


def test_10_silence_ends_at_the_timeout(missy, serve):
    """A timeout of one second takes one second, retries counted, whether nothing comes at all or nothing more."""
    origin = serve(lambda _request, wire: wire.wait_closed() and None)
    missy.entry(origin.url, timeout=1)
    got = missy.inside("ask", "hi", "--json").json()
    assert got["error"]["type"] == "timeout"
    assert got["duration_ms"] >= 900


def test_10_a_drip_of_comments_ends_at_the_patience(missy, serve):
    """Comments reset the idle timeout but are not progress: the call ends after `patience`."""

    def drip(_request, wire):
        wire.send(event_stream(b": ping\n\n")[0])
        while True:
            wire.send(b"8\r\n: ping\n\n\r\n")
            time.sleep(0.1)  # the pace of the attack itself

    missy.entry(serve(drip).url, timeout=5, patience=1)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["error"]["type"]) == (5, "timeout")
    assert "patience" in ran.json()["error"]["hint"]
    assert ran.json()["duration_ms"] >= 900


def test_10_the_deadline_ends_an_answer_that_never_ends(missy, serve):
    """An endpoint that goes on for ever is ended at the deadline; the text so far is kept."""

    def forever(_request, wire):
        wire.send(event_stream()[0])
        while True:
            data = sse(chat_chunk("x"))
            wire.send(b"%x\r\n%s\r\n" % (len(data), data))
            time.sleep(0.1)  # the pace of the attack itself

    missy.entry(serve(forever).url, deadline=2)
    got = missy.inside("ask", "hi", "--json").json()
    assert got["text"].startswith("x")
    assert got["complete"] is False
    assert got["duration_ms"] >= 1900


def test_10_retry_after_is_waited_for_once_and_then_it_works(missy, serve):
    """A 429 with Retry-After 1 costs a second, and the answer comes."""
    origin = serve(chat_error(429, "slow down", ("Retry-After", "1")), chat_stream("hello"))
    missy.entry(origin.url, max_retries=2)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text.rstrip("\n"), len(origin.requests)) == (0, "hello", 2)
    assert origin.requests[1].at - origin.requests[0].at >= 0.99


def test_11_an_entry_opens_its_own_port_and_no_other(missy, serve):
    """A local endpoint works out of the box, on its port; the rest of loopback stays closed."""
    origin, other = serve(chat_stream("hello")), serve(chat_stream("wrong"))
    missy.entry(origin.url)
    assert missy.inside("ask", "hi").text.rstrip("\n") == "hello"
    assert missy.inside("net", "explain", origin.url).code == 0
    assert missy.inside("net", "explain", other.url).code == 3
    assert missy.inside("net", "explain", "http://127.0.0.1:1/").code == 3


def test_11_a_preset_for_a_local_port_opens_no_other(missy):
    """With the preset for a local server, and an entry that uses it, that port is open and the rest of loopback is not."""
    entry = {"name": "openai", "model": "m", "base_url": "http://127.0.0.1:11434/v1"}
    missy.config({"providers": {"ollama": entry}, "network": {"presets": ["ollama"]}})
    assert missy.inside("net", "explain", "http://127.0.0.1:11434/v1").code == 0
    for url in (
        "http://127.0.0.1:11435/v1",
        "http://127.0.0.1/v1",
        "https://127.0.0.1/v1",
        "http://localhost:8080/v1",
    ):
        assert missy.inside("net", "explain", url).code == 3, url


# --- 12, 13: files and config ---------------------------------------------------------------------------------------


def test_12_init_writes_private_files_and_leaves_what_is_there(missy, home):
    """Under umask 000 the config is 0600 and the folders 0700, `~` is expanded, and a second run changes nothing."""
    env = {"MISSY_HOME": "~/deep/missy"}
    ran = missy("init", env=env, umask=0)
    written = home.parent / "deep" / "missy"
    config = written / "config.yaml"
    assert (ran.code, config.exists(), (Path.cwd() / "~").exists(), (home.parent / "~").exists()) == (
        0,
        True,
        False,
        False,
    )
    for path in [written, *written.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    config.write_text("default_provider: mine\nproviders: {mine: {name: openai, api_key: $MY_KEY}}\n")
    before = config.read_bytes()
    missy("init", env={**env, "MY_KEY": "sk-canary-000000"})
    assert config.read_bytes() == before
    assert not [path for path in written.rglob("*") if path.is_file() and b"sk-canary" in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("providers:\n  openai:\n    timeout: -5\n", ["3", "timeout", "-5"]),
        ("providers:\n  openai:\n    base_url: not a url\n", ["3", "base_url", "not a url"]),
        ("providers:\n  openai:\n    modle: gpt-4o\n", ["3", "modle", "model"]),
        ("network:\n  allowed_hosts: example.com\n", ["2", "allowed_hosts", "list"]),
        ("providers:\n  openai:\n    model: a\n    model: b\n", ["4", "model"]),
        ("provider: {}\n", ["1", "provider", "providers"]),
    ],
    ids=["negative", "no-url", "unknown-key", "string-for-list", "duplicate", "unknown-section"],
)
def test_13_a_config_that_cannot_be_right_is_refused(text, words, missy, home):
    """The error names file, line, key and what was found, and nothing is asked of anybody."""
    missy.config(text)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text) == (2, "")
    for word in [*words, str(home / "config.yaml")]:
        assert word in ran.err
    assert missy.attempts() == []


def test_13_an_unset_variable_in_a_disabled_entry_stops_nothing(missy, serve):
    """A reference counts when its entry is used, not before."""
    origin = serve(chat_stream("hello"))
    used = {"name": "openai", "model": "m", "base_url": origin.url}
    unset = {"name": "openai", "api_key": "$NOT_SET_ANYWHERE", "base_url": origin.url}
    missy.config({"providers": {"off": {**unset, "enabled": False}, "used": used, "later": unset}})
    assert missy.inside("ask", "hi").text.rstrip("\n") == "hello"
    ran = missy.inside("ask", "hi", "--provider", "later")
    assert ran.code == 4
    assert "NOT_SET_ANYWHERE" in ran.err


# --- 15, 16: failures are told as what they are ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (chat_stream(tool_delta(0, "a", "rm", '{"path": "/'), finish="tool_calls"), 5),
        (chat_stream("par", finish="content_filter"), 6),
        (chat_stream(finish="content_filter"), 6),
        (chat_stream(), 6),
        (chat_stream({"reasoning_content": "hm"}), 6),
        (chat_answer(None), 6),
    ],
    ids=["broken-arguments", "filtered", "filtered-empty", "empty", "thinking-alone", "null"],
)
def test_15_nothing_broken_filtered_or_empty_passes_for_an_answer(reply, code, missy, serve):
    """Broken tool arguments, a filtered and an empty answer are errors with a message, and no call with `{}`."""
    missy.entry(serve(reply).url)
    got = missy.inside("ask", "hi", "--json")
    assert (got.code, got.json()["complete"], got.json()["tool_calls"]) == (code, False, [])
    assert got.json()["error"]["message"]
    spoken = missy.inside("ask", "hi")
    assert (spoken.code, spoken.err.startswith("missy: ")) == (code, True)


def test_16_only_a_refused_key_sends_the_user_to_the_key(missy, serve):
    """A policy refusal, a 500 and a dead port each say what to do about them; the key is not among it."""
    origin = serve(chat_error(500, "the model fell over"))
    dead = serve(b"")
    dead.close()
    entry = {"name": "openai", "model": "m", "api_key": "sk-test-000000", "max_retries": 0}
    entries = {"broken": origin.url, "dead": dead.url, "private": "https://192.0.2.7/v1"}
    missy.config({"providers": {name: {**entry, "base_url": url} for name, url in entries.items()}})
    for name, code in (("broken", 5), ("dead", 5), ("private", 3)):
        ran = missy.inside("ask", "hi", "--provider", name)
        assert ran.code == code, ran.err
        assert not re.search(r"\bkey\b|api_key", ran.err.lower())
    assert "192.0.2.7" in ran.err
    missy.entry(serve(chat_error(401, "Incorrect API key provided")).url, api_key="sk-test-000000")
    assert "key" in missy.inside("ask", "hi").err.lower()


# --- 17, 18: the start and the house --------------------------------------------------------------------------------


def cost(*command: str, env: dict[str, str], runs: int = 5) -> float:
    """Return the least CPU seconds of some runs."""
    times = []
    for _ in range(runs):
        with subprocess.Popen(
            [sys.executable, *command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        times.append(used.ru_utime + used.ru_stime)
    return min(times)


@pytest.mark.parametrize(
    ("args", "times"),
    [(["--version"], 4), (["providers"], 10), (["net", "list"], 10)],
    ids=["version", "providers", "net-list"],
)
def test_17_the_start_costs_little(args, times, missy):
    """`--version` takes less than four times an empty Python's CPU, a listing less than ten times."""
    missy.entry("https://api.openai.com/v1", api_key="sk-test-000000")
    empty = cost("-c", "pass", env=missy.env())
    taken = cost("-m", "missy", *args, env=missy.env())
    assert taken < times * empty


def test_17_hi_costs_no_two_seconds_and_no_hundred_megabytes(missy, serve):
    """A whole `ask hi` takes less than ninety times the CPU of an empty Python, and less than 100 MB."""
    missy.entry(serve(chat_stream("hello")).url)
    empty = cost("-c", "pass", env=missy.env())
    taken = cost("-m", "missy", "ask", "hi", env=missy.env(), runs=3)
    assert taken < 90 * empty
    ran, size = run_weighed(missy, "ask", "hi")
    assert (ran.text, size < 100) == ("hello\n", True)


def imported(missy: Command, *args: str) -> set[str]:
    """Return the top-level packages that a run imports."""
    command = [sys.executable, "-X", "importtime", "-m", "missy", *args]
    done = subprocess.run(
        command, env=missy.env(), capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    names = re.findall(r"^import time:.*\|\s+([\w.]+)$", done.stderr, re.MULTILINE)
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith("missy.")}


def test_17_a_command_loads_what_it_uses(missy, serve):
    """A listing loads no SDK and no HTTP stack; `ask` into a pipe loads no renderer and no local model."""
    missy.entry(serve(chat_stream("hello")).url)
    heavy = {
        "openai",
        "httpx2",
        "httpcore2",
        "rich",
        "pydantic",
        "cryptography",
        "xllamacpp",
        "ssl",
        "asyncio",
    }
    assert not imported(missy, "--version") & (heavy | {"yaml"})
    assert not imported(missy, "providers") & heavy
    asked = imported(missy, "ask", "hi")
    assert not asked & {"rich", "cryptography", "xllamacpp"}
    assert not [name for name in asked if name.startswith("missy.local")]


def test_18_every_command_in_the_help_works_and_shows_an_example(missy):
    """What `--help` lists can be called, and its help ends with an example."""
    listed = re.findall(r"^  ([a-z]+)  ", missy.inside("--help").text.partition("Commands:")[2], re.MULTILINE)
    assert {
        "ask",
        "init",
        "providers",
        "models",
        "doctor",
        "net",
        "audit",
        "config",
        "presets",
        "local",
    } <= set(listed)
    for name in listed:
        ran = missy.inside(name, "--help")
        assert (ran.code, "Example" in ran.text) == (0, True), name


def test_18_the_rooms_are_small_and_the_tests_patch_nothing_of_ours():
    """No source file over 500 lines, no function over 100, and no test that replaces a part of Missy."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 500, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno <= 100, f"{path}: {node.name}"
    patches = re.compile(
        r"monkeypatch\.setattr\(\s*[\"']?missy|mock\.patch|from unittest import mock|MagicMock\("
    )
    here = Path(__file__)
    assert [path for path in TESTS.rglob("*.py") if path != here and patches.search(path.read_text())] == []
