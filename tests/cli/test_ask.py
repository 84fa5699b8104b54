"""`missy ask`: every flag and every exit code, as a user meets them."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import selectors
import signal
import subprocess
import sys

import pytest

from tests.cli.person import CTRL_D, ENTER, Person
from tests.command import SAFETY, Command, read_until
from tests.servers import Gate, chat_answer, chat_chunk, chat_error, chat_stream, event_stream, response, sse

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
KEY = "sk-canary-0123456789"


def prompt_of(origin) -> str:
    """Return the last user message that the server got."""
    return origin.last.json()["messages"][-1]["content"]


# --- where the prompt comes from ------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["-"]], ids=["none", "dash"])
def test_without_a_prompt_stdin_is_the_prompt(args, missy, serve):
    """No PROMPT, or `-`, reads it from stdin."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    ran = missy("ask", *args, stdin="frågan är fri\n".encode())
    assert (ran.code, ran.text.rstrip("\n"), ran.err) == (0, "hello", "")
    assert prompt_of(origin).strip() == "frågan är fri"


def test_piped_stdin_is_appended_to_the_prompt(missy, serve):
    """With a PROMPT, piped text is appended to it."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    missy.inside("ask", "Explain this:", stdin=b"line one\nline two\n")
    assert re.fullmatch(r"Explain this:\s+line one\nline two\s*", prompt_of(origin))


def test_an_empty_prompt_is_wrong_use(missy, serve):
    """Nothing to ask is exit 2, and nothing is sent."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    for args, stdin in ((["ask"], b""), (["ask", "-"], b" \n"), (["ask", ""], None)):
        ran = missy.inside(*args, stdin=stdin or b"")
        assert (ran.code, ran.text) == (2, ""), args
    assert origin.connections == 0


def test_the_answer_ends_with_one_newline(missy, serve):
    """A prompt of the shell starts on a line of its own, whether or not the answer ended its line."""
    for text in ("hello", "hello\n"):
        missy.entry(serve(chat_stream(text)).url)
        assert missy.inside("ask", "hi").out == b"hello\n"


# --- what is asked for ----------------------------------------------------------------------------------------------


def test_the_options_of_the_model_call_reach_the_body(missy, serve):
    """--system, --model, --temperature and --max-tokens are what the body says, over what the entry says."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url, model="entry-model")
    options = [
        "--system",
        "Be brief.",
        "--model",
        "other-model",
        "--temperature",
        "0.25",
        "--max-tokens",
        "7",
    ]
    assert missy.inside("ask", "hi", *options).code == 0
    body = origin.last.json()
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("other-model", 0.25, 7)


@pytest.mark.parametrize(
    "options",
    [
        ["--temperature", "hot"],
        ["--temperature", "-1"],
        ["--temperature", "nan"],
        ["--max-tokens", "0"],
        ["--max-tokens", "many"],
        ["--timeout", "0"],
        ["--timeout", "-3"],
        ["--timeout", "inf"],
        ["--model", ""],
        ["--nonsense"],
        ["one", "prompt", "too", "many"],
    ],
    ids=lambda options: " ".join(options),
)
def test_wrong_use_is_exit_2_and_sends_nothing(options, missy, serve):
    """An option with an impossible value is refused before anything happens."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    ran = missy.inside("ask", "hi", *options)
    assert (ran.code, ran.text) == (2, "")
    assert ran.err.startswith("missy: ")
    assert origin.connections == 0


def test_two_forms_of_output_are_refused_in_the_one_that_streams(missy, serve):
    """--json beside --events is exit 2; who reads events gets the error as one."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    ran = missy.inside("ask", "hi", "--json", "--events")
    assert (ran.code, origin.connections) == (2, 0)
    assert [json.loads(line)["type"] for line in ran.text.splitlines()] == ["error"]
    assert ran.err.splitlines()[1].strip() == "try: missy ask --help"


def test_timeout_of_the_command_line_wins(missy, serve):
    """--timeout is the idle timeout, and overrides that of the entry."""
    missy.entry(serve(lambda _request, wire: wire.wait_closed() and None).url, timeout=50)
    ran = missy.inside("ask", "hi", "--timeout", "0.5", "--json")
    assert (ran.code, ran.json()["error"]["type"]) == (5, "timeout")
    assert 400 <= ran.json()["duration_ms"] < 40_000


def test_provider_chooses_the_entry(missy, serve):
    """--provider takes an entry's name; without it default_provider, else the first enabled entry, answers."""
    one, two = serve(chat_stream("one")), serve(chat_stream("two"))
    entries = {
        name: {"name": "openai", "model": "m", "base_url": o.url} for name, o in (("one", one), ("two", two))
    }
    missy.config({"providers": entries})
    assert missy.inside("ask", "hi").text == "one\n"
    assert missy.inside("ask", "hi", "--provider", "two").text == "two\n"
    missy.config({"default_provider": "two", "providers": entries})
    assert missy.inside("ask", "hi").text == "two\n"
    assert (len(one.requests), len(two.requests)) == (1, 2)


def test_config_names_another_file(missy, serve, tmp_path):
    """--config, and MISSY_CONFIG, are read in place of the home's config."""
    missy.entry(serve(chat_stream("home")).url)
    other = tmp_path / "other.yaml"
    other.write_bytes(missy.entry(serve(chat_stream("other")).url).read_bytes())
    other.chmod(0o600)
    missy.config("broken: [")
    assert missy("--config", str(other), "ask", "hi").text == "other\n"
    assert missy("ask", "hi", env={"MISSY_CONFIG": str(other)}).text == "other\n"


def test_an_image_goes_with_the_prompt(missy, serve, tmp_path):
    """--attach sends images as parts, in order, with the type that their bytes have."""
    origin = serve(chat_stream("a dot"))
    missy.entry(origin.url)
    (tmp_path / "one.png").write_bytes(PNG)
    (tmp_path / "two.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(20))
    ran = missy.inside(
        "ask", "What is it?", "--attach", str(tmp_path / "one.png"), "--attach", str(tmp_path / "two.jpg")
    )
    assert (ran.code, ran.text) == (0, "a dot\n")
    text, one, two = origin.last.json()["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert one["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert two["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_a_dash_on_a_terminal_is_read_beside_an_attachment(missy, serve, tmp_path):
    """`-` asks for the prompt to be typed; without it, the attachment alone is sent."""
    origin = serve(chat_stream("a dot"))
    missy.entry(origin.url)
    (tmp_path / "one.png").write_bytes(PNG)
    for words in ([], ["-"]):
        with Person(missy, "ask", *words, "--attach", str(tmp_path / "one.png")) as person:
            if words:
                person.see("type the prompt")
                person.press("What is it?", ENTER, CTRL_D)
            assert person.end() == 0
        sent = origin.last.json()["messages"][-1]["content"]
        assert [part.get("text") for part in sent] == (["What is it?\n", None] if words else [None])


def test_an_attachment_that_cannot_go_is_named(missy, serve, tmp_path):
    """A missing file, a folder and a file of no known kind are exit 2, with the path, before anything is sent."""
    origin = serve(chat_stream("x"))
    missy.entry(origin.url)
    (tmp_path / "blob.bin").write_bytes(bytes(range(256)))
    for name in ("missing.png", "blob.bin", "."):
        ran = missy.inside("ask", "hi", "--attach", str(tmp_path / name))
        assert ran.code == 2, name
        assert str(tmp_path) in ran.err
    assert origin.connections == 0


# --- what comes out -------------------------------------------------------------------------------------------------


def test_json_is_one_object_with_all_its_keys(missy, serve):
    """The object has the contract's keys, no more and no less."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    headers = (("x-request-id", "req-77"),)
    missy.entry(serve(chat_stream("hello", usage=usage, headers=headers, model="m")).url, "mine")
    ran = missy("ask", "hi", "--json")
    got = ran.json()
    assert set(got) == {
        "text",
        "provider",
        "fallback_from",
        "model",
        "finish_reason",
        "complete",
        "usage",
        "cost_usd",
        "reasoning",
        "tool_calls",
        "citations",
        "value",
        "attachments",
        "session",
        "turn",
        "request_id",
        "ttft_ms",
        "duration_ms",
        "error",
    }
    assert (got["text"], got["provider"], got["model"], got["finish_reason"]) == (
        "hello",
        "mine",
        "m",
        "stop",
    )
    assert (got["complete"], got["error"], got["request_id"]) == (True, None, "req-77")
    assert set(got["usage"]) == {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
    }
    assert 0 <= got["ttft_ms"] <= got["duration_ms"]
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("case", ["http", "config", "unknown-provider", "policy", "no-key", "dead"])
def test_json_is_one_object_on_failure_too(case, missy, serve):
    """On any failure, stdout has the one object, and `error` says what, how to fix it and the status."""
    if case == "config":
        missy.config("providers: [")
    elif case == "policy":
        missy.entry("https://192.0.2.7/v1", api_key=KEY)
    elif case == "no-key":
        missy.entry("https://api.groq.com/openai/v1")
    else:
        origin = serve(chat_error(418, "short and stout", ("x-request-id", "req-78")))
        missy.entry(origin.url)
        if case == "dead":
            origin.close()
    ran = missy.inside(
        "ask", "hi", "--json", *(["--provider", "nobody"] if case == "unknown-provider" else [])
    )
    got = ran.json()
    code = {"http": 5, "config": 2, "unknown-provider": 2, "policy": 3, "no-key": 4, "dead": 5}[case]
    kind = {2: {"usage", "config"}, 3: {"policy"}, 4: {"credential"}, 5: {"provider", "connection"}}[code]
    assert (ran.code, got["complete"], got["text"]) == (code, False, "")
    assert set(got["error"]) == {"type", "message", "hint", "status"}
    assert got["error"]["type"] in kind
    assert got["error"]["message"]
    assert got["error"]["hint"]
    if case == "http":
        assert (got["error"]["status"], got["request_id"]) == (418, "req-78")


def test_events_are_one_json_object_a_line(missy, serve):
    """--events prints what happens as it happens, and ends with what the whole came to."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    missy.entry(serve(chat_stream({"reasoning_content": "hm"}, "hel", "lo", usage=usage)).url)
    ran = missy.inside("ask", "hi", "--events")
    kinds = [event["type"] for event in ran.events()]
    assert ran.code == 0
    assert "".join(event["text"] for event in ran.events() if event["type"] == "text") == "hello"
    assert (kinds.count("text"), kinds.count("reasoning"), kinds.count("usage"), kinds[-1]) == (
        2,
        1,
        1,
        "done",
    )


def test_events_end_with_the_error(missy, serve):
    """A failure is the last event, after the text that came."""
    missy.entry(serve(event_stream(sse(chat_chunk("half")))).url)
    ran = missy.inside("ask", "hi", "--events")
    events = ran.events()
    assert (ran.code, events[0]["text"], events[-1]["type"]) == (6, "half", "error")
    assert "message" in json.dumps(events[-1])


def test_no_stream_asks_for_a_whole_answer(missy, serve):
    """--no-stream sends a request without streaming and prints the answer."""
    origin = serve(chat_answer("whole"))
    missy.entry(origin.url)
    assert missy.inside("ask", "hi", "--no-stream").text == "whole\n"
    assert not origin.last.json().get("stream")


def test_dry_run_prints_the_exact_request_and_sends_nothing(missy, serve):
    """--dry-run shows method, URL, headers and body as they would be sent, the key masked, and opens no connection."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url, api_key=KEY)
    args = ["ask", "hi", "--system", "Be brief.", "--temperature", "0.5"]
    dry = missy(*args, "--dry-run")
    assert (dry.code, origin.connections) == (0, 0)
    assert missy.attempts() == []
    assert KEY not in dry.text + dry.err
    assert f"{origin.url}/chat/completions" in dry.text
    assert "POST" in dry.text
    assert missy(*args).code == 0
    sent = origin.last.json()
    start = dry.text.index("{")
    value, _ = json.JSONDecoder().raw_decode(dry.text[start:])
    assert value.get("body", value) == sent
    head = [f"{name}: {value}".replace(KEY, "***") for name, value in origin.last.headers]
    assert dry.text[:start].splitlines() == [
        f"POST {origin.url}/chat/completions",
        "# credential: config",
        *head,
        "",
    ]


def test_dry_run_in_json_is_one_object(missy, serve):
    """With --json it is an object whose body is the one that is sent."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url, api_key=KEY)
    got = missy.inside("ask", "hi", "--dry-run", "--json").json()
    missy.inside("ask", "hi")
    assert (got["method"], got["url"], got["body"]) == (
        "POST",
        f"{origin.url}/chat/completions",
        origin.last.json(),
    )
    assert KEY not in json.dumps(got)
    assert {name.lower() for name in got["headers"]} >= {"authorization", "user-agent", "content-type"}


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (chat_stream("hello"), 0),
        (chat_error(401, "no"), 4),
        (chat_error(403, "no"), 4),
        (chat_error(500, "no"), 5),
        (chat_error(404, "no"), 5),
        (response(200, b"{}", kind="application/json"), 5),
        (response(200, b"{", kind="application/json"), 5),
        (response(302, b"", ("Location", "https://evil.example/")), 5),
        (chat_stream("too lo", finish="length"), 6),
        (chat_stream("no mo", finish="content_filter"), 6),
        (chat_stream(), 6),
        (event_stream(sse(chat_chunk("cut"))), 6),
        (chat_error(429, "no"), 7),
        (chat_error(402, "no", code="insufficient_quota"), 7),
    ],
    ids=[
        "whole",
        "401",
        "403",
        "500",
        "404",
        "no-choices",
        "no-json",
        "redirect",
        "length",
        "filter",
        "empty",
        "cut",
        "429",
        "quota",
    ],
)
def test_the_exit_code_says_how_it_ended(reply, code, missy, serve):
    """Each end has its code, one line that says what happened, and one that says what to do."""
    origin = serve(reply)
    missy.entry(origin.url, api_key=KEY)
    ran = missy.inside("ask", "hi")
    assert (ran.code, len(origin.requests)) == (code, 1)
    if code == 0:
        assert ran.err == ""
    else:
        lines = ran.err.splitlines()
        assert lines[0].startswith("missy: ")
        assert lines[1].startswith("  ")
        assert "Traceback" not in ran.err


def test_a_redirect_is_not_followed_and_its_target_is_named(missy, serve):
    """The second server gets nothing, and the error says where it pointed."""
    target = serve(chat_stream("stolen"))
    for status in (301, 302, 303, 307, 308):
        origin = serve(response(status, b"", ("Location", target.url)))
        missy.entry(origin.url, api_key=KEY)
        ran = missy.inside("ask", "hi")
        assert (ran.code, target.url in ran.err) == (5, True)
    assert target.connections == 0


def test_no_config_at_all_says_what_to_do(missy):
    """The first `missy ask` of a new user is exit 2 with the two ways on, and nothing is sent."""
    ran = missy("ask", "hi")
    assert (ran.code, ran.text) == (2, "")
    assert "missy setup" in ran.err
    assert "--provider local" in ran.err
    assert missy.attempts() == []
    assert len(ran.err.splitlines()) <= 2


def test_a_policy_refusal_is_exit_3_with_the_line_to_add_and_opens_no_socket(missy):
    """A private address that is not in allowed_cidrs is refused before a socket is opened, and audited."""
    missy.entry("https://192.168.7.7/v1", api_key=KEY)
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text) == (3, "")
    assert "192.168.7.7" in ran.err
    assert "allowed_cidrs" in ran.err
    assert missy.attempts() == []
    assert "192.168.7.7" in (missy.home / "audit.jsonl").read_text()


def test_a_missing_key_is_exit_4_before_anything_is_sent(missy):
    """An endpoint that is not on loopback needs a key: without one, nothing is asked of it."""
    missy.entry("https://api.groq.com/openai/v1", "groq")
    ran = missy.inside("ask", "hi")
    assert (ran.code, ran.text, missy.attempts()) == (4, "", [])
    assert "GROQ_API_KEY" in ran.err


def test_debug_shows_the_traceback_without_the_key(missy, serve):
    """--debug adds the traceback to an error; the key is in neither."""
    missy.entry(serve(chat_error(500, f"no, {KEY}")).url, api_key=KEY)
    ran = missy.inside("--debug", "ask", "hi")
    assert ran.code == 5
    assert "Traceback" in ran.err
    assert KEY not in ran.err


def test_the_request_id_is_shown_with_an_error(missy, serve):
    """Support asks for it, so it is there."""
    missy.entry(serve(chat_error(500, "no", ("x-request-id", "req-42"))).url)
    assert "req-42" in missy.inside("ask", "hi").err


def quietly(running: subprocess.Popen[bytes]) -> str:
    """Wait for the end and return stderr, which must hold no traceback."""
    running.wait(SAFETY)
    err = running.stderr.read().decode()
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.parametrize("when", ["waiting", "streaming"])
def test_a_signal_ends_it_quietly(number, code, when, missy, serve):
    """Ctrl-C and SIGTERM end it at once, quietly, with their code, and the connection is closed."""
    gate, closed = Gate(), []

    def reply(_request, wire):
        if when == "streaming":
            wire.send_all(event_stream(sse(chat_chunk("first")))[:2])
        gate.arrived.set()
        closed.append(wire.wait_closed())

    missy.entry(serve(reply).url)
    with missy.start("ask", "hi") as running:
        assert gate.arrived.wait(SAFETY)
        if when == "streaming":
            assert read_until(running.stdout, b"first") == b"first"
        running.send_signal(number)
        assert quietly(running) == ""
        assert running.returncode == code
    assert closed in ([], [True])


_SIGNAL_BESIDE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
from missy.cli.main import run
import os
os._exit(run(["ask", "hi"]))
"""


def test_a_signal_that_does_not_interrupt_the_system_call_is_seen_soon(missy, serve):
    """Ctrl-C that comes just before a read begins does not interrupt it: the read ends by itself within a moment.

    The same is had for sure where another thread takes the signal.
    """
    gate = Gate()

    def reply(_request, wire):
        gate.arrived.set()
        wire.wait_closed()

    missy.entry(serve(reply).url)
    command = [sys.executable, "-c", _SIGNAL_BESIDE]
    with subprocess.Popen(
        command, env=missy.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert gate.arrived.wait(SAFETY)
        running.send_signal(signal.SIGINT)
        assert quietly(running) == ""
        assert running.returncode == 130


def test_ctrl_c_while_the_command_loads_is_quiet(missy, tmp_path):
    """Ctrl-C before the command has begun is 130 without a traceback."""
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    ran = missy("ask", "hi", env={"PYTHONPATH": str(tmp_path)})
    assert (ran.code, ran.text, ran.err) == (130, "", "")


def test_a_reader_that_closes_the_pipe_ends_it_quietly(missy, serve):
    """`missy ask | head -c 5` is exit 141 without a message."""
    gate = Gate()
    missy.entry(serve(chat_stream("first", gate, *["more and more " * 500] * 20)).url)
    with missy.start("ask", "hi") as running:
        assert read_until(running.stdout, b"first") == b"first"
        running.stdout.close()
        gate.open()
        assert quietly(running) == ""
        assert running.returncode == 141


# --- on a terminal --------------------------------------------------------------------------------------------------


def readable(file: int) -> bool:
    """Wait until there is something to read; select() itself takes no descriptor above 1023."""
    with selectors.DefaultSelector() as ready:
        ready.register(file, selectors.EVENT_READ)
        return bool(ready.select(SAFETY))


def on_terminal(missy: Command, *args: str, env: dict[str, str | None] | None = None) -> tuple[int, str]:
    """Run the command with stdout on a terminal of 80 columns, and return the exit code and what it showed."""
    leader, follower = pty.openpty()
    shown = b""
    with missy.start(
        *args, env={"TERM": "xterm-256color", "COLUMNS": "80", **(env or {})}, stdout=follower
    ) as running:
        os.close(follower)
        while readable(leader):
            try:
                data = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
    os.close(leader)
    return running.returncode, shown.decode()


MARKDOWN = (
    "# Title\n\nSome **bold** words and `code`.\n\n- one\n- two arr[i] [/INST]\n\n```python\nx = 1\n```\n"
)


def test_markdown_is_rendered_on_a_terminal(missy, serve):
    """On a terminal the marks become style; the text is all there, without a box."""
    missy.entry(serve(chat_stream(*re.findall(".{1,7}", MARKDOWN, re.DOTALL))).url)
    code, shown = on_terminal(missy, "ask", "hi")
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert code == 0
    assert re.search(r"\x1b\[[0-9;]*1[0-9;]*mbold", shown)  # drawn bold where it was typed with its stars
    for kept in ("Title", "bold", "code", "one", "two arr[i] [/INST]", "x = 1"):
        assert kept in bare
    assert not re.search("[\u2500-\u257f]", bare)


def test_no_color_is_honoured(missy, serve):
    """With NO_COLOR set no colour is sent to the terminal."""
    missy.entry(serve(chat_stream(MARKDOWN)).url)
    code, shown = on_terminal(missy, "ask", "hi", env={"NO_COLOR": "1"})
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*(3[0-79]|4[0-79]|9[0-7]|10[0-7]|38;|48;)[0-9;]*m", shown)
    assert "Title" in shown


def test_nothing_of_the_models_steers_the_terminal(missy, serve):
    """Escape sequences, C1 and bidi controls in the answer do not reach the terminal."""
    hostile = "a\x1b]52;c;aGk=\x07b \x9b2J c\u202ed \x1b[2J\x1b[H e\x08f `\x1b[31m` [x](\x1b]8;;evil\x07)\n"
    missy.entry(serve(chat_stream(hostile)).url)
    code, shown = on_terminal(missy, "ask", "hi")
    assert code == 0
    assert not re.search("[\x07\x08\x80-\x9f\u202a-\u202e]|\x1b\\]|\x1b\\[2J|\x1b\\[H", shown)


def test_text_shows_on_a_terminal_as_it_arrives(missy, serve):
    """The first finished line is on the terminal while the server has not sent the rest."""
    gate = Gate()
    missy.entry(serve(chat_stream("A first paragraph.\n\n", gate, "A second one.\n")).url)
    leader, follower = pty.openpty()
    with missy.start("ask", "hi", env={"TERM": "xterm", "COLUMNS": "80"}, stdout=follower) as running:
        os.close(follower)
        shown = b""
        while b"A first paragraph." not in shown:
            shown += os.read(leader, 65536)
        assert gate.arrived.wait(SAFETY)
        gate.open()
        while b"A second one." not in shown:
            shown += os.read(leader, 65536)
    os.close(leader)
    assert running.returncode == 0
